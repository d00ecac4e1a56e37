"""Traits: what providers are, beyond what they have. Standard ones, and custom ones that an administrator makes."""

from __future__ import annotations

import re
from typing import Annotated, Any

import sqlalchemy as sa
from msgspec import Meta
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.routes import Route
from stackyard.services.placement.answers import fresh, shows, takes
from stackyard.services.placement.faults import conflict, generation_conflict
from stackyard.services.placement.inventories import changed
from stackyard.services.placement.providers import find
from stackyard.services.placement.queries import check_keys
from stackyard.services.placement.standard import CUSTOM, standard_traits, unknown_traits
from stackyard.services.placement.tables import custom_traits, provider_traits

SINCE = Microversion(1, 6)
_CUSTOM_NAME = re.compile("CUSTOM_[A-Z0-9_]+")

_ALL = sa.select(custom_traits)
_ONE = _ALL.where(custom_traits.c.name == bindparam("key"))
_ADD = sa.insert(custom_traits)
_DELETE = sa.delete(custom_traits).where(custom_traits.c.name == bindparam("key"))
_USER = sa.select(provider_traits.c.provider).where(provider_traits.c.trait == bindparam("key")).limit(1)
_ASSOCIATED = sa.select(provider_traits.c.trait).distinct()
_OF = sa.select(provider_traits.c.trait).where(provider_traits.c.provider == bindparam("key"))
_GIVE = sa.insert(provider_traits)
_TAKE_ALL = sa.delete(provider_traits).where(provider_traits.c.provider == bindparam("key"))


class ProviderTraits(Body, kw_only=True):
    """PUT of a provider's."""

    traits: list[Annotated[str, Meta(min_length=1, max_length=255)]]
    resource_provider_generation: int


def _exists(tx: Transaction, name: str) -> Any:
    """When a trait was made; now for a standard one. Raises NotFound."""
    if name in standard_traits():
        return tx.now
    row = tx.first(_ONE, {"key": name})
    if row is None:
        raise NotFound(f"No such trait(s): {name[:255]}.")
    return row.created_at


def list_(tx: Transaction, call: Call) -> Reply:
    """GET /traits, by name (in:A,B or startswith:C) and by whether a provider has them."""
    check_keys(call, ("name", "associated"))
    custom = {row.name: row.created_at for row in tx.all(_ALL)}
    names = sorted(standard_traits()) + sorted(custom)
    wanted = call.query.get("name")
    if wanted is not None:
        word, colon, value = wanted.partition(":")
        if not colon:
            raise BadRequest(
                "Badly formatted name parameter. Expected name query string parameter in form: "
                f'?name=[in|startswith]:[name1,name2|prefix]. Got: "{wanted[:255]}"'
            )
        if word == "in":
            some = set(value.split(","))
            names = [name for name in names if name in some]
        elif word == "startswith":
            names = [name for name in names if name.startswith(value)]
    associated = call.query.get("associated")
    if associated is not None:
        if associated.lower() not in ("true", "false"):
            raise BadRequest('The query parameter "associated" only accepts "true" or "false"')
        held = {row.trait for row in tx.all(_ASSOCIATED)}
        names = [name for name in names if (name in held) == (associated.lower() == "true")]
    return fresh(call, {"traits": names}, max((custom[name] for name in names if name in custom), default=tx.now))


def show(tx: Transaction, call: Call) -> Reply:
    """GET /traits/{name}: whether there is one."""
    return fresh(call, None, _exists(tx, call.path["name"]), status=204)


def put(tx: Transaction, call: Call) -> Reply:
    """PUT /traits/{name}: have a custom trait."""
    name = call.path["name"]
    if not _CUSTOM_NAME.fullmatch(name) or len(name) > 255:
        raise BadRequest(
            "The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix "
            f'"{CUSTOM}" and use following characters: "A"-"Z", "0"-"9" and "_"'
        )
    row = tx.first(_ONE, {"key": name})
    if row is None:
        tx.insert_once(_ADD, {"name": name, "created_at": tx.now})
    moment = tx.now if row is None else row.created_at
    headers = {"Location": call.url(f"/traits/{name}")}
    return fresh(call, None, moment, status=201 if row is None else 204, headers=headers)


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /traits/{name}."""
    name = call.path["name"]
    _exists(tx, name)
    if not name.startswith(CUSTOM):
        raise BadRequest(f"Cannot delete standard trait {name}.")
    if tx.first(_USER, {"key": name}) is not None:
        raise conflict(f"The trait {name} is in use by a resource provider.")
    tx.execute(_DELETE, {"key": name})


def _of(tx: Transaction, uuid: str) -> list[str]:
    return sorted(row.trait for row in tx.all(_OF, {"key": uuid}))


def list_of_provider(tx: Transaction, call: Call) -> Reply:
    """GET .../traits."""
    row = find(tx, call.path["uuid"])
    body = {"traits": _of(tx, row.uuid), "resource_provider_generation": row.generation}
    return fresh(call, body, tx.now)


def set_of_provider(tx: Transaction, call: Call) -> Reply:
    """PUT .../traits: these and no others."""
    row, body = find(tx, call.path["uuid"]), call.body
    if body.resource_provider_generation != row.generation:
        raise generation_conflict()
    if missing := unknown_traits(tx, body.traits):
        raise BadRequest(f"No such trait {', '.join(missing)}")
    generation = row.generation + _set(tx, row.uuid, set(body.traits))
    return fresh(call, {"traits": _of(tx, row.uuid), "resource_provider_generation": generation}, tx.now)


def delete_of_provider(tx: Transaction, call: Call) -> None:
    """DELETE .../traits."""
    _set(tx, find(tx, call.path["uuid"]).uuid, set())


def _set(tx: Transaction, uuid: str, wanted: set[str]) -> bool:
    if set(_of(tx, uuid)) == wanted:
        return False
    tx.execute(_TAKE_ALL, {"key": uuid})
    if wanted:
        tx.execute(_GIVE, [{"provider": uuid, "trait": name} for name in sorted(wanted)])
    changed(tx, uuid)
    return True


_ONE_PATH = "/traits/{name}"
_PROVIDER_PATH = "/resource_providers/{uuid}/traits"
_RULE = "placement:resource_providers:traits"

ROUTES = (
    Route("GET", "/traits", shows(list_), "placement:traits:list", since=SINCE),
    Route("GET", _ONE_PATH, show, "placement:traits:show", since=SINCE),
    Route("PUT", _ONE_PATH, put, "placement:traits:update", since=SINCE),
    Route("DELETE", _ONE_PATH, delete, "placement:traits:delete", since=SINCE, status=204),
    Route("GET", _PROVIDER_PATH, shows(list_of_provider), f"{_RULE}:list", since=SINCE),
    Route("PUT", _PROVIDER_PATH, takes(set_of_provider), f"{_RULE}:update", since=SINCE, body=ProviderTraits),
    Route("DELETE", _PROVIDER_PATH, delete_of_provider, f"{_RULE}:delete", since=SINCE, status=204),
)
