"""Groups and who is in them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.core.ids import new_hex
from stackyard.core.paging import Filter, Listing, Scope
from stackyard.services.identity import attributes
from stackyard.services.identity.directory import sync
from stackyard.services.identity.federation import users as federated
from stackyard.services.identity.listing import collection, in_callers_domain, texts
from stackyard.services.identity.targets import default_domain, the
from stackyard.services.identity.users import expiry, removal, tables, views
from stackyard.services.identity.users.bodies import GroupChange, NewGroup
from stackyard.services.identity.users.operations import LISTING as USERS
from stackyard.services.identity.users.operations import check_domain
from stackyard.services.identity.users.tables import groups, members, present_members, users

LISTING = Listing(
    groups,
    {"domain_id": Filter(groups.c.domain_id), **texts("name", groups.c.name)},
    sort_keys=("name",),
    default_sort=(("name", "asc"),),
)
_INSERT = sa.insert(groups)
_UPDATE = sa.update(groups).where(groups.c.id == bindparam("key"))
_MEMBER = sa.select(members).where(tables.MEMBERSHIP)
_JOIN = sa.insert(members)
_LEAVE = sa.delete(members).where(tables.MEMBERSHIP)
_IN_GROUP = users.c.id.in_(sa.select(members.c.user_id).where(members.c.group_id == bindparam("in_group")))
_OF_USER = groups.c.id.in_(
    sa.select(present_members.c.group_id).where(present_members.c.user_id == bindparam("of_user"))
)
_PRESENT = sa.select(present_members).where(
    present_members.c.group_id == bindparam("group_id"), present_members.c.user_id == bindparam("user_id")
)


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Groups."""
    page = LISTING.page(tx, call.query, in_callers_domain(call, groups.c.domain_id))
    return collection(call, "groups", [views.group_view(call, row) for row in page.rows], page)


def list_of_user(tx: Transaction, call: Call) -> dict[str, Any]:
    """The groups that a user is in, and until when where an identity provider's word has put him there."""
    own = in_callers_domain(call, groups.c.domain_id)
    where = _OF_USER if own.where is None else sa.and_(_OF_USER, own.where)
    user_id = the(call, "user").id
    scope = Scope(f"of user {own.name}", where, {**own.parameters, "of_user": user_id, "now": tx.now})
    page = LISTING.page(tx, call.query, scope)
    ends = federated.ends(tx, user_id)
    items = [{**views.group_view(call, row), "membership_expires_at": ends.get(row.id)} for row in page.rows]
    return collection(call, "groups", items, page)


def list_users(tx: Transaction, call: Call) -> dict[str, Any]:
    """The users in a group."""
    own = in_callers_domain(call, users.c.domain_id)
    where = _IN_GROUP if own.where is None else sa.and_(_IN_GROUP, own.where)
    scope = Scope(f"in group {own.name}", where, {**own.parameters, "in_group": the(call, "group").id})
    page = USERS.page(tx, call.query, expiry.narrowed(scope, call))
    return collection(call, "users", views.views(tx, call, page.rows), page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One group."""
    del tx
    return {"group": views.group_view(call, the(call, "group"))}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make a group."""
    asked, extra = attributes.read(call.body, NewGroup, "group")
    domain_id = asked.domain_id or default_domain(call)
    check_domain(tx, domain_id)
    sync.refuse_new(tx, domain_id, "group")
    _check_name_free(tx, domain_id, asked.name)
    group_id = new_hex()
    values = {"id": group_id, "name": asked.name, "domain_id": domain_id, "description": asked.description or ""}
    tx.execute(_INSERT, {**values, "extra": extra, "created_at": tx.now})
    return {"group": views.group_view(call, _read(tx, group_id))}


def _read(tx: Transaction, group_id: str) -> Row[Any]:
    row = tx.first(tables.GROUP_BY_ID, {"id": group_id})
    if row is None:
        raise NotFound(f"Could not find group: {group_id}.")
    return row


def _check_name_free(tx: Transaction, domain_id: str, name: str) -> None:
    if tx.first(tables.GROUP_BY_NAME, {"domain_id": domain_id, "name": name}) is not None:
        raise Conflict(
            f"Conflict occurred attempting to store group - Duplicate entry found with name {name} "
            f"at domain ID {domain_id}."
        )


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Change a group."""
    row = the(call, "group")
    sync.refuse_change(tx, row.id)
    asked, extra = attributes.changes(call.body, GroupChange, "group", row.id)
    if asked.domain_id is not UNSET and asked.domain_id != row.domain_id:
        raise BadRequest("Cannot change Domain ID")
    name = row.name if asked.name is UNSET else asked.name
    if name != row.name:
        _check_name_free(tx, row.domain_id, name)
    description = row.description if asked.description is UNSET else asked.description or ""
    values = {"name": name, "description": description, "extra": attributes.merged(row.extra, extra)}
    tx.execute(_UPDATE.values(**values), {"key": row.id})
    return {"group": views.group_view(call, _read(tx, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """Delete a group; its members lose the roles they had by it."""
    group_id = the(call, "group").id
    sync.refuse_change(tx, group_id)
    removal.remove_group(tx, group_id)


def add_user(tx: Transaction, call: Call) -> None:
    """Put a user into a group; again changes nothing."""
    keys = _keys(call)
    sync.refuse_change(tx, keys["group_id"])
    if tx.first(_MEMBER, keys) is None:
        tx.execute(_JOIN, keys)


def check_user(tx: Transaction, call: Call) -> None:
    """Whether a user is in a group."""
    keys = _keys(call)
    if tx.first(_PRESENT, {**keys, "now": tx.now}) is None:
        raise _no_member(keys)


def _no_member(keys: dict[str, str]) -> NotFound:
    return NotFound(f"User '{keys['user_id']}' not found in group '{keys['group_id']}'")


def remove_user(tx: Transaction, call: Call) -> None:
    """Take a user out of a group."""
    keys = _keys(call)
    sync.refuse_change(tx, keys["group_id"])
    if tx.execute(_LEAVE, keys).rowcount == 0:
        raise _no_member(keys)


def _keys(call: Call) -> dict[str, str]:
    return {"user_id": the(call, "user").id, "group_id": the(call, "group").id}
