"""What a directory says, kept as rows of users, groups and memberships, so that everything else knows no difference.

A user's or group's id is made of the domain, its kind and its id in the directory, as Keystone makes it: it is the
same after a new start from nothing. Who is no longer in the directory is disabled, not deleted: an answer that
misses somebody by mistake takes no roles away for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction, metadata
from stackyard.services.identity import generation
from stackyard.services.identity.directory.client import DirectoryGroup, DirectoryUser, folded
from stackyard.services.identity.users import removal
from stackyard.services.identity.users import tables as user_tables
from stackyard.services.identity.users.tables import groups, members, users

USER, GROUP = "user", "group"
USER_NAME_LIMIT, GROUP_NAME_LIMIT = 255, 64

entries = sa.Table(
    "identity_directory_entries",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("domain_id", sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("local_id", sa.String(255), nullable=False),
    sa.Column("dn", sa.Text, nullable=False),
)

_BY_ID = sa.select(entries).where(entries.c.id == bindparam("id"))
_OF_DOMAIN = sa.select(entries).where(entries.c.domain_id == bindparam("domain_id"))
_INSERT = sa.insert(entries)
_MOVED = sa.update(entries).where(entries.c.id == bindparam("key")).values(dn=bindparam("new_dn"))
_USERS = sa.select(users).where(users.c.domain_id == bindparam("domain_id"))
_GROUPS = sa.select(groups).where(groups.c.domain_id == bindparam("domain_id"))
_MEMBERS = sa.select(members).join(groups).where(groups.c.domain_id == bindparam("domain_id"))
_INSERT_GROUP = sa.insert(groups)
_UPDATE_USER = sa.update(users).where(users.c.id == bindparam("key"))
_UPDATE_GROUP = sa.update(groups).where(groups.c.id == bindparam("key"))
_DISABLE = _UPDATE_USER.values(enabled=False)
_JOIN = sa.insert(members)
_LEAVE = sa.delete(members).where(user_tables.MEMBERSHIP)

Membership = tuple[str, str]
"""A group's id and a user's."""


@dataclass(slots=True)
class Changes:
    """What is to be written so that a domain's rows say what its directory says."""

    users: list[DirectoryUser] = field(default_factory=list)
    groups: list[DirectoryGroup] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    join: list[Membership] = field(default_factory=list)
    leave: list[Membership] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.users or self.groups or self.gone or self.join or self.leave)


def public_id(domain_id: str, kind: str, local_id: str) -> str:
    """The id that the API shows: SHA-256 of domain, kind and local id (Keystone's `sha256` generator)."""
    return hashlib.sha256(f"{domain_id}{kind}{local_id}".encode()).hexdigest()


def entry_of(tx: Transaction, resource_id: str) -> sa.Row[Any] | None:
    """Where a user or group is in its directory; None for one of our own."""
    return tx.first(_BY_ID, {"id": resource_id})


def find_changes(
    tx: Transaction, domain_id: str, found: Sequence[DirectoryUser], groups_found: Sequence[DirectoryGroup]
) -> Changes:
    """Compare a whole directory with the rows of its domain."""
    where = {"domain_id": domain_id}
    dns = {row.id: row.dn for row in tx.all(_OF_DOMAIN, where)}
    present = {row.id: row for row in tx.all(_USERS, where) if row.id in dns}
    present_groups = {row.id: row for row in tx.all(_GROUPS, where) if row.id in dns}
    ids = {public_id(domain_id, USER, user.local_id): user for user in found}
    group_ids = {public_id(domain_id, GROUP, group.local_id): group for group in groups_found}
    wanted = _memberships(domain_id, found, group_ids)
    had = {(row.group_id, row.user_id) for row in tx.all(_MEMBERS, where) if row.group_id in dns}
    return Changes(
        users=[user for key, user in ids.items() if dns.get(key) != user.dn or _differs(present.get(key), user)],
        groups=[
            group
            for key, group in group_ids.items()
            if dns.get(key) != group.dn or _group_differs(present_groups.get(key), group)
        ],
        gone=[key for key, row in present.items() if row.enabled and key not in ids],
        join=sorted(wanted - had),
        leave=sorted(had - wanted),
    )


def _memberships(
    domain_id: str, found: Iterable[DirectoryUser], groups_by_id: Mapping[str, DirectoryGroup]
) -> set[Membership]:
    """Who is in which group, by ids; a member that is no user of the directory's is passed over."""
    by_member: dict[str, str] = {}
    for user in found:
        user_id = public_id(domain_id, USER, user.local_id)
        by_member |= {folded(user.dn): user_id, user.local_id: user_id}
    return {
        (group_id, by_member[member])
        for group_id, group in groups_by_id.items()
        for member in group.members
        if member in by_member
    }


def apply(tx: Transaction, domain_id: str, changes: Changes) -> None:
    """Write them; again changes nothing."""
    for user in changes.users:
        _store_user(tx, domain_id, user)
    for group in changes.groups:
        _store_group(tx, domain_id, group)
    for user_id in changes.gone:
        tx.execute(_DISABLE, {"key": user_id})
    _join(tx, changes.join)
    for group_id, user_id in changes.leave:
        tx.execute(_LEAVE, {"group_id": group_id, "user_id": user_id})
    if changes:
        generation.bump(tx)


