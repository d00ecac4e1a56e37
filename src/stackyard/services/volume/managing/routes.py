"""The routes of taking over and letting go, and the rules on them."""

from __future__ import annotations

from typing import Any

from stackyard.core.actions import Action
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume.managing import operations
from stackyard.services.volume.rules import ADMIN

_VOLUMES, _SNAPSHOTS = "volume_extension", "snapshot_extension"
_QUERY = ("host", "cluster", "limit", "offset", "sort")

VOLUME_ACTIONS = (Action(name="os-unmanage", operation=operations.unmanage, rule=f"{_VOLUMES}:volume_unmanage"),)
SNAPSHOT_ACTIONS = (
    Action(name="os-unmanage", operation=operations.unmanage_snapshot, rule=f"{_SNAPSHOTS}:snapshot_unmanage"),
)


def _routes(base: str, what: str, **options: Any) -> tuple[Route, ...]:
    brief, full = (operations.listing(what, detailed=detailed) for detailed in (False, True))
    rule = f"{_VOLUMES if what == 'volumes' else _SNAPSHOTS}:list_manageable"
    found = (
        Route("GET", base, brief, rule, edge=True, query=_QUERY, **options),
        Route("GET", f"{base}/detail", full, rule, edge=True, query=_QUERY, **options),
    )
    if what == "volumes":
        manage = Route(
            "POST", base, operations.manage, f"{_VOLUMES}:volume_manage", body=operations.managed_volume,
            envelope="volume", status=202, **options,
        )  # fmt: skip
    else:
        manage = Route(
            "POST", base, operations.manage_snapshot, f"{_SNAPSHOTS}:snapshot_manage",
            body=operations.ManagedSnapshot, envelope="snapshot", status=202, **options,
        )  # fmt: skip
    return (*found, manage)


ROUTES = (
    *_routes("/v3/os-volume-manage", "volumes"),
    *_routes("/v3/manageable_volumes", "volumes", since=Microversion(3, 8)),
    *_routes("/v3/os-snapshot-manage", "snapshots"),
    *_routes("/v3/manageable_snapshots", "snapshots", since=Microversion(3, 8)),
)

POLICIES = (
    Rule(f"{_VOLUMES}:list_manageable", ADMIN, "List the volumes that a back end has."),
    Rule(f"{_VOLUMES}:volume_manage", ADMIN, "Take over a volume that a back end has."),
    Rule(f"{_VOLUMES}:volume_unmanage", ADMIN, "Let go of a volume, leaving it in the back end."),
    Rule(f"{_SNAPSHOTS}:list_manageable", ADMIN, "List the snapshots that a back end has."),
    Rule(f"{_SNAPSHOTS}:snapshot_manage", ADMIN, "Take over a snapshot that a back end has."),
    Rule(f"{_SNAPSHOTS}:snapshot_unmanage", ADMIN, "Let go of a snapshot, leaving it in the back end."),
)
