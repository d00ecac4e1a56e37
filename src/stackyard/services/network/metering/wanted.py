"""Which labels a router counts by, read as specs, and who looks anew when a label changes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.host.specs import MeteringLabel, MeteringRule
from stackyard.services.network import marks
from stackyard.services.network.tables import metering_label_rules, metering_labels, routers

_LABELS = (
    sa.select(metering_labels.c.id)
    .where(sa.or_(metering_labels.c.project_id == bindparam("project"), metering_labels.c.shared))
    .order_by(metering_labels.c.id)
)
_RULES = (
    sa.select(metering_label_rules)
    .where(metering_label_rules.c.metering_label_id.in_(bindparam("labels", expanding=True)))
    .order_by(metering_label_rules.c.id)
)
_ROUTERS = sa.select(routers.c.id)
_ROUTERS_OF = _ROUTERS.where(routers.c.project_id == bindparam("project"))


def labels_of(tx: Transaction, project_id: str) -> tuple[MeteringLabel, ...]:
    """What a project's routers count: by its own labels, and by those that are shared."""
    labels = list(tx.connection.execute(_LABELS, {"project": project_id}).scalars())
    if not labels:
        return ()
    found: dict[str, list[MeteringRule]] = {label: [] for label in labels}
    for row in tx.all(_RULES, {"labels": labels}):
        found[row.metering_label_id].append(_rule(row))
    return tuple(MeteringLabel(id=label, rules=tuple(rules)) for label, rules in found.items())


def _rule(row: Any) -> MeteringRule:
    return MeteringRule(
        direction=row.direction,
        excluded=row.excluded,
        remote_cidr=row.remote_ip_prefix,
        source_cidr=row.source_ip_prefix,
        destination_cidr=row.destination_ip_prefix,
    )


def mark_routers(tx: Transaction, label: Any) -> None:
    """The routers that count by a label (a row) look at it anew."""
    found = tx.all(_ROUTERS) if label.shared else tx.all(_ROUTERS_OF, {"project": label.project_id})
    for row in found:
        marks.router(tx, row.id)
