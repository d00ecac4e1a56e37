"""What consumers hold of providers, as the API has it; claims.py is what changes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy as sa
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import bindparam

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.routes import Route
from stackyard.services.placement import claims
from stackyard.services.placement.answers import fresh, is_uuid_like, normal_uuid, shows, takes
from stackyard.services.placement.claims import ANY_GENERATION, Wanted
from stackyard.services.placement.inventories import ClassName
from stackyard.services.placement.providers import find
from stackyard.services.placement.standard import unknown_classes
from stackyard.services.placement.tables import allocations, consumers, providers

INCOMPLETE = "00000000-0000-0000-0000-000000000000"
"""The project and user of consumers from before either was told."""
UNKNOWN = "unknown"
"""How the type of a consumer is shown that was never told."""

Used = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Holder = Annotated[str, Meta(min_length=1, max_length=255)]
Amounts = Annotated[dict[ClassName, Used], Meta(min_length=1)]
Uuid = Annotated[str, Meta(pattern="^[0-9a-fA-F-]{36}$")]
Mappings = Annotated[
    dict[Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{0,64}$")], Annotated[list[str], Meta(min_length=1)]],
    Meta(min_length=1),
]

_OF_CONSUMER = (
    sa.select(allocations, providers.c.generation)
    .join_from(allocations, providers, providers.c.uuid == allocations.c.provider)
    .where(allocations.c.consumer == bindparam("key"))
    .order_by(allocations.c.provider, allocations.c.resource_class)
)
_CONSUMER = sa.select(consumers).where(consumers.c.uuid == bindparam("key"))
_OF_PROVIDER = (
    sa.select(allocations, consumers.c.generation)
    .join_from(allocations, consumers, consumers.c.uuid == allocations.c.consumer)
    .where(allocations.c.provider == bindparam("key"))
    .order_by(allocations.c.consumer, allocations.c.resource_class)
)


class ListedProvider(Body, kw_only=True):
    """Which provider, before 1.12."""

    uuid: str


class ListedAllocation(Body, kw_only=True):
    """What is allocated of one provider, before 1.12."""

    resource_provider: ListedProvider
    resources: Amounts


class Allocations0(Body, kw_only=True):
    """PUT before 1.8."""

    allocations: Annotated[list[ListedAllocation], Meta(min_length=1)]


class Allocations8(Allocations0, kw_only=True):
    """PUT since 1.8."""

    project_id: Holder
    user_id: Holder


class Allocation(Body, kw_only=True):
    """What is allocated of one provider, since 1.12. The generation is not looked at."""

    resources: Amounts
    generation: int | UnsetType = UNSET


class Deletable(Body, kw_only=True):
    """POST since 1.13; no allocations: the consumer's are deleted."""

    allocations: dict[Uuid, Allocation]
    project_id: Holder
    user_id: Holder


class Allocations12(Deletable, kw_only=True):
    """PUT since 1.12."""

    allocations: Annotated[dict[Uuid, Allocation], Meta(min_length=1)]


class Allocations28(Deletable, kw_only=True):
    """Since 1.28."""

    consumer_generation: int | None


class Allocations34(Allocations28, kw_only=True):
    """Since 1.34, as allocation candidates show it. The mappings are not looked at."""

    mappings: Mappings | UnsetType = UNSET


class Allocations38(Allocations34, kw_only=True):
    """Since 1.38."""

    consumer_type: Annotated[str, Meta(pattern="^[A-Z0-9_]+$", min_length=1, max_length=255)]


def body_of_one(version: Microversion) -> Any:
    """The body of a PUT."""
    kinds = ((38, Allocations38), (34, Allocations34), (28, Allocations28), (12, Allocations12), (8, Allocations8))
    return next((kind for minor, kind in kinds if version >= (1, minor)), Allocations0)


def body_of_many(version: Microversion) -> Any:
    """The body of a POST: by consumer."""
    kinds = ((38, Allocations38), (34, Allocations34), (28, Allocations28))
    kind = next((kind for minor, kind in kinds if version >= (1, minor)), Deletable)
    return Annotated[dict[Uuid, kind], Meta(min_length=1)]  # type: ignore[valid-type]


