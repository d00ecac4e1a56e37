"""How much of images a project has, and the limits that an operator has registered for it in the identity service.

The resources are Glance's: `image_size_total` and `image_stage_total` in MiB, `image_count_total` and
`image_count_uploading`. What nobody has registered is not limited. A limit is looked at in the transaction that makes
an image or begins to take its data. Data whose size is not announced is let in while a project is within its limits,
as Glance does it; the limit then holds against what comes after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import TooLarge
from stackyard.core.quota import UNLIMITED
from stackyard.core.runtime import Runtime
from stackyard.services.identity.api import effective_limit
from stackyard.services.image.tables import images, locations_of

SIZE_TOTAL, STAGE_TOTAL = "image_size_total", "image_stage_total"
COUNT_TOTAL, COUNT_UPLOADING = "image_count_total", "image_count_uploading"
RESOURCES = (SIZE_TOTAL, STAGE_TOTAL, COUNT_TOTAL, COUNT_UPLOADING)
QUOTA = "image.images"
"""The count of images in the quotas that every service has."""

MIB = 1024 * 1024
_SERVICE = "image"
_COMING_IN = ("saving", "uploading", "importing")
_COPYING = "os_glance_importing_to_stores"

_OF_PROJECT = sa.select(images.c.id, images.c.status, images.c.size, images.c.locations, images.c.properties).where(
    images.c.project_id == bindparam("project")
)


def in_use(tx: Transaction, project_id: str) -> dict[str, int]:
    """What a project has of each resource."""
    stored = staged = uploading = 0
    rows = tx.all(_OF_PROJECT, {"project": project_id})
    for row in rows:
        size = row.size or 0
        copying = row.status not in _COMING_IN and bool(row.properties.get(_COPYING))
        stored += size * len(locations_of(row))
        if copying or row.status in ("uploading", "importing"):
            staged += size
        uploading += copying or row.status in _COMING_IN
    return {
        SIZE_TOTAL: stored // MIB,
        STAGE_TOTAL: staged // MIB,
        COUNT_TOTAL: len(rows),
        COUNT_UPLOADING: uploading,
    }


def limit(tx: Transaction, runtime: Runtime, project_id: str, resource: str) -> int | None:
    """The limit registered for a resource, as far as it concerns a project; None when there is none."""
    settings = runtime.settings
    found = effective_limit(
        tx,
        _SERVICE,
        resource,
        project_id,
        settings.server.region,
        enforcement_model=settings.unified_limit.enforcement_model,
    )
    return None if found is None or found < 0 else found


def require(tx: Transaction, runtime: Runtime, project_id: str | None, **more: int) -> None:
    """Raise TooLarge when a project, with so much more of each resource, is over one of its limits."""
    if not project_id:
        return
    limits = {name: limit(tx, runtime, project_id, name) for name in more}
    if not any(found is not None for found in limits.values()):
        return
    has = in_use(tx, project_id)
    over = [
        f"Resource {name} is over limit of {found} due to current usage {has[name]} and delta {more[name]}"
        for name, found in limits.items()
        if found is not None and has[name] + more[name] > found
    ]
    if over:
        raise TooLarge(f"Project {project_id} is over a limit for {over}", kind="LimitExceeded")


def for_data(call: Call, status: str) -> Callable[[Transaction, str | None], None]:
    """What an upload ("saving") or the staging ("uploading") of the call's body needs of the image's project."""
    sent = call.request.headers.get("x-openstack-image-size") or call.request.headers.get("content-length") or ""
    size = int(sent) // MIB if sent.isascii() and sent.isdigit() and len(sent) < 20 else 0
    wanted = {SIZE_TOTAL if status == "saving" else STAGE_TOTAL: size, COUNT_UPLOADING: 1}
    return lambda tx, project_id: require(tx, call.runtime, project_id, **wanted)


def for_import(tx: Transaction, call: Call, *, staged: bool) -> None:
    """Raise TooLarge when the import that the call asks for does not fit; `staged`: its data is here already."""
    image = call.target
    size = (image["size"] or 0) // MIB
    if staged:
        require(tx, call.runtime, image["project_id"], **{SIZE_TOTAL: size})
    else:
        require(tx, call.runtime, image["project_id"], **{SIZE_TOTAL: 0, STAGE_TOTAL: size, COUNT_UPLOADING: 1})


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """What the caller's project has of each resource, and may have; -1 is no limit."""
    project_id = call.caller.project_id or ""
    has = in_use(tx, project_id)
    limits = {name: limit(tx, call.runtime, project_id, name) for name in RESOURCES}
    if limits[COUNT_TOTAL] is None:
        limits[COUNT_TOTAL] = call.runtime.quotas.limit(tx, project_id, QUOTA)
    return {
        "usage": {
            name: {"usage": has[name], "limit": UNLIMITED if found is None else found} for name, found in limits.items()
        }
    }
