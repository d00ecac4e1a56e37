"""GET /servers and GET /servers/detail: filters, order, pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import msgspec
import sqlalchemy as sa

from stackyard.core.call import Call, Query, parse_boolean
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden
from stackyard.core.paging import Listing, Scope
from stackyard.services.compute import lists
from stackyard.services.compute.servers import filters, patterns, views
from stackyard.services.compute.tables import servers
from stackyard.services.network import api as network_api

_s = servers.c
_RULE = "os_compute_api:servers:"
_SORTED = (("created_at", "desc"), ("id", "desc"))
_READ_AT_ONCE = 500


def _listing(select: sa.Select[Any]) -> Listing:
    return Listing(
        servers,
        filters.EXACT,
        sort_keys=tuple({*filters.SORT_KEYS.values(), "locked"}),
        default_sort=_SORTED,
        unknown="refuse",
        page_size=lists.MAX_LIMIT,
        max_limit=lists.MAX_LIMIT,
        select=select,
    )


_INDEX = _listing(sa.select(_s.id, _s.name))
_DETAIL = _listing(sa.select(*views.COLUMNS))

Match = Callable[[Any], bool]


def index(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /servers."""
    rows = _rows(tx, call, _INDEX, f"{_RULE}index:get_all_tenants")
    shown = [{"id": row.id, "name": row.name, "links": lists.links(call, f"/servers/{row.id}")} for row in rows]
    return {"servers": shown} | _further(call, rows, "/servers")


def detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /servers/detail."""
    rows = _rows(tx, call, _DETAIL, f"{_RULE}detail:get_all_tenants")
    shown = msgspec.Raw(views.encoded(tx, call, rows))
    return {"servers": shown} | _further(call, rows, "/servers/detail")


def _further(call: Call, rows: Sequence[Any], path: str) -> dict[str, Any]:
    """The link to the next page, when this one is full."""
    asked = call.query.get("limit")
    full = bool(rows) and len(rows) == min(int(asked) if asked else lists.MAX_LIMIT, lists.MAX_LIMIT)
    found = lists.next_links(call, path, rows[-1].id if full else None)
    return {"servers_links": found} if found else {}


def _rows(tx: Transaction, call: Call, listing: Listing, all_tenants_rule: str) -> Sequence[Any]:
    given = _given(call)
    scope = _scope(call, given, all_tenants_rule)
    if scope is None:
        return ()
    found = _by_address(tx, given)
    if found is not None and not found:
        return ()
    pairs = [(name, value) for name, value in given if name in filters.EXACT and name != "device"]
    pairs += [("device", server_id) for server_id in found or ()]
    pairs, counts = _tags(pairs)
    order = _order(call)
    _check_marker(tx, call, scope)
    matches = [_match(name, value) for name, value in given if name in filters.MATCHED]
    scope = Scope(scope.name, scope.where, {**scope.parameters, **counts})
    if matches:
        return _matching(tx, call, Query(urlencode([*pairs, *order])), scope, matches)
    paging = [(name, value) for name, value in call.query.pairs() if name in ("limit", "marker")]
    return listing.page(tx, Query(urlencode([*pairs, *order, *paging])), scope).rows


def _given(call: Call) -> list[tuple[str, str]]:
    """The filters that count for this caller: unknown ones are refused (2.75), others' left out."""
    pairs = call.query.pairs()
    if not pairs:
        return pairs
    known = filters.known(call)
    if call.since(2, 75):
        unknown = [name for name, _ in pairs if name not in known and not name.startswith("_")]
        if unknown:
            raise BadRequest(
                f"Invalid input for query parameters. Additional properties are not allowed ('{unknown[0][:80]}' was "
                "unexpected)"
            )
    for name, value in pairs:
        if name in filters.MATCHED:
            patterns.search(name, value)
        elif name == "limit" and not (value.isascii() and value.isdigit() and len(value) < 10):
            raise BadRequest(f"Invalid input for query parameters {name}. Value: {value[:80]}. It is no whole number.")
    if call.allows(f"{_RULE}allow_all_filters"):
        for name, _ in pairs:
            if name in filters.JOINED or name.startswith("_"):
                raise BadRequest(f"Invalid filter field: {name[:80]}.")
        usable = known
    else:
        usable = filters.open_to_all(call)
    last = {name: value for name, value in pairs if name in usable}
    return [(name, value) for name, value in last.items() if name != "status"] + [
        pair for pair in pairs if pair[0] == "status"
    ]


def _scope(call: Call, given: list[tuple[str, str]], all_tenants_rule: str) -> Scope | None:
    """Which servers the caller may see and asks for by state; None when there can be none. Edits `given`."""
    options = dict(given)
    every, parameters = False, {"scope_project": call.caller.project_id}
    if _all_tenants(options):
        call.require(all_tenants_rule)
        every, parameters = True, {}
        given[:] = [("project_id" if key == "tenant_id" else key, value) for key, value in given]
    else:
        given[:] = [pair for pair in given if pair[0] not in ("tenant_id", "project_id")]
    statuses = tuple(sorted({value.lower() for key, value in given if key == "status"}))
    if statuses and not filters.existing(statuses):
        if call.since(2, 38):
            raise BadRequest("Invalid status value")
        return None
    deleted = _deleted(call, options, statuses)
    _check_changes(options)
    name, where = _clause(every, deleted, filters.existing(statuses))
    return Scope(name, where, parameters)


