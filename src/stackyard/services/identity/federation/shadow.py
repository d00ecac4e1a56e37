"""The user here who stands for somebody of an identity provider: found or made at each sign-in, and kept up to date."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Moment, Transaction
from stackyard.core.errors import Conflict, NotFound, Unauthorized
from stackyard.services.identity import changes, generation
from stackyard.services.identity.federation import projects, tables
from stackyard.services.identity.federation.identity_providers import find_provider, lifetime
from stackyard.services.identity.federation.mapping.engine import Mapped, MappingError
from stackyard.services.identity.federation.references import domain_id
from stackyard.services.identity.federation.tables import memberships
from stackyard.services.identity.federation.way_in import WayIn
from stackyard.services.identity.tokens.payload import Federation
from stackyard.services.identity.users import tables as user_tables
from stackyard.services.identity.users.tables import users

MAX_GROUPS = 256
"""Groups that a token can name: it travels in a header of each request."""

_UPDATE = sa.update(users).where(users.c.id == bindparam("key"))
_JOIN = sa.insert(memberships)
_ONE = sa.and_(
    memberships.c.user_id == bindparam("of_user"),
    memberships.c.group_id == bindparam("in_group"),
    memberships.c.idp_id == bindparam("by_idp"),
)
_RENEW = (
    sa.update(memberships)
    .where(_ONE)
    .values(verified_at=bindparam("verified", type_=Moment), expires_at=bindparam("end", type_=Moment))
)
_LEAVE = sa.delete(memberships).where(_ONE)


def enter(tx: Transaction, call: Call, way: WayIn, mapped: Mapped) -> tuple[Row[Any], Federation | None]:
    """The user that somebody is here, and where he signed in; None for a local user, who has no part in it.

    Raises Unauthorized when the mapping names what there is not.
    """
    try:
        groups = _groups(tx, mapped, way.mapping_id)
        if mapped.is_local:
            return _local_user(tx, mapped.user), None
        idp = find_provider(tx, way.idp_id)
        user = _shadow(tx, call, (idp, way.protocol_id), mapped)
        projects.provision(tx, call, (idp, user), mapped.projects, way.version)
    except MappingError as error:
        raise Unauthorized(str(error)) from None
    _set_groups(tx, call, user.id, idp, groups)
    return user, Federation(way.idp_id, way.protocol_id, tuple(groups))


def _groups(tx: Transaction, mapped: Mapped, mapping_id: str) -> list[str]:
    """The ids of the groups that the mapping names; names of groups that there are not are passed over."""
    found: dict[str, None] = {}
    for group_id in mapped.group_ids:
        if tx.first(user_tables.GROUP_BY_ID, {"id": group_id}) is None:
            raise MappingError(f"Group {group_id} returned by mapping {mapping_id} was not found.")
        found[group_id] = None
    for group in mapped.groups:
        keys = {"domain_id": domain_id(tx, group["domain"]), "name": group["name"]}
        row = tx.first(user_tables.GROUP_BY_NAME, keys)
        if row is not None:
            found[row.id] = None
    if len(found) > MAX_GROUPS:
        raise MappingError(f"Mapping {mapping_id} puts the user into more than {MAX_GROUPS} groups.")
    return sorted(found)


def _local_user(tx: Transaction, user: dict[str, Any]) -> Row[Any]:
    """A user who is here already, by id, or by name and domain."""
    row = None
    if user.get("id"):
        row = tx.first(user_tables.BY_ID, {"id": user["id"]})
    elif user.get("name") and user.get("domain"):
        row = tx.first(user_tables.BY_NAME, {"domain_id": domain_id(tx, user["domain"]), "name": user["name"]})
    if row is None:
        raise MappingError("The mapping names a local user who is not here, by id, or by name and domain.")
    return row


def _shadow(tx: Transaction, call: Call, way_in: tuple[Row[Any], str], mapped: Mapped) -> Row[Any]:
    idp, protocol_id = way_in
    name, unique_id = _names(mapped.user)
    keys = {"idp": idp.id, "protocol": protocol_id, "unique": unique_id}
    known = tx.first(tables.FEDERATED_USER, keys)
    if known is None:
        domain = domain_id(tx, mapped.user.get("domain") or {"id": idp.domain_id})
        user_id = _insert(tx, call, unique_id, name, domain)
        values = {"idp_id": idp.id, "protocol_id": protocol_id, "unique_id": unique_id, "user_id": user_id}
        tx.execute(tables.LINK, values)
    else:
        user_id = known.user_id
    return _brought_up_to_date(tx, call, user_id, name, mapped.user.get("email"))


def _names(user: dict[str, Any]) -> tuple[str, str]:
    """What the user is called, and what tells him from others of the same provider and protocol.

    Keystone takes REMOTE_USER where a mapping gives neither; here that is a header like others, and a mapping that
    wants it must say so, lest a proxy that does not set it passes on what a client sent.
    """
    unique, name = user.get("id"), user.get("name")
    if not unique and not name:
        raise MappingError(
            "Could not map user while setting ephemeral user identity. Mapping rules must specify user id or name, for "
            "instance from the remote attribute REMOTE_USER."
        )
    unique_id = quote(unique or name or "")
    name = name or unique or ""
    if len(name) > 255 or len(unique_id) > 255 or "\x00" in name or not name.strip():
        raise MappingError("The user's name or id is blank, has more than 255 characters or holds a NUL character.")
    return name, unique_id


def _insert(tx: Transaction, call: Call, unique_id: str, name: str, domain: str) -> str:
    # The same id for the same person each time, as Keystone makes it, so that assignments outlive the provider's entry.
    user_id = hashlib.sha256(f"{domain}user{unique_id}".encode()).hexdigest()
    if tx.first(user_tables.BY_ID, {"id": user_id}) is not None:
        raise Conflict(
            "Conflict occurred attempting to store federated_user - another protocol or provider of the same domain "
            f"has brought a user {unique_id}. Link them by the user's federated attribute."
        )
    values: dict[str, Any] = {
        "id": user_id,
        "name": name,
        "namespace": user_id,
        "domain_id": domain,
        "enabled": True,
        "default_project_id": None,
        "password_hash": None,
        "password_created_at": None,
        "password_expires_at": None,
        "options": {},
        "extra": {},
        "created_at": tx.now,
    }
    tx.execute(user_tables.INSERT, values)
    changes.note(tx, call, "user", user_id)
    return user_id


def _brought_up_to_date(tx: Transaction, call: Call, user_id: str, name: str, email: str | None) -> Row[Any]:
    """The user's row, with the name and address that the provider says now."""
    user = _read(tx, user_id)
    values: dict[str, Any] = {}
    if user.name != name and user.namespace != user_tables.LOCAL:
        values["name"] = name
    if email and user.extra.get("email") != email:
        values["extra"] = {**user.extra, "email": email}
    if not values:
        return user
    tx.execute(_UPDATE.values(**values), {"key": user_id})
    changes.note(tx, call, "user", user_id)
    return _read(tx, user_id)


