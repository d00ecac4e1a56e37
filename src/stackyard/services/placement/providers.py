"""Resource providers: what has inventories; a tree each, of which most have one member only."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, NotFound
from stackyard.core.routes import Route
from stackyard.services.placement import api, queries, world
from stackyard.services.placement.answers import fresh, latest, normal_uuid, provider_path, shows, takes
from stackyard.services.placement.faults import DUPLICATE_NAME, conflict, no_provider
from stackyard.services.placement.standard import unknown_classes, unknown_traits
from stackyard.services.placement.tables import SHAPE, providers

NAME = Annotated[str, Meta(max_length=200)]

_p = providers.c
_ONE = sa.select(providers).where(_p.uuid == bindparam("key"))
_SAME = sa.select(_p.uuid, _p.name).where(sa.or_(_p.uuid == bindparam("key"), _p.name == bindparam("called")))
_ADD = sa.insert(providers)
_UPDATE = (
    sa.update(providers)
    .where(_p.uuid == bindparam("key"))
    .values(name=bindparam("called"), parent=bindparam("above"), updated_at=bindparam("at"))
)
_MOVE = sa.update(providers).where(_p.uuid.in_(bindparam("keys", expanding=True))).values(root=bindparam("new_root"))
_TREE = sa.select(_p.uuid, _p.parent).where(_p.root == bindparam("key"))
_ALL = sa.select(providers).order_by(_p.created_at, _p.uuid)
_CLAUSES = {
    "uuid": _p.uuid == bindparam("uuid"),
    "name": _p.name == bindparam("name"),
    "root": _p.root == bindparam("root"),
}
_lists: dict[tuple[str, ...], sa.Select[Any]] = {}


class NewProvider(Body, kw_only=True):
    """POST before 1.14."""

    name: NAME
    uuid: str | UnsetType = UNSET


class NewNestedProvider(NewProvider, kw_only=True):
    """POST since 1.14."""

    parent_provider_uuid: str | UnsetType | None = UNSET


class ProviderChanges(Body, kw_only=True):
    """PUT before 1.14."""

    name: NAME


class NestedProviderChanges(ProviderChanges, kw_only=True):
    """PUT since 1.14."""

    parent_provider_uuid: str | UnsetType | None = UNSET


def _nested(new: type[Any], old: type[Any]) -> Any:
    return lambda version: new if version >= (1, 14) else old


def find(tx: Transaction, uuid: str) -> Any:
    """A provider's row; raises NotFound."""
    row = tx.first(_ONE, {"key": uuid})
    if row is None:
        raise no_provider(uuid)
    return row


def view(call: Call, row: Any) -> dict[str, Any]:
    """A provider as the API shows it."""
    where = provider_path(call, row.uuid)
    parts = ["inventories", "usages"]
    parts += [part for part, minor in (("aggregates", 1), ("traits", 6), ("allocations", 11)) if call.since(1, minor)]
    links = [{"rel": "self", "href": where}, *({"rel": part, "href": f"{where}/{part}"} for part in parts)]
    shown: dict[str, Any] = {"uuid": row.uuid, "name": row.name, "generation": row.generation, "links": links}
    if call.since(1, 14):
        shown |= {"parent_provider_uuid": row.parent, "root_provider_uuid": row.root}
    return shown


def list_(tx: Transaction, call: Call) -> Reply:
    """GET /resource_providers."""
    known = ["name", "uuid"]
    known += [key for key, minor in (("member_of", 3), ("resources", 4), ("in_tree", 14), ("required", 18))
              if call.since(1, minor)]  # fmt: skip
    queries.check_keys(call, known)
    for key in ("uuid", "in_tree"):
        queries.check_uuid(key, call.query.get(key))
    members = queries.member_of(call, "member_of")
    traits = queries.traits(call, "required")
    text = call.query.get("resources")
    resources = {} if text is None else queries.resources(text)
    _check_names(tx, resources, traits)
    rows = _rows(tx, call)
    if resources or members.required or members.forbidden or traits.required or traits.forbidden:
        everything = world.read(tx)
        rows = [row for row in rows if everything.has(row.uuid, resources, traits, members)]
    body = {"resource_providers": [view(call, row) for row in rows]}
    return fresh(call, body, latest(rows, tx.now))


def _check_names(tx: Transaction, resources: dict[str, int], traits: queries.Traits) -> None:
    if missing := unknown_classes(tx, resources):
        raise BadRequest(f"Invalid resource class in resources parameter: No such resource class {missing[0]}.")
    if missing := unknown_traits(tx, traits.names()):
        raise BadRequest(f'Invalid trait(s) in "required" parameter: No such trait(s): {", ".join(missing)}.')


def _rows(tx: Transaction, call: Call) -> list[Any]:
    wanted = {key: call.query.get(key) for key in ("uuid", "name") if call.query.get(key) is not None}
    tree = call.query.get("in_tree")
    if tree is not None:
        row = tx.first(_ONE, {"key": tree})
        if row is None:
            return []
        wanted["root"] = row.root
    key = tuple(wanted)
    if key not in _lists:
        _lists[key] = _ALL.where(*(_CLAUSES[name] for name in key))
    return list(tx.all(_lists[key], wanted))


