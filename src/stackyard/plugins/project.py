"""The project whose networks a plug-in uses, and the network API in its name."""

from __future__ import annotations

from typing import Any

from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.identity import api as identity
from stackyard.services.network.api import Inward


def find_project(tx: Transaction, name_or_id: str) -> Any:
    """A project that is in use, by its name in the default domain or its id; None when there is none."""
    project = identity.find_project_by_name(tx, name_or_id) or identity.find_project(tx, name_or_id)
    return project if project is not None and project.enabled else None


def network_api(tx: Transaction, runtime: Runtime, project: Any, name: str, *roles: str) -> Inward:
    """The network API as a user `name` with these roles on the project has it."""
    caller = Caller(
        user_id=name, user_name=name, project_id=project.id, project_name=project.name,
        project_domain_id=project.domain_id, roles=frozenset(roles),
    )  # fmt: skip
    return Inward(tx, runtime, caller)
