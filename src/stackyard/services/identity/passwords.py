"""Hashing and verifying passwords and secrets, slow on purpose and therefore in threads of its own.

Parameters: OWASP's second choice for Argon2id (19 MiB, two passes). Hashes that come from a Keystone are verified too.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import Request

from stackyard.services.identity import imported_hashes
from stackyard.services.identity.hashing_threads import HashingThreads

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

MAX_LENGTH = 4096
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
    if stored is None:
        _verify_argon2(_nobodys_hash(), password)
        return False
    if stored.startswith(_DIGEST):
        salt, _, digest = stored.removeprefix(_DIGEST).partition("$")
        return hmac.compare_digest(digest, hashlib.sha256((salt + password).encode()).hexdigest())
    if stored.startswith("$argon2"):
        return _verify_argon2(stored, password)
    return imported_hashes.verify(stored, password)


def _verify_argon2(stored: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


_threads = HashingThreads(min(2, os.cpu_count() or 1))
_client: ContextVar[str] = ContextVar("client", default="")


def on_behalf_of(request: Request) -> None:
    """From here on this task hashes for the request's client, who takes turns with the others."""
    _client.set(request.client.host if request.client is not None else "")


async def in_pool(function: Callable[..., T], *args: object) -> T:
    """Run one of the functions above from the event loop; ServiceUnavailable when too many wait already."""
    answer: T = await asyncio.wrap_future(_threads.submit(_client.get(), lambda: function(*args)))
    return answer


async def is_right(stored: str | None, given: str) -> bool:
    """Verify a password or secret in the pool; what is longer than any that could be stored is cut before."""
    return await in_pool(verify_password, stored, given[:MAX_LENGTH])
