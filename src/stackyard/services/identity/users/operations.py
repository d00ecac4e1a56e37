"""Users: list, show, create, update, delete; creation and update are edge operations, for the password's sake."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.core.ids import new_hex
from stackyard.core.paging import Filter, Listing
from stackyard.services.identity import attributes, changes, passwords
from stackyard.services.identity.assignments import reach
from stackyard.services.identity.directory import sync
from stackyard.services.identity.federation import users as federated
from stackyard.services.identity.listing import collection, in_callers_domain, switch, texts
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.projects import views as project_views
from stackyard.services.identity.targets import default_domain, the
from stackyard.services.identity.tokens import revocations
from stackyard.services.identity.users import activity, expiry, lockout, password_rules, removal, tables, views
from stackyard.services.identity.users.bodies import NewUser, UserChange, UserOptions
from stackyard.services.identity.users.tables import users

LISTING = Listing(
    users,
    {
        "domain_id": Filter(users.c.domain_id),
        "enabled": Filter(users.c.enabled, read=switch),
        "default_project_id": Filter(users.c.default_project_id),
        **texts("name", users.c.name),
    },
    sort_keys=("name",),
    default_sort=(("name", "asc"),),
)
_UPDATE = sa.update(users).where(users.c.id == bindparam("key"))


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """Users."""
    scope = federated.narrowed(in_callers_domain(call, users.c.domain_id), call, users.c.id)
    page = LISTING.page(tx, call.query, expiry.narrowed(scope, call))
    return collection(call, "users", views.views(tx, call, page.rows), page)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One user."""
    return {"user": _shown(tx, call, the(call, "user"))}


def _shown(tx: Transaction, call: Call, row: Row[Any]) -> dict[str, Any]:
    return {**views.view(tx, call, row), **federated.shown(tx, row.id)}


def _check_options(options: UserOptions | UnsetType) -> None:
    if options is not UNSET:
        options.check()


async def _hashed(call: Call, password: str | UnsetType | None) -> str | None:
    """The hash of a password that an administrator sets; raises BadRequest for one that nobody may have."""
    if not isinstance(password, str):
        return None
    password_rules.check_new(call.runtime.settings.password, password)
    passwords.on_behalf_of(call.request)
    return await passwords.in_pool(passwords.hash_password, password)


async def create(call: Call) -> dict[str, Any]:
    """Make a user."""
    asked, extra = attributes.read(call.body, NewUser, "user")
    _check_options(asked.options)
    hashed = await _hashed(call, asked.password)
    return await call.write("create user", _create, call, asked, extra, hashed)


def _create(tx: Transaction, call: Call, asked: NewUser, extra: dict[str, Any], hashed: str | None) -> dict[str, Any]:
    domain_id = asked.domain_id or default_domain(call)
    check_domain(tx, domain_id)
    sync.refuse_new(tx, domain_id, "user")
    _check_default_project(tx, asked.default_project_id)
    name = asked.name.strip()
    _check_name_free(tx, domain_id, name)
    user_id = new_hex()
    options = attributes.new_options(asked.options)
    rules = call.runtime.settings.password
    values = {
        "id": user_id,
        "name": name,
        "domain_id": domain_id,
        "enabled": asked.enabled,
        "default_project_id": asked.default_project_id,
        **password_rules.columns(rules, options, hashed, tx.now, chosen_by_user=False),
        "options": options,
        "extra": extra,
        "created_at": tx.now,
    }
    tx.execute(tables.INSERT, values)
    federated.link(tx, call, _read(tx, user_id), asked.federated or [])
    changes.note(tx, call, "user", user_id)
    return {"user": _shown(tx, call, _read(tx, user_id))}


def check_domain(tx: Transaction, domain_id: str) -> None:
    """Raise NotFound unless there is such a domain."""
    row = tx.first(project_tables.BY_ID, {"id": domain_id})
    if row is None or not row.is_domain:
        raise NotFound(f"Could not find domain: {domain_id}.")


def _check_default_project(tx: Transaction, project_id: str | None) -> None:
    row = tx.first(project_tables.BY_ID, {"id": project_id}) if project_id else None
    if row is not None and row.is_domain:
        raise BadRequest("User's default project ID cannot be a domain ID.")


def _check_name_free(tx: Transaction, domain_id: str, name: str) -> None:
    if tx.first(tables.BY_NAME, {"domain_id": domain_id, "name": name}) is not None:
        raise Conflict(
            f"Conflict occurred attempting to store user - Duplicate entry found with name {name} "
            f"at domain ID {domain_id}."
        )


def _read(tx: Transaction, user_id: str) -> Row[Any]:
    row = tx.first(tables.BY_ID, {"id": user_id})
    if row is None:
        raise NotFound(f"Could not find user: {user_id}.")
    return row


async def update(call: Call) -> dict[str, Any]:
    """Change a user."""
    row = the(call, "user")
    asked, extra = attributes.changes(call.body, UserChange, "user", row.id)
    _check_options(asked.options)
    if asked.domain_id is not UNSET and asked.domain_id != row.domain_id:
        raise BadRequest("Cannot change Domain ID")
    hashed = await _hashed(call, asked.password)
    return await call.write("update user", _update, call, asked, extra, hashed)


def _update(
    tx: Transaction, call: Call, asked: UserChange, extra: dict[str, Any], hashed: str | None
) -> dict[str, Any]:
    row = _read(tx, call.path["user_id"])
    sync.refuse_change(tx, row.id)
    name = row.name if asked.name is UNSET else asked.name.strip()
    if name != row.name and row.namespace == tables.LOCAL:
        _check_name_free(tx, row.domain_id, name)
    options = attributes.new_options(asked.options, row.options)
    values: dict[str, Any] = {
        "name": name,
        "enabled": row.enabled if asked.enabled is UNSET else asked.enabled,
        "options": options,
        "extra": attributes.merged(row.extra, extra),
    }
    if asked.default_project_id is not UNSET:
        _check_default_project(tx, asked.default_project_id)
        values["default_project_id"] = asked.default_project_id
    if asked.password is not UNSET:
        rules = call.runtime.settings.password
        lockout.keep_former(tx, rules, row.id, row.password_hash)
        values |= password_rules.columns(rules, options, hashed, tx.now, chosen_by_user=False)
    tx.execute(_UPDATE.values(**values), {"key": row.id})
    if asked.password is not UNSET or (row.enabled and not values["enabled"]):
        revocations.revoke(tx, user_id=row.id)
    if asked.enabled is True:
        lockout.forget_failures(tx, row.id)
        activity.note(tx, row.id)
    federated.link(tx, call, row, asked.federated or [])
    changes.note(tx, call, "user", row.id)
    return {"user": _shown(tx, call, _read(tx, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """Delete a user."""
    user_id = the(call, "user").id
    sync.refuse_change(tx, user_id)
    removal.remove_user(tx, user_id)


def list_projects(tx: Transaction, call: Call) -> dict[str, Any]:
    """The projects that a user has a role on."""
    rows = reach.projects_of_user(tx, the(call, "user").id)
    for parameter in ("domain_id", "name", "parent_id"):
        wanted = call.query.get(parameter)
        if wanted is not None:
            rows = [row for row in rows if row._mapping[parameter] == wanted]
    enabled = call.query.get("enabled")
    if enabled is not None:
        rows = [row for row in rows if row.enabled == switch("enabled", enabled)]
    return collection(call, "projects", project_views.views(tx, call, rows))