@lru_cache(256)
def _clause(every: bool, deleted: bool | None, statuses: tuple[str, ...]) -> tuple[str, sa.ColumnElement[bool]]:
    where = [] if every else [_s.project_id == sa.bindparam("scope_project", type_=sa.String)]
    if deleted is not None:
        where.append(_s.deleted_at.is_not(None) if deleted else _s.deleted_at.is_(None))
    if statuses:
        where.append(filters.of_statuses(statuses))
    return f"{every} {deleted} {statuses}", sa.and_(sa.true(), *where)


def _all_tenants(options: dict[str, str]) -> bool:
    value = options.get("all_tenants")
    if value is None:
        return False
    try:
        return value == "" or parse_boolean("all_tenants", value)
    except BadRequest:
        raise BadRequest(f"Invalid value for all_tenants: '{value[:80]}' is not a boolean.") from None


def _deleted(call: Call, options: dict[str, str], statuses: tuple[str, ...]) -> bool | None:
    """Whether deleted servers are asked for, or those that are not; None: both."""
    if statuses == ("deleted",):
        if not call.caller.is_admin:
            raise Forbidden("Only administrators may list deleted instances")
        return True
    if "deleted" in options:
        try:
            return parse_boolean("deleted", options["deleted"])
        except BadRequest:
            return False
    return None if "changes-since" in options or "changes-before" in options else False


def _check_changes(options: dict[str, str]) -> None:
    read = filters.EXACT["changes-since"].read
    moments = [read(name, options[name]) for name in ("changes-since", "changes-before") if name in options]
    if len(moments) == 2 and moments[1] < moments[0]:  # type: ignore[operator]
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")


def _by_address(tx: Transaction, given: list[tuple[str, str]]) -> list[str] | None:
    parts = [value for name, value in given if name in ("ip", "ip6") and value]
    return network_api.devices_with_address(tx, parts) if parts else None


def _tags(pairs: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Tags come with commas between them; those that mean "all of" are counted."""
    found: list[tuple[str, str]] = []
    counts: dict[str, int] = {}
    for name, value in pairs:
        if name in filters.TAGS:
            tags = dict.fromkeys(value.split(","))
            found += [(name, tag) for tag in tags]
            if name in ("tags", "not-tags"):
                counts[f"filter_{name}_count"] = len(tags)
        else:
            found.append((name, value))
    return found, counts


def _order(call: Call) -> list[tuple[str, str]]:
    """sort_key and sort_dir in the names of columns; raises BadRequest, Forbidden."""
    keys, directions = call.query.all("sort_key"), call.query.all("sort_dir")
    found: list[tuple[str, str]] = []
    for position, key in enumerate(keys):
        direction = directions[position] if position < len(directions) else directions[-1] if directions else "desc"
        if key == "locked" and call.since(2, 73):
            column = "locked"
        elif key in filters.IGNORED_SORT_KEYS and not call.since(2, 75):
            continue
        elif key in filters.SORT_KEYS:
            column = filters.SORT_KEYS[key]
        else:
            raise BadRequest(f"Invalid input for query parameters sort_key. Value: {key[:80]}. It is no sort key.")
        if key in filters.ADMIN_SORT_KEYS and not call.caller.is_admin:
            raise Forbidden(f"Only administrators can sort servers by {key}")
        found += [("sort_key", column), ("sort_dir", direction)]
    if not found and directions:
        found = [("sort_key", "created_at"), ("sort_dir", directions[0])]
    return found


def _check_marker(tx: Transaction, call: Call, scope: Scope) -> None:
    marker = call.query.get("marker")
    if marker is None:
        return
    row = tx.first(sa.select(_s.project_id).where(_s.id == sa.bindparam("key")), {"key": marker})
    mine = scope.parameters.get("scope_project")
    if row is None or (mine is not None and row.project_id != mine):
        raise BadRequest(f"marker [{marker[:80]}] not found", kind="MarkerNotFound")


def _match(name: str, value: str) -> Match:
    test, text = patterns.search(name, value), filters.MATCHED[name]
    return lambda row: test(text(row))


def _matching(tx: Transaction, call: Call, query: Query, scope: Scope, matches: Sequence[Match]) -> Sequence[Any]:
    """A page of rows that match, read a few hundred at a time."""
    asked = call.query.get("limit")
    limit = min(int(asked) if asked else lists.MAX_LIMIT, lists.MAX_LIMIT)
    marker, found = call.query.get("marker"), list[Any]()
    while len(found) < limit:
        pairs = [*query.pairs(), ("limit", str(_READ_AT_ONCE)), *([("marker", marker)] if marker else [])]
        page = _DETAIL.page(tx, Query(urlencode(pairs)), scope)
        found += [row for row in page.rows if all(match(row) for match in matches)]
        if page.marker is None:
            break
        marker = page.marker
    return found[:limit]
