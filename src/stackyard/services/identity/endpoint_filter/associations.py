"""Associating projects with endpoints and endpoint groups, and all the ways to list that."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict, NotFound
from stackyard.core.policy import Rule
from stackyard.core.routes import Operation, Route
from stackyard.services.identity.catalog.endpoints import ENDPOINTS
from stackyard.services.identity.endpoint_filter import selection, tables
from stackyard.services.identity.endpoint_filter.groups import ENDPOINT_GROUPS
from stackyard.services.identity.listing import collection
from stackyard.services.identity.policies import ADMIN, ADMIN_OR_READER, CLOUD
from stackyard.services.identity.projects import views
from stackyard.services.identity.targets import load, the


class Association:
    """One of the two kinds of association of a project with `kind`."""

    def __init__(self, kind: str, table: sa.Table) -> None:
        self.kind = kind
        other = table.c[f"{kind}_id"]
        one = sa.and_(table.c.project_id == bindparam("project"), other == bindparam("other"))
        self._insert = sa.insert(table)
        self._select = sa.select(table).where(one)
        self._delete = sa.delete(table).where(one)

    def _keys(self, call: Call) -> dict[str, str]:
        return {"project": the(call, "project").id, "other": the(call, self.kind).id}

    def exists(self, tx: Transaction, call: Call) -> bool:
        """Whether what the path names is associated; raises NotFound when the path names what is not there."""
        return tx.first(self._select, self._keys(call)) is not None

    def check(self, tx: Transaction, call: Call) -> None:
        """Raise NotFound unless it is."""
        if not self.exists(tx, call):
            keys, called = self._keys(call), self.kind.replace("_", " ")
            raise NotFound(f"{called.capitalize()} {keys['other']} not found in project {keys['project']}.")

    def add(self, tx: Transaction, call: Call) -> None:
        """Associate."""
        if self.exists(tx, call):
            raise Conflict(f"Conflict occurred attempting to store project_{self.kind} - Duplicate entry.")
        keys = self._keys(call)
        tx.execute(self._insert, {"project_id": keys["project"], f"{self.kind}_id": keys["other"]})

    def remove(self, tx: Transaction, call: Call) -> None:
        """Associate no more."""
        self.check(tx, call)
        tx.execute(self._delete, self._keys(call))


BY_ENDPOINT = Association("endpoint", tables.project_endpoints)
BY_GROUP = Association("endpoint_group", tables.project_groups)


def show_group_in_project(tx: Transaction, call: Call) -> dict[str, Any]:
    """The association of a group with a project."""
    BY_GROUP.check(tx, call)
    group_id, project_id = call.path["endpoint_group_id"], call.path["project_id"]
    here = call.url(f"{ENDPOINT_GROUPS.path}/{group_id}/projects/{project_id}")
    shown = {"endpoint_group_id": group_id, "project_id": project_id, "links": {"self": here}}
    return {"project_endpoint_group": shown}


def _endpoints(call: Call, rows: Any) -> dict[str, Any]:
    return collection(call, "endpoints", [ENDPOINTS.shown(call, row) for row in rows])


def list_endpoints_of_project(tx: Transaction, call: Call) -> dict[str, Any]:
    """The endpoints that a project is associated with."""
    return _endpoints(call, selection.endpoints_of_project(tx, the(call, "project").id))


def list_endpoints_of_group(tx: Transaction, call: Call) -> dict[str, Any]:
    """The endpoints that are in a group now."""
    return _endpoints(call, selection.endpoints_of_group(tx, the(call, "endpoint_group")))


def list_groups_of_project(tx: Transaction, call: Call) -> dict[str, Any]:
    """The groups that a project is associated with."""
    rows = tx.all(tables.GROUPS_OF_PROJECT, {"project_id": the(call, "project").id})
    return collection(call, "endpoint_groups", [ENDPOINT_GROUPS.shown(call, row) for row in rows])


def list_projects_of_endpoint(tx: Transaction, call: Call) -> dict[str, Any]:
    """The projects that are associated with an endpoint itself."""
    rows = tx.all(tables.PROJECTS_OF_ENDPOINT, {"endpoint_id": the(call, "endpoint").id})
    return collection(call, "projects", views.views(tx, call, rows))


def list_projects_of_group(tx: Transaction, call: Call) -> dict[str, Any]:
    """The projects that are associated with a group."""
    rows = tx.all(tables.PROJECTS_OF_GROUP, {"endpoint_group_id": the(call, "endpoint_group").id})
    return collection(call, "projects", views.views(tx, call, rows))


_READ = (
    "get_endpoint_group list_endpoint_groups list_endpoint_groups_for_project get_endpoint_group_in_project "
    "list_projects_for_endpoint check_endpoint_in_project list_endpoints_for_project "
    "list_endpoints_associated_with_endpoint_group list_projects_associated_with_endpoint_group"
)
_WRITE = (
    "create_endpoint_group update_endpoint_group delete_endpoint_group add_endpoint_to_project "
    "remove_endpoint_from_project add_endpoint_group_to_project remove_endpoint_group_from_project"
)
POLICIES = (
    *(Rule(f"identity:{name}", ADMIN_OR_READER, "See which endpoints projects have.", CLOUD) for name in _READ.split()),
    *(Rule(f"identity:{name}", ADMIN, "Say which endpoints projects have.", CLOUD) for name in _WRITE.split()),
)


def _route(method: str, path: str, operation: Operation, rule: str) -> Route:
    return Route(method, f"/v3/OS-EP-FILTER{path}", operation, f"identity:{rule}", target=load)


_PROJECT, _ENDPOINT = "/projects/{project_id}", "/endpoints/{endpoint_id}"
_GROUP = "/endpoint_groups/{endpoint_group_id}"

ROUTES = (
    *ENDPOINT_GROUPS.routes(),
    _route("GET", f"{_ENDPOINT}/projects", list_projects_of_endpoint, "list_projects_for_endpoint"),
    _route("GET", f"{_PROJECT}/endpoints", list_endpoints_of_project, "list_endpoints_for_project"),
    _route("GET", f"{_PROJECT}{_ENDPOINT}", BY_ENDPOINT.check, "check_endpoint_in_project"),
    _route("PUT", f"{_PROJECT}{_ENDPOINT}", BY_ENDPOINT.add, "add_endpoint_to_project"),
    _route("DELETE", f"{_PROJECT}{_ENDPOINT}", BY_ENDPOINT.remove, "remove_endpoint_from_project"),
    _route("GET", f"{_PROJECT}/endpoint_groups", list_groups_of_project, "list_endpoint_groups_for_project"),
    _route("GET", f"{_GROUP}/endpoints", list_endpoints_of_group, "list_endpoints_associated_with_endpoint_group"),
    _route("GET", f"{_GROUP}/projects", list_projects_of_group, "list_projects_associated_with_endpoint_group"),
    _route("GET", f"{_GROUP}{_PROJECT}", show_group_in_project, "get_endpoint_group_in_project"),
    _route("PUT", f"{_GROUP}{_PROJECT}", BY_GROUP.add, "add_endpoint_group_to_project"),
    _route("DELETE", f"{_GROUP}{_PROJECT}", BY_GROUP.remove, "remove_endpoint_group_from_project"),
)
