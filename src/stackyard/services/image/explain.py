"""What `stackyard why` and `status` tell of images."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.explain import Explanation
from stackyard.services.image.tables import images

_ONE = sa.select(images).where(images.c.id == bindparam("id"))
_NAMED = sa.select(images.c.id).where(images.c.name == bindparam("name"))
_COUNT = sa.select(sa.func.count()).select_from(images)


def explain(tx: Transaction, resource_id: str) -> list[Explanation]:
    """The image of this id."""
    row = tx.first(_ONE, {"id": resource_id})
    if row is None:
        return []
    return [
        Explanation(
            kind="image",
            id=row.id,
            name=row.name or "",
            project_id=row.project_id,
            status=f"{row.status}, {row.visibility}",
            owners=(f"project {row.project_id}",) if row.project_id else (),
            blockers=("it is protected: unset that first",) if row.protected else (),
        )
    ]


def named(tx: Transaction, name: str) -> list[str]:
    """Ids of the images of this name."""
    return [row.id for row in tx.all(_NAMED, {"name": name})]


def counts(tx: Transaction) -> dict[str, int]:
    """How many images there are."""
    return {"images": int(tx.scalar(_COUNT))}
