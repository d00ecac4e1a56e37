"""Hashing and verifying passwords and secrets, slow on purpose and therefore in two threads of its own.

A flood of sign-ins queues here and leaves the threads of other requests alone. Parameters: OWASP's second choice for
Argon2id (19 MiB, two passes). bcrypt hashes of an imported Keystone are verified where the bcrypt package is installed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from stackyard.core.errors import ServiceUnavailable

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

MAX_LENGTH = 4096
_WAITING_AT_MOST = 512
_DIGEST = "$sha256$"


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_urlsafe())


def hash_password(password: str) -> str:
    """The Argon2id hash of a password, in PHC format; takes some 20 ms."""
    return _hasher().hash(password)


def digest_secret(secret: str) -> str:
    """The salted SHA-256 of a secret that we drew ourselves: with 512 bits of entropy slowness adds nothing."""
    salt = secrets.token_hex(8)
    return f"{_DIGEST}{salt}${hashlib.sha256((salt + secret).encode()).hexdigest()}"


def verify_password(stored: str | None, password: str) -> bool:
    """Whether `password` is the one hashed in `stored`; takes as long for an unknown user (None) as for a wrong one."""
    if stored is not None and stored.startswith(_DIGEST):
        salt, _, digest = stored.removeprefix(_DIGEST).partition("$")
        return hmac.compare_digest(digest, hashlib.sha256((salt + password).encode()).hexdigest())
    if stored is not None and stored.startswith("$2"):
        return _verify_bcrypt(stored, password)
    matches = _verify_argon2(stored or _nobodys_hash(), password)
    return matches and stored is not None


def _verify_argon2(stored: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _verify_bcrypt(stored: str, password: str) -> bool:
    try:
        import bcrypt  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return False
    return bool(bcrypt.checkpw(password.encode()[:72], stored.encode()))


class _Pool:
    """Two threads, and a bound on how many wait for them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="passwords")
        self._waiting = 0

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Run `function` in one of the threads."""
        if self._waiting >= _WAITING_AT_MOST:
            raise ServiceUnavailable("Too many sign-ins are waiting; try again in a few seconds.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)
        finally:
            self._waiting -= 1


_pool = _Pool()


async def in_pool(function: Callable[..., T], *args: object) -> T:
    """Run one of the functions above from the event loop; ServiceUnavailable when too many wait already."""
    return await _pool.run(function, *args)


async def is_right(stored: str | None, given: str) -> bool:
    """Verify a password or secret in the pool; what is longer than any that could be stored is cut before."""
    return await in_pool(verify_password, stored, given[:MAX_LENGTH])