def _read(tx: Transaction, user_id: str) -> Row[Any]:
    user = tx.first(user_tables.BY_ID, {"id": user_id})
    if user is None:
        raise NotFound(f"Could not find user: {user_id}.")
    return user


def _set_groups(tx: Transaction, call: Call, user_id: str, idp: Row[Any], groups: Sequence[str]) -> None:
    """Record what this provider says of the user's groups now; only what changes anything ends what is in memory."""
    end = tx.now + lifetime(call, idp.authorization_ttl)
    before: dict[str, datetime] = {
        row.group_id: row.expires_at for row in tx.all(tables.MEMBERSHIPS, {"user_id": user_id, "idp": idp.id})
    }
    for group_id in groups:
        keys = {"of_user": user_id, "in_group": group_id, "by_idp": idp.id}
        if group_id in before:
            tx.execute(_RENEW, {**keys, "verified": tx.now, "end": end})
        else:
            values = {"user_id": user_id, "group_id": group_id, "idp_id": idp.id}
            tx.execute(_JOIN, {**values, "verified_at": tx.now, "expires_at": end})
    for group_id in set(before) - set(groups):
        tx.execute(_LEAVE, {"of_user": user_id, "in_group": group_id, "by_idp": idp.id})
    revived = end > tx.now and any(before[group_id] <= tx.now for group_id in groups if group_id in before)
    if set(before) != set(groups) or revived:
        generation.bump(tx)
