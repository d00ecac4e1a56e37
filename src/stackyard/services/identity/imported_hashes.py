"""Password hashes in the forms that Keystone stores, so that its users sign in with what they have.

They are verified, never made: bcrypt, bcrypt over HMAC-SHA256, scrypt, and PBKDF2 with SHA-512.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping

_BCRYPT_BYTES = 72
_SCRYPT_BYTES = 256 * 1024 * 1024
_PARTS = re.compile(r"\$(?P<kind>[a-z0-9-]+)\$(?P<parameters>[^$]*)\$(?P<salt>[^$]*)\$(?P<digest>[^$]+)")


def verify(stored: str, password: str) -> bool:
    """Whether `password` is the one hashed in `stored`; False for a hash in no known form."""
    given = password.encode()
    try:
        if re.match(r"\$2[abxy]?\$", stored):
            return _checked(given[:_BCRYPT_BYTES], stored)
        parts = _PARTS.fullmatch(stored)
        kind = None if parts is None else _KINDS.get(parts["kind"])
        return kind is not None and parts is not None and kind(parts, given)
    except (ValueError, KeyError):
        return False


def _checked(given: bytes, stored: str) -> bool:
    import bcrypt

    return bool(bcrypt.checkpw(given, stored.encode()))


def _bcrypt_sha256(parts: re.Match[str], given: bytes) -> bool:
    options = dict(option.split("=") for option in parts["parameters"].split(","))
    salt, rounds = parts["salt"], int(options["r"])
    mixed = base64.b64encode(hmac.digest(salt.encode(), given, "sha256"))
    return _checked(mixed, f"${options['t']}${rounds:02}${salt}{parts['digest']}")


def _scrypt(parts: re.Match[str], given: bytes) -> bool:
    options = dict(option.split("=") for option in parts["parameters"].split(","))
    digest = _decoded(parts["digest"])
    found = hashlib.scrypt(
        given,
        salt=_decoded(parts["salt"]),
        n=2 ** min(int(options["ln"]), 30),
        r=int(options["r"]),
        p=int(options["p"]),
        maxmem=_SCRYPT_BYTES,
        dklen=len(digest),
    )
    return hmac.compare_digest(found, digest)


def _pbkdf2_sha512(parts: re.Match[str], given: bytes) -> bool:
    digest = _decoded(parts["digest"])
    rounds = min(int(parts["parameters"]), 10_000_000)
    return hmac.compare_digest(hashlib.pbkdf2_hmac("sha512", given, _decoded(parts["salt"]), rounds, 64), digest)


def _decoded(text: str) -> bytes:
    """Base64 without padding, with a dot for the plus."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


_KINDS: Mapping[str, Callable[[re.Match[str], bytes], bool]] = {
    "bcrypt-sha256": _bcrypt_sha256,
    "scrypt": _scrypt,
    "pbkdf2-sha512": _pbkdf2_sha512,
}
