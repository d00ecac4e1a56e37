"""Lists as Keystone answers them, and the comparisons that its queries may ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from stackyard.core.call import Call
from stackyard.core.paging import EVERYTHING, Filter, Page, Scope


def switch(name: str, value: str) -> object:
    """A boolean in a query as Keystone reads it: anything but a word for no is yes."""
    del name
    return value.lower() not in ("0", "false", "no", "off", "f", "n")


def texts(name: str, column: ColumnElement[Any]) -> dict[str, Filter]:
    """The filters of a text attribute: equal, and `name__contains` and its like."""
    low = sa.func.lower(column)
    comparisons: dict[str, Callable[[sa.BindParameter[Any]], ColumnElement[bool]]] = {
        "contains": lambda given: column.contains(given, autoescape=False),
        "startswith": lambda given: column.startswith(given, autoescape=False),
        "endswith": lambda given: column.endswith(given, autoescape=False),
        "icontains": lambda given: low.contains(sa.func.lower(given)),
        "istartswith": lambda given: low.startswith(sa.func.lower(given)),
        "iendswith": lambda given: low.endswith(sa.func.lower(given)),
        "iexact": lambda given: low == sa.func.lower(given),
    }
    found = {name: Filter(column)}
    return found | {f"{name}__{word}": Filter(where=make, many=False) for word, make in comparisons.items()}


def in_callers_domain(call: Call, column: ColumnElement[Any]) -> Scope:
    """A domain-scoped caller's own domain, else everything."""
    if call.caller.domain_id is None:
        return EVERYTHING
    return Scope("own domain", column == sa.bindparam("callers_domain"), {"callers_domain": call.caller.domain_id})


def collection(call: Call, key: str, items: Sequence[Any], page: Page | None = None) -> dict[str, Any]:
    """`{key: [...], "links": {...}}`, with a link to the next page where there is one."""
    here = call.url(call.request.scope["path"].removeprefix(call.request.scope["stackyard.mount"]))
    query = call.query.pairs()
    body: dict[str, Any] = {
        key: items,
        "links": {"self": f"{here}?{urlencode(query)}" if query else here, "previous": None, "next": None},
    }
    if page is not None and page.marker is not None:
        further = [(name, value) for name, value in query if name != "marker"] + [("marker", page.marker)]
        body["links"]["next"] = f"{here}?{urlencode(further)}"
        body["truncated"] = True
    return body
