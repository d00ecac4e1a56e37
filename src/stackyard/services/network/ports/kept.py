"""Lists of ports by the thousand: encoded views, kept by everything that they show.

The key is the whole row as the database gives it, so that nothing has to be told of changes: a row that differs in
anything is another key. What a view shows of other tables (a trunk, the rules of a QoS policy) is never kept.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from stackyard.services.network.ports.views import NETWORK_COLUMNS, Facts, view
from stackyard.services.network.tables import networks, ports

_JSON = tuple(column.name for column in ports.c if isinstance(column.type, sa.JSON))
SELECT = sa.select(
    *(sa.cast(column, sa.Text).label(column.name) if column.name in _JSON else column for column in ports.c),
    *NETWORK_COLUMNS,
).join(networks, networks.c.id == ports.c.network_id)
"""Every port with what its view needs of its network; JSON columns as text."""

_MOST = 2048
"""How many views of one kind are kept (about 4 kB each); longer lists are not."""

_kept: dict[tuple[object, ...], dict[tuple[Any, ...], msgspec.Raw]] = {}


def encoded(rows: Sequence[Any], known: Facts) -> list[msgspec.Raw]:
    """The views of rows of SELECT, each as the JSON document that it is sent as."""
    sight = (known.domain, known.binding, known.resource_request, known.hints, known.trusted)
    views = _kept.setdefault(sight, {}) if len(rows) <= _MOST else {}
    if len(views) + len(rows) > 2 * _MOST:
        views.clear()
    found = []
    for row in rows:
        key = tuple(row)
        shown = views.get(key)
        if shown is None or row.id in known.trunks:
            shown = msgspec.Raw(msgspec.json.encode(view(_decoded(row), known)))
            if _stands_alone(row, known):
                views[key] = shown
        found.append(shown)
    return found


def _stands_alone(row: Any, known: Facts) -> bool:
    return row.id not in known.trunks and not (row.qos_policy_id or row.network_qos_policy_id)


def _decoded(row: Any) -> Any:
    values = dict(row._mapping)
    for name in _JSON:
        if values[name] is not None:
            values[name] = msgspec.json.decode(values[name])
    return types.SimpleNamespace(**values)
