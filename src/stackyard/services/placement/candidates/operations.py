"""GET /allocation_candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.microversion import Microversion
from stackyard.core.routes import Route
from stackyard.services.placement import world
from stackyard.services.placement.answers import fresh, shows
from stackyard.services.placement.candidates import request as requests
from stackyard.services.placement.candidates.request import Request
from stackyard.services.placement.candidates.search import Candidate, search
from stackyard.services.placement.standard import unknown_classes, unknown_traits
from stackyard.services.placement.world import Provider, World


def list_(tx: Transaction, call: Call) -> Reply:
    """What could be allocated, and the providers concerned."""
    request = requests.read(call)
    if missing := unknown_classes(tx, request.classes()):
        raise BadRequest(f"Invalid resource class in resources parameter: No such resource class {missing[0]}.")
    if missing := unknown_traits(tx, request.traits()):
        raise BadRequest(f"No such trait(s): {', '.join(missing)}.")
    everything = world.read(tx)
    found = search(everything, request)
    body = {
        "allocation_requests": [_view(call, one) for one in found],
        "provider_summaries": _summaries(call, everything, request, found),
    }
    return fresh(call, body, tx.now)


def _view(call: Call, one: Candidate) -> dict[str, Any]:
    if not call.since(1, 12):
        listed = [{"resource_provider": {"uuid": uuid}, "resources": some} for uuid, some in one.allocations.items()]
        return {"allocations": listed}
    shown: dict[str, Any] = {"allocations": {uuid: {"resources": some} for uuid, some in one.allocations.items()}}
    if call.since(1, 34):
        shown["mappings"] = one.mappings
    return shown


def _summaries(call: Call, everything: World, request: Request, found: Sequence[Candidate]) -> dict[str, Any]:
    """All of the trees that take part; for old askers, who know of no trees, the providers themselves."""
    shape = everything.shape
    used = dict.fromkeys(uuid for one in found for uuid in one.allocations)
    if call.since(1, 29) or not shape.is_nested:
        roots = dict.fromkeys(shape.providers[uuid].root for uuid in used)
        shown = [provider for root in roots for provider in shape.trees[root]]
    else:
        shown = [shape.providers[uuid] for uuid in used]
    classes = None if call.since(1, 27) else request.classes()
    return {provider.uuid: _summary(call, everything, provider, classes) for provider in shown}


def _summary(call: Call, everything: World, provider: Provider, classes: set[str] | None) -> dict[str, Any]:
    resources = {
        name: {"capacity": int(stock.capacity), "used": everything.used.get((provider.uuid, name), 0)}
        for name, stock in provider.stock.items()
        if classes is None or name in classes
    }
    shown: dict[str, Any] = {"resources": resources}
    if call.since(1, 17):
        shown["traits"] = sorted(provider.traits)
    if call.since(1, 29):
        shown |= {"parent_provider_uuid": provider.parent, "root_provider_uuid": provider.root}
    return shown


ROUTES = (
    Route(
        "GET",
        "/allocation_candidates",
        shows(list_),
        "placement:allocation_candidates:list",
        since=Microversion(1, 10),
    ),
)
