"""Signing in with a password of a directory: the directory is asked, whatever the rows say at that moment."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from msgspec import UNSET

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import ServiceUnavailable
from stackyard.services.identity.directory import mirror, sync
from stackyard.services.identity.directory.client import Directory, DirectoryGroup, DirectoryUser
from stackyard.services.identity.directory.settings import DirectoryConfigError, DirectorySettings
from stackyard.services.identity.tokens.bodies import Auth, UserReference
from stackyard.services.identity.tokens.evidence import Asked, find_domain
from stackyard.services.identity.users import tables as user_tables

_threads = ThreadPoolExecutor(4, thread_name_prefix="directory")
_WAITING_AT_MOST = 128
_waiting = 0


class _Where(NamedTuple):
    domain_id: str
    settings: DirectorySettings
    name: str | None
    dn: str | None


async def prepare(call: Call, auth: Auth) -> Asked | None:
    """Ask the directory that the user is in, and store what it says of the user; None for a user of our own.

    Raises ServiceUnavailable when the directory does not answer.
    """
    if auth.identity.password is UNSET:
        return None
    reference = auth.identity.password.user
    where = await call.read("sign in: directory", _look_up, reference)
    if where is None:
        return None
    password = reference.password if isinstance(reference.password, str) else ""
    user, groups, right = await _in_thread(where, password)
    if user is None or not right:
        return Asked(
            user_id=None if user is None else mirror.public_id(where.domain_id, mirror.USER, user.local_id), right=False
        )
    user_id = await call.write("sign in: directory user", mirror.store_one, where.domain_id, user, groups)
    return Asked(user_id=user_id, right=True)


def _look_up(tx: Transaction, reference: UserReference) -> _Where | None:
    """Which directory the reference leads to, and by what."""
    if reference.id is not UNSET:
        entry = mirror.entry_of(tx, reference.id)
        return None if entry is None else _where(tx, entry.domain_id, None, entry.dn)
    if reference.domain is UNSET or reference.name is UNSET:
        return None
    domain = find_domain(tx, reference.domain)
    if domain is None:
        return None
    # A user of our own in such a domain (made before it had a directory) goes on signing in with what is stored.
    row = tx.first(user_tables.BY_NAME, {"domain_id": domain.id, "name": reference.name})
    if row is not None and row.password_hash is not None:
        return None
    return _where(tx, domain.id, reference.name, None)


def _where(tx: Transaction, domain_id: str, name: str | None, dn: str | None) -> _Where | None:
    try:
        settings = sync.settings_of(tx, domain_id)
    except DirectoryConfigError as error:
        raise ServiceUnavailable(f"The directory of this domain is not configured rightly: {error}") from None
    return None if settings is None else _Where(domain_id, settings, name, dn)


async def _in_thread(where: _Where, password: str) -> tuple[DirectoryUser | None, list[DirectoryGroup], bool]:
    global _waiting  # noqa: PLW0603 - counted on the event loop alone
    if _waiting >= _WAITING_AT_MOST:
        raise ServiceUnavailable("Too many sign-ins wait for directories; try again in a few seconds.")
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, _ask, where, password)
    finally:
        _waiting -= 1


def _ask(where: _Where, password: str) -> tuple[DirectoryUser | None, list[DirectoryGroup], bool]:
    directory = Directory(where.settings)
    user = directory.user_named(where.name) if where.name is not None else directory.user_at(where.dn or "")
    if user is None or not directory.is_password(user.dn, password):
        return user, [], False
    return user, directory.groups_of(user), True
