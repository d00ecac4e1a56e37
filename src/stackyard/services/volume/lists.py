"""What lists of volumes have in common: Cinder's paging, sorting, counts and links, and whose things they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.sql.elements import ColumnElement

from stackyard.core.call import Call, Query
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.microversion import Microversion
from stackyard.core.paging import EVERYTHING, Filter, Listing, Scope
from stackyard.services.volume.fields import MAX_INT, flag

MAX_LIMIT = 1000
"""The most entries of one answer (Cinder's `osapi_max_limit`)."""

STRICT = Microversion(3, 31)
"""Since when lists refuse query parameters that they do not have."""

COMMON = ("limit", "marker", "offset", "sort", "sort_key", "sort_dir", "with_count", "all_tenants")


@dataclass(frozen=True, slots=True)
class Found:
    """A page: its rows, the link to the next one (empty: there is none), and, if asked for, how many there are."""

    rows: Sequence[Any]
    links: list[dict[str, str]]
    count: int | None = None

    def answer(self, name: str, views: Sequence[Any], links_name: str | None = None) -> dict[str, Any]:
        """The body: `{"volumes": [...]}`, with `volumes_links` and `count` where there are such."""
        found: dict[str, Any] = {name: list(views)}
        if self.links:
            found[links_name or f"{name}_links"] = self.links
        if self.count is not None:
            found["count"] = self.count
        return found


def find(
    tx: Transaction,
    call: Call,
    listing: Listing,
    path: str,
    scope: Scope = EVERYTHING,
    *,
    counts: bool = False,
    strict: Microversion = STRICT,
) -> Found:
    """The page of `listing` that the query asks for; `path` is the list's below /v3 (`volumes/detail`).

    `counts`: this list may be asked `with_count` (3.45). Parameters that the listing does not have are ignored before
    `strict`, and a BadRequest since. A listing is made with page_size=None and unknown="ignore".
    """
    query = _known(call, listing, strict)
    offset, limit = _whole(call.query, "offset", 0, MAX_INT), _limit(call.query)
    pairs = query.pairs()
    if not offset and limit:
        pairs = [*pairs, ("limit", str(limit))]
    rows = listing.page(tx, Query(urlencode(pairs)), scope).rows if limit else []
    rows = rows[offset : offset + limit]
    count = None
    if counts and call.since(3, 45) and flag("with_count", call.query.get("with_count") or "false"):
        count = listing.count(tx, query, scope)
    links = next_links(call, path, str(rows[-1]._mapping[listing.key])) if rows and len(rows) >= limit else []
    return Found(rows, links, count)


def _known(call: Call, listing: Listing, strict: Microversion) -> Query:
    """The query with what the listing has, and with the directions that Cinder gives sort keys without one."""
    names = {name for name, _ in call.query.pairs()}
    unknown = sorted(names - set(listing.filters) - listing.others - set(COMMON))
    if unknown and call.since(*strict):
        raise BadRequest(f"Invalid filters {','.join(unknown)[:255]} are found in query options.")
    if "sort" in names and names & {"sort_key", "sort_dir"}:
        raise BadRequest(
            "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter."
        )
    pairs = [(name, value) for name, value in call.query.pairs() if name in listing.filters or name == "marker"]
    return Query(urlencode([*pairs, ("sort", _sort(call.query))]))


def _sort(query: Query) -> str:
    text = query.get("sort")
    if text is None:
        key = query.get("sort_key") or "created_at"
        return f"{_OLD_KEYS.get(key, key)}:{query.get('sort_dir') or 'desc'}"
    keys = [part.partition(":") for part in text.split(",")]
    return ",".join(f"{_OLD_KEYS.get(key.strip(), key.strip())}:{way.strip() or 'desc'}" for key, _, way in keys)


_OLD_KEYS = {"display_name": "name", "display_description": "description"}


def _limit(query: Query) -> int:
    return min(_whole(query, "limit", MAX_LIMIT, 10**19), MAX_LIMIT)


def _whole(query: Query, name: str, default: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise BadRequest(f"Invalid input for {name}: '{text[:40]}' is not a whole number from 0 to {most}.")
    return int(text)


def cut(call: Call, items: Sequence[Any]) -> Sequence[Any]:
    """The part of a list that is no table's which `offset` and `limit` ask for; raises BadRequest."""
    offset = _whole(call.query, "offset", 0, MAX_INT)
    return items[offset : offset + (_limit(call.query) or MAX_LIMIT)]


def base(call: Call) -> str:
    """`/v3`, with the project's id after it when the caller's address had it."""
    return f"/v3/{call.named_project}" if call.named_project else "/v3"


def links(call: Call, path: str) -> list[dict[str, str]]:
    """The links `self` and `bookmark` of what stands at `path` below /v3 (`volumes/<id>`)."""
    address = base(call)
    return [
        {"rel": "self", "href": call.url(f"{address}/{path}")},
        {"rel": "bookmark", "href": call.url(f"{address.removeprefix('/v3')}/{path}")},
    ]


def next_links(call: Call, path: str, marker: str) -> list[dict[str, str]]:
    """A link to the page after `marker`, with the query as it is."""
    pairs = [(name, value) for name, value in call.query.pairs() if name != "marker"]
    return [{"rel": "next", "href": call.url(f"{base(call)}/{path}?{urlencode([*pairs, ('marker', marker)])}")}]


class Owned:
    """Whose rows of a table a caller sees in lists: his project's; an administrator may ask for `all_tenants`."""

    def __init__(self, column: ColumnElement[Any]) -> None:
        self._own = column == bindparam("own_project")

    def scope(self, call: Call) -> Scope:
        """Of this call; raises BadRequest."""
        everybody = call.query.get("all_tenants")
        if everybody is not None and flag("all_tenants", everybody or "1") and call.caller.is_admin:
            project = call.query.get("project_id")
            return EVERYTHING if project is None else Scope("project", self._own, {"own_project": project})
        return Scope("project", self._own, {"own_project": call.caller.project_id})


def like(column: ColumnElement[Any]) -> Filter:
    """`name~=part`: what has this part in its text."""

    def where(part: sa.BindParameter[Any]) -> ColumnElement[bool]:
        return column.like(part, escape="\\")

    return Filter(where=where, read=_pattern, many=False)


def _pattern(name: str, value: str) -> object:
    del name
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
