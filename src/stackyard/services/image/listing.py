"""The list of images: what the caller may see, narrowed by Glance's filters, in Glance's order.

Every filter becomes a clause with bound values; a combination of filters is one scope of the kernel's Listing, so its
statement is built once and reused. Clients ask for the same list again and again, so its encoded body is remembered,
by caller and query, for as long as no image, tag, property or member changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlencode

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.sql.elements import ColumnElement

from stackyard.core.call import Call, Query, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.paging import Listing, Page, Scope
from stackyard.services.image.bodies import VISIBILITIES
from stackyard.services.image.images import nameless, visible
from stackyard.services.image.properties import reader
from stackyard.services.image.tables import IMAGES, PROPERTY, TAG, images, members, words
from stackyard.services.image.views import Shown, image_view

Clause = ColumnElement[bool]

PAGE_SIZE = 25
LARGEST_PAGE = 1000
_LARGEST_INTEGER = 2**63 - 1
_MOST_FILTERS = 64
_SCOPES_KEPT = 512
_REMEMBERED_BYTES = 64 * 1024
"""Larger bodies are made anew each time, so that what is remembered stays small."""
_REMEMBERED_QUERY = 512

_SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
_NOT_FILTERS = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir", "member_status", "visibility", "deleted"})
_LISTS = frozenset({"id", "name", "status", "container_format", "disk_format"})
_TEXTS = frozenset({"checksum", "os_hash_algo", "os_hash_value"})
_NUMBERS = frozenset({"size", "virtual_size", "min_ram", "min_disk"})
_FLAGS = frozenset({"protected", "os_hidden"})
_MOMENTS = frozenset({"created_at", "updated_at"})
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)",?|([^,]+),?|,')

_COMPARE: dict[str, Callable[[ColumnElement[Any], Any], Clause]] = {
    "eq": lambda column, value: column == value,
    "neq": lambda column, value: column != value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
}

_listing = Listing(
    images, {}, sort_keys=_SORT_KEYS, default_sort=(("created_at", "desc"), ("id", "desc")), page_size=PAGE_SIZE,
    max_limit=LARGEST_PAGE,
)  # fmt: skip
_clauses: dict[str, Clause] = {}

_OWN = images.c.project_id == bindparam("caller")
# Not in_(): an expanding parameter would be rendered anew at every execution.
_FOR_ALL = sa.or_(images.c.visibility == "public", images.c.visibility == "community")
_MEMBER = members.c.member_id == bindparam("caller")
_SHARED = {
    status: sa.and_(
        images.c.visibility == "shared",
        images.c.id.in_(sa.select(members.c.image_id).where(_MEMBER, members.c.status == status)),
    )
    for status in ("pending", "accepted", "rejected")
}
_SHARED["all"] = sa.and_(images.c.visibility == "shared", images.c.id.in_(sa.select(members.c.image_id).where(_MEMBER)))


class _Filters:
    """The clauses of one query while they are collected: a name for their shape, and the values."""

    def __init__(self) -> None:
        self.shape: list[str] = []
        self.makers: list[Callable[[], Clause]] = []
        self.values: dict[str, Any] = {}

    def add(self, shape: str, make: Callable[[], Clause], **values: Any) -> None:
        self.shape.append(shape)
        self.makers.append(make)
        self.values.update(values)

    def compare(self, column: str, operator: str, value: Any) -> None:
        """Compare a column with one value."""
        name = f"f{len(self.shape)}"
        self.add(
            f"{column} {operator} {name}",
            lambda: _COMPARE[operator](images.c[column], bindparam(name, type_=images.c[column].type)),
            **{name: value},
        )

    def any_of(self, column: str, values: list[str]) -> None:
        """A column has one of several values."""
        name = f"f{len(self.shape)}"
        self.add(f"{column} in {name}", lambda: images.c[column].in_(bindparam(name, expanding=True)), **{name: values})

    def word(self, kind: str, word: str, value: str) -> None:
        """The image has a tag, or a property of a value."""
        name = f"f{len(self.shape)}"
        found = sa.exists().where(
            words.c.image_id == images.c.id,
            words.c.kind == kind,
            words.c.name == bindparam(name),
            words.c.value == bindparam(name + "v"),
        )
        self.add(f"{kind} {name}", lambda: found, **{name: word, name + "v": value})

    def scope(self) -> Scope:
        """All of it as a scope whose clause is built once a shape."""
        shape = ";".join(self.shape)
        clause = _clauses.get(shape)
        if clause is None:
            if len(_clauses) >= _SCOPES_KEPT:
                _clauses.clear()
            clause = _clauses[shape] = sa.and_(*(make() for make in self.makers))
        return Scope(shape, clause, self.values)


_encode = msgspec.json.Encoder().encode


def list_(tx: Transaction, call: Call) -> Reply:
    """The images that the caller may see, narrowed and ordered as the query asks."""
    scope = call.request.scope
    if scope["path"].endswith("/"):
        nameless(tx, call)
    at, memory = IMAGES.current(tx), IMAGES.memory(tx)
    # The policy may be read anew while the cloud runs: a new set of rules is another key.
    key = (call.runtime.policies, call.caller, scope["query_string"])
    body: bytes | None = memory.get(at, key)
    if body is None:
        body = _encode(_document(tx, call))
        if len(body) <= _REMEMBERED_BYTES and len(scope["query_string"]) <= _REMEMBERED_QUERY:
            memory.put(at, key, body)
    return Reply(body)


def _document(tx: Transaction, call: Call) -> dict[str, Any]:
    found = page(tx, call)
    allows, credentials = call.runtime.policies.allows, call.credentials
    shown = Shown.to(call)
    views = [
        image_view(row, shown) for row in found.rows if allows("get_image", credentials, cast("Any", row._mapping))
    ]
    pairs = [(name, value) for name, value in call.query.pairs() if name != "marker"]
    first = "/v2/images" + (f"?{urlencode(pairs)}" if pairs else "")
    body = {"images": views, "first": first, "schema": "/v2/schemas/images"}
    if found.marker is not None:
        body["next"] = f"/v2/images?{urlencode([*pairs, ('marker', found.marker)])}"
    return body


def page(tx: Transaction, call: Call, *, public: bool = True) -> Page:
    """The page of images that the call asks for, with `public` false without the public ones.

    Raises BadRequest for a filter, sort or limit that cannot be read.
    """
    query = call.query
    if query.get("limit") is not None and _number("limit", query.get("limit") or "") == 0:
        return Page((), None)
    _require_marker(tx, call)
    filters = _Filters()
    _visible(filters, call)
    if not public:
        filters.compare("visibility", "neq", "public")
    pairs = query.pairs()
    if len(pairs) > _MOST_FILTERS:
        raise BadRequest(f"The query has {len(pairs)} parameters; at most {_MOST_FILTERS} are read.")
    hidden = False
    may_read = reader(call)
    for name, value in pairs:
        hidden = hidden or name == "os_hidden"
        if name not in _NOT_FILTERS:
            _filter(filters, name, value, may_read)
    if not hidden:
        filters.compare("os_hidden", "eq", False)  # noqa: FBT003
    return _listing.page(tx, _paging(query), filters.scope())


def _require_marker(tx: Transaction, call: Call) -> None:
    """Raise BadRequest for a marker that the caller may not know of, as for one that is none."""
    marker = call.query.get("marker")
    if marker:
        try:
            visible(tx, call.caller, marker)
        except NotFound:
            raise BadRequest(f"Marker {marker[:80]} could not be found.", kind="MarkerNotFound") from None


def _visible(filters: _Filters, call: Call) -> None:
    asked = call.query.get("visibility")
    if asked is not None and asked not in (*VISIBILITIES, "all"):
        raise BadRequest(f"Invalid visibility value: {asked}")
    member_status = call.query.get("member_status", "accepted") or ""
    if member_status not in _SHARED:
        raise BadRequest(f"Invalid status: {member_status}")
    caller = call.caller
    values = {"caller": caller.project_id or ""}
    if not caller.is_admin:
        filters.add(
            f"seen {member_status}",
            lambda: sa.or_(_OWN, _FOR_ALL, _SHARED[member_status]),
            **values,
        )
    if asked is None:
        # Community images are many and strangers': they are listed for their owner, and for who asks for them.
        filters.add("own community", lambda: sa.or_(images.c.visibility != "community", _OWN), **values)
    elif asked != "all":
        filters.compare("visibility", "eq", asked)


def _filter(filters: _Filters, name: str, value: str, may_read: Callable[[str], bool] | None) -> None:
    if "\0" in value or "\0" in name:
        raise BadRequest(f"Invalid input for {name!r}: NUL characters are in no image.")
    if name == "tag":
        filters.word(TAG, value.strip(), "")
    elif name in _LISTS:
        _list_filter(filters, name, value)
    elif name in _TEXTS:
        filters.compare(name, "eq", value)
    elif name == "owner":
        filters.compare("project_id", "eq", value)
    elif name in _NUMBERS:
        filters.compare(name, "eq", _number(name, value))
    elif name[-4:] in ("_min", "_max") and name[:-4] in _NUMBERS:
        filters.compare(name[:-4], "gte" if name.endswith("_min") else "lte", _number(name, value))
    elif name in _FLAGS:
        filters.compare(name, "eq", _flag(name, value))
    elif name in _MOMENTS:
        operator, moment = _moment(name, value)
        filters.compare(name, operator, moment)
    elif name == "changes-since":
        raise BadRequest('The "changes-since" filter is no longer available on v2.')
    elif may_read is None or may_read(name):
        filters.word(PROPERTY, name, value)
    else:
        filters.add("none", sa.false)  # a filter must not tell what showing the image does not


def _list_filter(filters: _Filters, name: str, value: str) -> None:
    # A name may hold a colon (nginx:latest), so only the two known operators are taken as such.
    if value.startswith("in:"):
        if value.count('"') % 2:
            raise BadRequest(f"Invalid filter value for {name}: a quotation mark is not closed.")
        found = [quoted or plain for quoted, plain in _QUOTED.findall(value[3:])]
        filters.any_of(name, found[:LARGEST_PAGE])
    else:
        filters.compare(name, "eq", value.removeprefix("eq:"))


def _number(name: str, value: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,19}", value) or abs(int(value)) > _LARGEST_INTEGER:
        raise BadRequest(f"Invalid input for {name}: '{value[:40]}' is not a whole number in range.")
    return int(value)


def _flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise BadRequest(f"Invalid value '{value[:40]}' for '{name}' filter. Valid values are 'true' or 'false'.")
    return value.lower() == "true"


def _moment(name: str, value: str) -> tuple[str, datetime]:
    head, _, rest = value.partition(":")
    operator, text = (head, rest) if head in _COMPARE else ("eq", value)
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.') from None
    return operator, moment


def _paging(query: Query) -> Query:
    """The same paging with the order written out, because Glance's default direction is desc."""
    pairs = [(name, value) for name, value in query.pairs() if name in ("limit", "marker")]
    if query.get("sort") is not None:
        if query.get("sort_key") is not None or query.get("sort_dir") is not None:
            raise BadRequest("Old and new sorting syntax cannot be combined")
        order = [item.strip().partition(":")[::2] for item in (query.get("sort") or "").split(",")]
    else:
        keys, directions = query.all("sort_key"), query.all("sort_dir")
        if len(directions) > 1 and len(directions) != len(keys):
            raise BadRequest("Number of sort dirs does not match the number of sort keys")
        if not keys and not directions:
            return Query(urlencode(pairs))
        keys = keys or ["created_at"]
        directions = directions if len(directions) > 1 else [directions[0] if directions else ""] * len(keys)
        order = list(zip(keys, directions, strict=True))
    for key, _ in order:
        if key.strip() not in _SORT_KEYS:
            raise BadRequest(f"Invalid sort key: {key}. It must be one of the following: {', '.join(_SORT_KEYS)}.")
    pairs.append(("sort", ",".join(f"{key.strip()}:{direction.strip() or 'desc'}" for key, direction in order)))
    return Query(urlencode(pairs))