def show(tx: Transaction, call: Call) -> Reply:
    """GET /resource_providers/{uuid}."""
    row = find(tx, call.path["uuid"])
    return fresh(call, view(call, row), row.updated_at)


def create(tx: Transaction, call: Call) -> Reply:
    """POST /resource_providers: 201 without a body, since 1.20 a 200 with one."""
    body = call.body
    uuid = ids.new_uuid() if body.uuid is UNSET else normal_uuid(body.uuid, "uuid")
    parent = getattr(body, "parent_provider_uuid", UNSET)
    parent = None if parent in (UNSET, None) else normal_uuid(str(parent), "parent_provider_uuid")
    failed = f'Unable to create resource provider "{body.name}", {uuid}: Object action create failed because: '
    if not body.name:
        raise BadRequest(f"{failed}name is required")
    same = [f"uuid: {uuid}" if row.uuid == uuid else f"name: {body.name}"
            for row in tx.all(_SAME, {"key": uuid, "called": body.name})]  # fmt: skip
    if same:
        raise conflict(f"Conflicting resource provider {', '.join(same)} already exists.", DUPLICATE_NAME)
    root = uuid
    if parent is not None:
        if parent == uuid:
            raise BadRequest(
                f"{failed}parent provider UUID cannot be same as UUID. "
                "Please set parent provider UUID to None if there is no parent."
            )
        above = tx.first(_ONE, {"key": parent})
        if above is None:
            raise BadRequest(f"{failed}parent provider UUID does not exist.")
        root = above.root
    new = {"uuid": uuid, "name": body.name, "generation": 0, "parent": parent, "root": root}
    tx.execute(_ADD, new | {"created_at": tx.now, "updated_at": tx.now})
    SHAPE.bump(tx)
    headers = {"Location": call.url(f"/resource_providers/{uuid}")}
    if call.since(1, 20):
        return fresh(call, view(call, find(tx, uuid)), tx.now, status=200, headers=headers)
    return Reply(status=201, headers=headers)


def update(tx: Transaction, call: Call) -> Reply:
    """PUT /resource_providers/{uuid}: another name; since 1.14 a parent, since 1.37 another one or none."""
    row, body = find(tx, call.path["uuid"]), call.body
    others = tx.all(_SAME, {"key": row.uuid, "called": body.name})
    if any(other.uuid != row.uuid for other in others):
        raise conflict(f"Conflicting resource provider {body.name} already exists.", DUPLICATE_NAME)
    if not body.name:
        raise _not_saved(row.uuid, "name is required")
    given = getattr(body, "parent_provider_uuid", UNSET)
    parent = row.parent
    if given is not UNSET:
        parent = None if given is None else normal_uuid(str(given), "parent_provider_uuid")
    if parent != row.parent:
        _move(tx, call, row, parent)
    tx.execute(_UPDATE, {"key": row.uuid, "called": body.name, "above": parent, "at": tx.now})
    SHAPE.bump(tx)
    return fresh(call, view(call, find(tx, row.uuid)), tx.now)


def _not_saved(uuid: str, why: str) -> ApiError:
    return BadRequest(f"Unable to save resource provider {uuid}: Object action update failed because: {why}")


def _move(tx: Transaction, call: Call, row: Any, parent: str | None) -> None:
    """Check that a provider may go below another one (or none), and tell those below it of their new root."""
    if row.parent is not None and not call.since(1, 37):
        word = "un-parenting" if parent is None else "re-parenting"
        raise _not_saved(row.uuid, f"{word} a provider is not currently allowed.")
    below = _subtree(tx, row)
    root = row.uuid
    if parent is not None:
        above = tx.first(_ONE, {"key": parent})
        if above is None:
            raise _not_saved(row.uuid, "parent provider UUID does not exist.")
        if parent in below:
            raise _not_saved(row.uuid, "creating loop in the provider tree is not allowed.")
        root = above.root
    tx.execute(_MOVE, {"keys": sorted(below), "new_root": root})


def _subtree(tx: Transaction, row: Any) -> set[str]:
    """A provider and all that are below it."""
    children: dict[str | None, list[str]] = {}
    for one in tx.all(_TREE, {"key": row.root}):
        children.setdefault(one.parent, []).append(one.uuid)
    found: set[str] = set()
    waiting = [row.uuid]
    while waiting:
        uuid = waiting.pop()
        found.add(uuid)
        waiting += children.get(uuid, [])
    return found


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /resource_providers/{uuid}."""
    uuid = call.path["uuid"]
    if tx.first(_ONE, {"key": uuid}) is None:
        raise NotFound(f"No resource provider with uuid {uuid[:255]} found for delete")
    api.remove_provider(tx, uuid)


_PROVIDER = "/resource_providers/{uuid}"
_RULE = "placement:resource_providers"

ROUTES = (
    Route("GET", "/resource_providers", shows(list_), f"{_RULE}:list"),
    Route(
        "POST", "/resource_providers", takes(create), f"{_RULE}:create", body=_nested(NewNestedProvider, NewProvider)
    ),
    Route("GET", _PROVIDER, shows(show), f"{_RULE}:show"),
    Route("PUT", _PROVIDER, takes(update), f"{_RULE}:update", body=_nested(NestedProviderChanges, ProviderChanges)),
    Route("DELETE", _PROVIDER, delete, f"{_RULE}:delete", status=204),
)