def store_one(tx: Transaction, domain_id: str, user: DirectoryUser, memberships: Iterable[DirectoryGroup]) -> str:
    """Make the rows of one user say what the directory says; returns the user's id."""
    user_id = public_id(domain_id, USER, user.local_id)
    entry = entry_of(tx, user_id)
    changes = Changes()
    if entry is None or entry.dn != user.dn or _differs(tx.first(user_tables.BY_ID, {"id": user_id}), user):
        changes.users.append(user)
    wanted: set[Membership] = set()
    for group in memberships:
        group_id = public_id(domain_id, GROUP, group.local_id)
        wanted.add((group_id, user_id))
        if entry_of(tx, group_id) is None:
            changes.groups.append(group)
    rows = tx.all(user_tables.GROUP_IDS, {"user_id": user_id})
    had = {(row.group_id, user_id) for row in rows if entry_of(tx, row.group_id) is not None}
    changes.join, changes.leave = sorted(wanted - had), sorted(had - wanted)
    apply(tx, domain_id, changes)
    return user_id


def _store_user(tx: Transaction, domain_id: str, user: DirectoryUser) -> None:
    user_id = public_id(domain_id, USER, user.local_id)
    values = _values(user)
    values["name"] = _free_name(tx, domain_id, user_id, values["name"])
    if tx.first(user_tables.BY_ID, {"id": user_id}) is None:
        fixed = {"id": user_id, "domain_id": domain_id, "options": {}, "created_at": tx.now}
        tx.execute(user_tables.INSERT, {**fixed, **values})
    else:
        tx.execute(_UPDATE_USER.values(**values), {"key": user_id})
    _store_entry(tx, domain_id, USER, user)


def _store_group(tx: Transaction, domain_id: str, group: DirectoryGroup) -> None:
    group_id = public_id(domain_id, GROUP, group.local_id)
    values = _group_values(group)
    holder = tx.first(user_tables.GROUP_BY_NAME, {"domain_id": domain_id, "name": values["name"]})
    if holder is not None and holder.id != group_id:
        values["name"] = _told_apart(values["name"], group_id, GROUP_NAME_LIMIT)
    if tx.first(user_tables.GROUP_BY_ID, {"id": group_id}) is None:
        fixed = {"id": group_id, "domain_id": domain_id, "extra": {}, "created_at": tx.now}
        tx.execute(_INSERT_GROUP, {**fixed, **values})
    else:
        tx.execute(_UPDATE_GROUP.values(**values), {"key": group_id})
    _store_entry(tx, domain_id, GROUP, group)


def _store_entry(tx: Transaction, domain_id: str, kind: str, found: DirectoryUser | DirectoryGroup) -> None:
    entry_id = public_id(domain_id, kind, found.local_id)
    row = entry_of(tx, entry_id)
    if row is None:
        values = {"id": entry_id, "kind": kind, "domain_id": domain_id, "local_id": found.local_id[:255]}
        tx.execute(_INSERT, {**values, "dn": found.dn})
    elif row.dn != found.dn:
        tx.execute(_MOVED, {"key": entry_id, "new_dn": found.dn})


def _join(tx: Transaction, memberships: Iterable[Membership]) -> None:
    for group_id, user_id in memberships:
        tx.insert_once(_JOIN, {"group_id": group_id, "user_id": user_id})


def _free_name(tx: Transaction, domain_id: str, user_id: str, name: str) -> str:
    """A name is one user's: one who is gone from the directory gives it up, with all that was that user's."""
    holder = tx.first(user_tables.BY_NAME, {"domain_id": domain_id, "name": name})
    if holder is None or holder.id == user_id:
        return name
    if not holder.enabled and entry_of(tx, holder.id) is not None:
        removal.remove_user(tx, holder.id)
        return name
    return _told_apart(name, user_id, USER_NAME_LIMIT)


def _told_apart(name: str, resource_id: str, limit: int) -> str:
    """A second one of the same name: both stay, and can be told apart."""
    suffix = f" ({resource_id[:12]})"
    return name[: limit - len(suffix)] + suffix


def _values(user: DirectoryUser) -> dict[str, Any]:
    return {
        "name": user.name[:USER_NAME_LIMIT],
        "enabled": user.enabled,
        "extra": dict(user.extra),
        "default_project_id": user.default_project_id,
    }


def _group_values(group: DirectoryGroup) -> dict[str, Any]:
    return {"name": group.name[:GROUP_NAME_LIMIT], "description": group.description}


def _differs(row: sa.Row[Any] | None, user: DirectoryUser) -> bool:
    return row is None or _is_other(row, _values(user), USER_NAME_LIMIT)


def _group_differs(row: sa.Row[Any] | None, group: DirectoryGroup) -> bool:
    return row is None or _is_other(row, _group_values(group), GROUP_NAME_LIMIT)


def _is_other(row: sa.Row[Any], values: Mapping[str, Any], limit: int) -> bool:
    shown = dict(values)
    if row.name == _told_apart(values["name"], row.id, limit):
        shown["name"] = row.name
    return any(row._mapping[name] != value for name, value in shown.items())
