"""What a service asks: the limit in force for a project."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.identity.limits import models, tables
from stackyard.services.identity.limits.tables import limits
from stackyard.services.identity.projects import tables as project_tables

_OF_PROJECT = sa.select(limits.c.resource_limit).where(
    limits.c.registered_limit_id == bindparam("registered"), limits.c.project_id == bindparam("owner")
)
_OF_DOMAIN = sa.select(limits.c.resource_limit).where(
    limits.c.registered_limit_id == bindparam("registered"), limits.c.domain_id == bindparam("owner")
)


def effective_limit(
    tx: Transaction,
    service_type: str,
    resource_name: str,
    project_id: str,
    region: str | None = None,
    *,
    enforcement_model: str = models.FLAT,
) -> int | None:
    """The limit of a project for a service's resource: its own, else the registered default; -1 is no limit.

    None: nothing of that name is registered. A limit registered for `region` counts before one for everywhere. In the
    two-level model (`settings.unified_limit.enforcement_model`) a domain's limit bounds that of its projects.
    """
    keys = {"type": service_type, "resource_name": resource_name, "region_id": region}
    registered = tx.first(tables.REGISTERED_OF_TYPE, keys)
    if registered is None:
        return None
    own = tx.scalar(_OF_PROJECT, {"registered": registered.id, "owner": project_id})
    limit = int(registered.default_limit if own is None else own)
    if enforcement_model != models.STRICT_TWO_LEVEL:
        return limit
    project = tx.first(project_tables.BY_ID, {"id": project_id})
    domain_id = project_id if project is None or project.is_domain else project.domain_id
    of_domain = tx.scalar(_OF_DOMAIN, {"registered": registered.id, "owner": domain_id})
    return limit if of_domain is None else models.lesser(limit, int(of_domain))
