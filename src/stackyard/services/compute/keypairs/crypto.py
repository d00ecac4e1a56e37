"""Making and reading keys: RSA pairs for SSH, client certificates for WinRM, and fingerprints as Nova shows them."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib

from stackyard.core.errors import BadRequest

SSH = "ssh"
X509 = "x509"
_BITS = 2048
_DAYS = 3650
_USER_PRINCIPAL_NAME = "1.3.6.1.4.1.311.20.2.3"


def fingerprint(kind: str, public_key: str) -> str:
    """Pairs of hexadecimal digits: MD5 of an SSH key, SHA-1 of a certificate; BadRequest for what is neither."""
    if kind == X509:
        return _colons(_certificate_digest(public_key))
    return _colons(_ssh_digest(public_key))


def _colons(digest: bytes) -> str:
    return digest.hex(":")


def _ssh_digest(public_key: str) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        serialization.load_ssh_public_key(public_key.encode())
        data = base64.b64decode(public_key.split()[1])
    except (ValueError, IndexError, UnsupportedAlgorithm):
        raise BadRequest(
            "Keypair data is invalid: failed to generate fingerprint. The public key is a line such as "
            "'ssh-ed25519 AAAA... comment'.",
            kind="InvalidKeypair",
        ) from None
    return hashlib.md5(data, usedforsecurity=False).digest()


def _certificate_digest(pem: str) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    try:
        return x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA1())  # noqa: S303
    except ValueError:
        raise BadRequest(
            "Keypair data is invalid: failed to generate X509 fingerprint. The public key is a certificate in PEM.",
            kind="InvalidKeypair",
        ) from None


def generate(kind: str, user_id: str) -> tuple[str, str]:
    """A new pair: the private half and the public one. Takes a tenth of a second or more."""
    return _certificate(user_id) if kind == X509 else _ssh_pair()


def _ssh_pair() -> tuple[str, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} Generated-by-Nova"


def _certificate(user_id: str) -> tuple[str, str]:
    """A PKCS 12 bundle in base64, without a password, and the certificate in PEM, for a client named `user_id`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import pkcs12
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:64])])
    principal = f"{user_id}@localhost".encode()
    value = b"\x0c" + _der_length(len(principal)) + principal
    other = x509.OtherName(x509.ObjectIdentifier(_USER_PRINCIPAL_NAME), value)
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([other]), critical=False)
        .sign(key, hashes.SHA256())
    )
    bundle = pkcs12.serialize_key_and_certificates(None, key, certificate, None, serialization.NoEncryption())
    return base64.b64encode(bundle).decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def _der_length(length: int) -> bytes:
    return bytes([length]) if length < 128 else bytes([0x82, length >> 8, length & 0xFF])
