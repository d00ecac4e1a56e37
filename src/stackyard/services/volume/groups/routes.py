"""The routes of groups and of their snapshots, and the rules on them."""

from __future__ import annotations

from typing import Any

from stackyard.core.actions import Action, endpoint
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume.groups import bodies, finding, legacy, operations
from stackyard.services.volume.rules import ADMIN, MEMBER, READER

_SINCE, _SNAPSHOTS_SINCE, _REPLICATION = Microversion(3, 13), Microversion(3, 14), Microversion(3, 38)
_ALL, _SNAPSHOTS = "/v3/groups", "/v3/group_snapshots"
_ONE, _SNAPSHOT = f"{_ALL}/{{group_id}}", f"{_SNAPSHOTS}/{{group_snapshot_id}}"
_GROUPS_QUERY, _SNAPSHOTS_QUERY = operations.GROUPS.parameters, operations.SNAPSHOTS.parameters


def _nobodys(tx: Transaction, call: Call) -> dict[str, Any]:
    """A group that is still to be made: it will be the caller's project's."""
    del tx
    return {"project_id": call.caller.project_id}


def _replication(name: str, body: Any) -> Action:
    return Action(name=name, operation=operations.replication, rule=f"group:{name}", body=body, since=_REPLICATION)


ACTIONS = (
    Action(name="delete", operation=operations.delete, rule="group:delete", body=bodies.Deletion, since=_SINCE),
    Action(
        name="reset_status", operation=operations.reset_status, rule="group:reset_status", body=bodies.Reset,
        since=Microversion(3, 20),
    ),
    _replication("enable_replication", bodies.Nothing),
    _replication("disable_replication", bodies.Nothing),
    _replication("failover_replication", bodies.Failover),
    _replication("list_replication_targets", bodies.Nothing),
)  # fmt: skip
COPY = (
    Action(
        name="create-from-src", operation=operations.copy, rule="group:create", body=bodies.Copy,
        since=_SNAPSHOTS_SINCE,
    ),
)  # fmt: skip
SNAPSHOT_ACTIONS = (
    Action(
        name="reset_status", operation=operations.reset_snapshot_status, rule="group:reset_group_snapshot_status",
        body=bodies.Reset, since=Microversion(3, 19),
    ),
)  # fmt: skip


def _act(path: str, serve: Any, since: Microversion) -> Route:
    return Route("POST", path, serve, "volume:any", edge=True, body=dict, status=202, since=since)


ROUTES = (
    *legacy.ROUTES,
    Route("GET", _ALL, operations.list_, "group:get_all", since=_SINCE, query=_GROUPS_QUERY),
    Route("GET", f"{_ALL}/detail", operations.detail, "group:get_all", since=_SINCE, query=_GROUPS_QUERY),
    Route(
        "POST", _ALL, operations.create, "group:create", body=bodies.NewGroup, envelope="group", status=202,
        since=_SINCE,
    ),
    _act(f"{_ALL}/action", endpoint(COPY, _nobodys, "groups"), _SNAPSHOTS_SINCE),
    Route("GET", _ONE, operations.show, "group:get", target=finding.load, since=_SINCE, query=("list_volume",)),
    Route(
        "PUT", _ONE, operations.update, "group:update", target=finding.load, body=bodies.ChangedGroup,
        envelope="group", status=202, since=_SINCE,
    ),
    _act(f"{_ONE}/action", endpoint(ACTIONS, finding.load, "groups"), _SINCE),
    Route(
        "GET", _SNAPSHOTS, operations.list_snapshots, "group:get_all_group_snapshots", since=_SNAPSHOTS_SINCE,
        query=_SNAPSHOTS_QUERY,
    ),
    Route(
        "GET", f"{_SNAPSHOTS}/detail", operations.detail_snapshots, "group:get_all_group_snapshots",
        since=_SNAPSHOTS_SINCE, query=_SNAPSHOTS_QUERY,
    ),
    Route(
        "POST", _SNAPSHOTS, operations.create_snapshot, "group:create_group_snapshot", body=bodies.NewSnapshot,
        envelope="group_snapshot", status=202, since=_SNAPSHOTS_SINCE,
    ),
    Route(
        "GET", _SNAPSHOT, operations.show_snapshot, "group:get_group_snapshot", target=finding.load_snapshot,
        since=_SNAPSHOTS_SINCE,
    ),
    Route(
        "DELETE", _SNAPSHOT, operations.delete_snapshot, "group:delete_group_snapshot", target=finding.load_snapshot,
        status=202, since=_SNAPSHOTS_SINCE,
    ),
    _act(
        f"{_SNAPSHOT}/action", endpoint(SNAPSHOT_ACTIONS, finding.load_snapshot, "group_snapshots"), Microversion(3, 19)
    ),
)  # fmt: skip

POLICIES = (
    Rule("group:get_all", READER, "List groups."),
    Rule("group:get", READER, "See a group."),
    Rule("group:create", MEMBER, "Make a group."),
    Rule("group:update", MEMBER, "Change a group, and which volumes are in it."),
    Rule("group:delete", MEMBER, "Delete a group."),
    Rule("group:reset_status", ADMIN, "Reset the status of a group."),
    Rule("group:group_project_attribute", ADMIN, "See whose a group is."),
    Rule("group:enable_replication", MEMBER, "Have a group replicated."),
    Rule("group:disable_replication", MEMBER, "Have a group not replicated any more."),
    Rule("group:failover_replication", MEMBER, "Have a group fail over to its replica."),
    Rule("group:list_replication_targets", MEMBER, "List where a group is replicated to."),
    Rule("group:get_all_group_snapshots", READER, "List snapshots of groups."),
    Rule("group:get_group_snapshot", READER, "See a snapshot of a group."),
    Rule("group:create_group_snapshot", MEMBER, "Make a snapshot of a group."),
    Rule("group:update_group_snapshot", MEMBER, "Change a snapshot of a group."),
    Rule("group:delete_group_snapshot", MEMBER, "Delete a snapshot of a group."),
    Rule("group:reset_group_snapshot_status", ADMIN, "Reset the status of a snapshot of a group."),
    Rule("group:group_snapshot_project_attribute", ADMIN, "See whose a snapshot of a group is."),
)
