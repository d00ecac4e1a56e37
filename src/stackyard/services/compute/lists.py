"""What lists of compute have in common: links, the next page's address, and query parameters that are not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from stackyard.core.call import Call, Query
from stackyard.core.errors import BadRequest

MAX_LIMIT = 1000
"""The most entries of one answer (Nova's `max_limit`)."""


def links(call: Call, path: str) -> list[dict[str, str]]:
    """The links `self` and `bookmark` of what stands at `path` below /v2.1 (`/flavors/1`)."""
    return [
        {"rel": "self", "href": call.url(f"/v2.1{path}")},
        {"rel": "bookmark", "href": call.url(path)},
    ]


def next_links(call: Call, path: str, marker: str | None) -> list[dict[str, str]]:
    """A link to the page after `marker`, with the query as it is; none when there is no further page."""
    if marker is None:
        return []
    pairs = [(name, value) for name, value in call.query.pairs() if name != "marker"]
    return [{"rel": "next", "href": call.url(f"/v2.1{path}?{urlencode([*pairs, ('marker', marker)])}")}]


def page_of(call: Call, name: str, views: Sequence[Any], path: str, marker: str | None) -> dict[str, Any]:
    """The answer of a list: `{"flavors": [...]}`, with `flavors_links` when there is more."""
    found = {name: list(views)}
    further = next_links(call, path, marker)
    return found | {f"{name}_links": further} if further else found


def query_of(call: Call, names: Iterable[str], *, strict: bool) -> Query:
    """The query's parameters of these names alone; others are a BadRequest when `strict`, else ignored."""
    if not call.query.pairs():
        return call.query
    known = frozenset(names)
    unknown = sorted({name for name, _ in call.query.pairs()} - known)
    if unknown and strict:
        raise BadRequest(f"Invalid input for query parameters: unknown: {', '.join(unknown)[:255]}")
    return Query(urlencode([(name, value) for name, value in call.query.pairs() if name in known]))


def offset_page(call: Call, items: Sequence[Any]) -> Sequence[Any]:
    """The part of a list that `offset` and `limit` ask for; raises BadRequest."""
    numbers: Mapping[str, int] = {name: _whole(call, name) for name in ("offset", "limit")}
    start = numbers["offset"]
    return items[start : start + min(numbers["limit"] or MAX_LIMIT, MAX_LIMIT)]


def limit_of(query: Query) -> int:
    """How many entries a page has: what `limit` asks for, at most MAX_LIMIT; raises BadRequest."""
    text = query.get("limit")
    if text is None:
        return MAX_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadRequest(f"Invalid input for field/attribute limit. Value: {text[:40]}. It is not a whole number.")
    return min(int(text) or MAX_LIMIT, MAX_LIMIT)


def _whole(call: Call, name: str) -> int:
    text = call.query.get(name) or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadRequest(f"Invalid input for field/attribute {name}. Value: {text[:40]}. It is not a whole number.")
    return int(text)