def wanted_of(body: Any) -> Wanted:
    """What a body asks for one consumer."""
    if isinstance(body, Allocations0):
        resources: dict[str, Mapping[str, int]] = {
            normal_uuid(one.resource_provider.uuid, "resource_provider"): one.resources for one in body.allocations
        }
    else:
        resources = {normal_uuid(uuid, "allocations"): one.resources for uuid, one in body.allocations.items()}
    return Wanted(
        resources,
        getattr(body, "project_id", INCOMPLETE),
        getattr(body, "user_id", INCOMPLETE),
        getattr(body, "consumer_type", None),
        getattr(body, "consumer_generation", ANY_GENERATION),
    )


def write(tx: Transaction, wanted: Mapping[str, Wanted], failed: str) -> None:
    """Have consumers hold what is wanted; what the request names and does not exist is its fault (400)."""
    names = {name for want in wanted.values() for amounts in want.resources.values() for name in amounts}
    if missing := unknown_classes(tx, names):
        raise BadRequest(f"{failed}: No such resource class {missing[0]}.")
    try:
        claims.replace(tx, wanted)
    except claims.UnknownProvider as error:
        raise BadRequest(error.message) from None


def show(tx: Transaction, call: Call) -> Reply:
    """GET /allocations/{consumer}: what it holds, which may be nothing."""
    consumer = call.path["consumer"]
    rows = tx.all(_OF_CONSUMER, {"key": consumer})
    held: dict[str, Any] = {}
    for row in rows:
        one = held.setdefault(row.provider, {"generation": row.generation, "resources": {}})
        one["resources"][row.resource_class] = row.used
    body: dict[str, Any] = {"allocations": held}
    owner = tx.first(_CONSUMER, {"key": consumer}) if rows else None
    if owner is not None and call.since(1, 12):
        body |= {"project_id": owner.project_id, "user_id": owner.user_id}
        if call.since(1, 28):
            body["consumer_generation"] = owner.generation
        if call.since(1, 38):
            body["consumer_type"] = owner.consumer_type or UNKNOWN
    return fresh(call, body, max((row.created_at for row in rows), default=tx.now))


def list_of_provider(tx: Transaction, call: Call) -> Reply:
    """GET .../allocations: by consumer."""
    provider = find(tx, call.path["uuid"])
    rows = tx.all(_OF_PROVIDER, {"key": provider.uuid})
    held: dict[str, Any] = defaultdict(lambda: {"resources": {}})
    for row in rows:
        held[row.consumer]["resources"][row.resource_class] = row.used
        if call.since(1, 28):
            held[row.consumer]["consumer_generation"] = row.generation
    body = {"allocations": held, "resource_provider_generation": provider.generation}
    return fresh(call, body, max((row.created_at for row in rows), default=tx.now))


def set_one(tx: Transaction, call: Call) -> None:
    """PUT /allocations/{consumer}: these and no others."""
    given = call.path["consumer"]
    if not is_uuid_like(given):
        raise BadRequest(f"Malformed consumer_uuid: {given[:255]}")
    consumer = normal_uuid(given, "consumer_uuid")
    write(tx, {consumer: wanted_of(call.body)}, f"Unable to allocate inventory for consumer {consumer}")


def set_many(tx: Transaction, call: Call) -> None:
    """POST /allocations: those of several consumers, all or none."""
    wanted = {normal_uuid(uuid, "consumer_uuid"): wanted_of(body) for uuid, body in call.body.items()}
    write(tx, wanted, "Unable to allocate inventory")


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /allocations/{consumer}."""
    consumer = call.path["consumer"]
    if not claims.release(tx, [consumer]):
        raise NotFound(f"No allocations for consumer '{consumer[:255]}'")


_ONE = "/allocations/{consumer}"

ROUTES = (
    Route("POST", "/allocations", takes(set_many), "placement:allocations:manage", since=Microversion(1, 13),
          body=body_of_many, status=204),
    Route("GET", _ONE, shows(show), "placement:allocations:list"),
    Route("PUT", _ONE, takes(set_one), "placement:allocations:update", body=body_of_one, status=204),
    Route("DELETE", _ONE, delete, "placement:allocations:delete", status=204),
    Route("GET", "/resource_providers/{uuid}/allocations", shows(list_of_provider),
          "placement:resource_providers:allocations:list"),
)  # fmt: skip
