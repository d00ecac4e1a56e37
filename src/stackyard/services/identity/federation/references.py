"""What mappings refer to by id or by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackyard.core.db import Transaction
from stackyard.services.identity.federation.mapping.engine import MappingError
from stackyard.services.identity.projects import tables as project_tables


def domain_id(tx: Transaction, reference: Mapping[str, Any]) -> str:
    """The id of a domain that a mapping refers to by id or name; raises MappingError when there is none."""
    row = None
    if reference.get("id"):
        row = tx.first(project_tables.BY_ID, {"id": reference["id"]})
    elif reference.get("name"):
        row = tx.first(project_tables.BY_NAME, {"domain_id": project_tables.NO_DOMAIN, "name": reference["name"]})
    if row is None or not row.is_domain:
        raise MappingError(f"Could not find domain: {reference.get('id') or reference.get('name')}.")
    return str(row.id)
