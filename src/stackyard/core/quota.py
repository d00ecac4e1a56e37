"""Quotas: counted in the same transaction that takes what is counted, so that no race and no crash can miscount.

A resource's name is `<service>.<resource>`: network.port, container.containers. A limit of -1 means no limit. The limit
is the project's own, else the changed default (DEFAULTS), else that of the settings. `<service>.<resource>:<kind>` is a
resource's share of one kind (volume.gigabytes:<a volume type's id>), which has no limit in the settings.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction, metadata
from stackyard.core.errors import OverQuota

UNLIMITED = -1

DEFAULTS = "*"
"""The project whose limits are those of all that have none of their own, where a service lets defaults be changed."""

usages = sa.Table(
    "quota_usages",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("resource", sa.String(96), primary_key=True),
    sa.Column("in_use", sa.BigInteger, nullable=False),
)

limits = sa.Table(
    "quota_limits",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("resource", sa.String(96), primary_key=True),
    sa.Column("hard_limit", sa.BigInteger, nullable=False),
)

_ONE = sa.and_(usages.c.project_id == bindparam("p"), usages.c.resource == bindparam("r"))
_ADD = sa.update(usages).where(_ONE).values(in_use=usages.c.in_use + bindparam("n"))
_INSERT = sa.insert(usages)
_READ = sa.select(usages.c.in_use).where(_ONE)
_LIMIT = (
    sa.select(limits.c.hard_limit)
    .where(
        sa.or_(limits.c.project_id == bindparam("p"), limits.c.project_id == DEFAULTS),
        limits.c.resource == bindparam("r"),
    )
    .order_by(sa.case((limits.c.project_id == DEFAULTS, 1), else_=0))
    .limit(1)
)
_DROP_LIMIT = sa.delete(limits).where(limits.c.project_id == bindparam("p"), limits.c.resource == bindparam("r"))
_FORGET = (
    sa.delete(usages).where(usages.c.project_id == bindparam("p")),
    sa.delete(limits).where(limits.c.project_id == bindparam("p")),
)


class Quotas:
    """Counts and limits; `defaults` maps every known resource to its default limit."""

    def __init__(self, defaults: Mapping[str, int]) -> None:
        self.defaults = dict(defaults)

    def reserve(
        self, tx: Transaction, project_id: str, amounts: Mapping[str, int], *, counter: str | None = None
    ) -> None:
        """Take `amounts` (resource -> how many more) for a project; raises OverQuota, and then nothing is taken.

        `counter` is whose count it is when the project's limit holds for each of several: a user's id, for key pairs.
        The row is changed first and read after, so that on any database two transactions cannot both pass the limit.
        """
        for resource, amount in amounts.items():
            values = {"p": counter or project_id, "r": resource, "n": amount}
            if tx.execute(_ADD, values).rowcount == 0:
                tx.insert_once(_INSERT, {"project_id": values["p"], "resource": resource, "in_use": amount})
            in_use = tx.scalar(_READ, values)
            limit = self.limit(tx, project_id, resource)
            if amount > 0 and limit != UNLIMITED and in_use > limit:
                raise OverQuota(resource.partition(".")[2], limit=limit, in_use=in_use - amount, asked=amount)

    def release(
        self, tx: Transaction, project_id: str, amounts: Mapping[str, int], *, counter: str | None = None
    ) -> None:
        """Give back what `reserve` took."""
        self.reserve(tx, project_id, {resource: -amount for resource, amount in amounts.items()}, counter=counter)

    def limit(self, tx: Transaction, project_id: str, resource: str) -> int:
        """The limit in force for a project."""
        own = tx.scalar(_LIMIT, {"p": project_id, "r": resource})
        if own is not None:
            return int(own)
        return UNLIMITED if ":" in resource else self.defaults[resource]

    def in_use(self, tx: Transaction, project_id: str, resource: str) -> int:
        """How many a project has."""
        return int(tx.scalar(_READ, {"p": project_id, "r": resource}) or 0)

    def set_limit(self, tx: Transaction, project_id: str, resource: str, limit: int) -> None:
        """Give a project a limit of its own."""
        self.clear_limit(tx, project_id, resource)
        tx.execute(sa.insert(limits), {"project_id": project_id, "resource": resource, "hard_limit": limit})

    def clear_limit(self, tx: Transaction, project_id: str, resource: str) -> None:
        """Let a project go back to the default."""
        tx.execute(_DROP_LIMIT, {"p": project_id, "r": resource})

    def forget_project(self, tx: Transaction, project_id: str) -> None:
        """Drop all that is kept for a project that is no more."""
        for statement in _FORGET:
            tx.execute(statement, {"p": project_id})
