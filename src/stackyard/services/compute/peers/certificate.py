"""By what a host is known to the others: a certificate it made itself, whose digest it writes into its row."""

from __future__ import annotations

import hashlib
import os
import ssl
from pathlib import Path

_FILE = "peer.pem"
_DAYS = 36500


def of_host(directory: Path) -> tuple[ssl.SSLContext, str]:
    """What the host listens with, and the SHA-256 of its certificate; both are made when they are not there yet."""
    path = directory / _FILE
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(path)
    text = path.read_text()
    begin, end = text.index("-----BEGIN CERTIFICATE-----"), text.index("-----END CERTIFICATE-----")
    whole = text[begin:end] + "-----END CERTIFICATE-----\n"
    return context, hashlib.sha256(ssl.PEM_cert_to_DER_cert(whole)).hexdigest()


def for_calls() -> ssl.SSLContext:
    """What a host calls others with: no authority vouches for them, their rows' digests do (`is_of`)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def is_of(connection: ssl.SSLSocket, digest: str) -> bool:
    """Whether the other end showed the certificate of this digest."""
    shown = connection.getpeercert(binary_form=True)
    return shown is not None and hashlib.sha256(shown).hexdigest() == digest


def _make(path: Path) -> None:
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stackyard host")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private + made.public_bytes(serialization.Encoding.PEM))
    beside.replace(path)
