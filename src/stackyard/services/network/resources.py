"""What every resource of the network API has in common: bodies singly or in bulk, the standard attributes, field
selection, pages with links, revisions, quotas, and rules on single attributes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core.body import Body, convert
from stackyard.core.call import Call, Query, Reply, parse_boolean
from stackyard.core.clock import iso_z
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, InvalidField, OverQuota, PreconditionFailed
from stackyard.core.paging import EVERYTHING, Filter, Listing, Page, Scope, boolean
from stackyard.core.runtime import Runtime
from stackyard.services.network.faults import conflict
from stackyard.services.network.tables import resource_tags

B = TypeVar("B", bound=Body)

Text = Annotated[str, msgspec.Meta(max_length=255)]
Flag = bool | str | int
"""A boolean as clients write it: also "true" or 1. Read with `flag`."""

LARGEST_PAGE = 1_000_000


def read_bodies(call: Call, kind: type[B], singular: str, plural: str) -> tuple[list[B], bool]:
    """The resources that a POST asks for, and whether in bulk (`{"networks": [...]}`)."""
    document = call.body
    if singular in document:
        found = document[singular]
        return [convert({} if found is None else found, kind, singular)], False
    if plural in document:
        if not isinstance(document[plural], list) or not document[plural]:
            raise BadRequest(f"Malformed request body: '{plural}' must be a list with at least one {singular}.")
        return [convert(item, kind, f"{plural}[{i}]") for i, item in enumerate(document[plural])], True
    raise BadRequest(f"Malformed request body: expected an object with the key '{singular}' or '{plural}'.")


def created(call: Call, names: tuple[str, str], views: Sequence[Mapping[str, Any]], *, bulk: bool) -> Reply:
    """The answer to a POST."""
    singular, plural = names
    body = {plural: [shown(call, view) for view in views]} if bulk else {singular: shown(call, views[0])}
    return Reply(body, status=201)


def flag(name: str, value: Flag | UnsetType, *, default: bool) -> bool:
    """A boolean field."""
    if value is UNSET:
        return default
    if isinstance(value, bool):
        return value
    try:
        return parse_boolean(name, str(value))
    except BadRequest:
        raise InvalidField(name, f"'{value}' cannot be converted to boolean.") from None


def integer(name: str, value: int | str) -> int:
    """A whole number, also written as text."""
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise InvalidField(name, f"'{value}' is not an integer.")
    return int(value)


def either(value: Any, default: Any) -> Any:
    """The value, or `default` when it was not sent."""
    return default if value is UNSET else value


def standard_view(row: Any) -> dict[str, Any]:
    """The attributes that every resource has."""
    return {
        "id": row.id,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "description": row.description,
        "tags": row.tags,
        "created_at": iso_z(row.created_at),
        "updated_at": iso_z(row.updated_at),
        "revision_number": row.revision_number,
    }


def new_row(tx: Transaction, resource_id: str, project_id: str, body: Any) -> dict[str, Any]:
    """The standard attributes of a row that is being made."""
    return {
        "id": resource_id,
        "project_id": project_id,
        "name": either(getattr(body, "name", ""), ""),
        "description": either(body.description, "") or "",
        "tags": [],
        "revision_number": 1,
        "created_at": tx.now,
        "updated_at": tx.now,
    }


def shown(call: Call, view: Mapping[str, Any]) -> Mapping[str, Any]:
    """The view, or the part of it that `fields=` asks for."""
    fields = [name for name in call.query.all("fields") if name]
    return {name: view[name] for name in fields if name in view} if fields else view


def listed(call: Call, plural: str, page: Page, view: Callable[[Any], Mapping[str, Any]]) -> dict[str, Any]:
    """A list with its views and, when a limit was asked for, the links to the pages beside it."""
    views = map(view, page.rows)
    return _linked(call, plural, page, [shown(call, one) for one in views] if call.query.all("fields") else list(views))


def listed_encoded(call: Call, plural: str, page: Page, views: Sequence[msgspec.Raw]) -> Reply:
    """The same of views that are encoded already."""
    if call.query.all("fields"):
        return Reply(_linked(call, plural, page, [shown(call, msgspec.json.decode(one)) for one in views]))
    return Reply(msgspec.json.encode(_linked(call, plural, page, views)))


def _linked(call: Call, plural: str, page: Page, views: Sequence[object]) -> dict[str, Any]:
    body: dict[str, Any] = {plural: views}
    if call.query.get("limit") and page.rows:
        body[f"{plural}_links"] = links = []
        backwards = call.query.boolean("page_reverse")
        first, last = page.rows[0].id, page.rows[-1].id
        if backwards or page.marker is not None:
            links.append({"rel": "next", "href": _page_url(call, last)})
        if page.marker is not None if backwards else call.query.get("marker"):
            links.append({"rel": "previous", "href": _page_url(call, first, page_reverse="True")})
    return body


def _page_url(call: Call, marker: str, **more: str) -> str:
    kept = [(name, value) for name, value in call.query.pairs() if name not in ("marker", "page_reverse")]
    query = urlencode([*kept, ("marker", marker), *more.items()])
    return f"{call.root_url}{call.request.scope['path']}?{query}"


def check_revision(call: Call, row: Any) -> None:
    """Honour `If-Match: revision_number=N`; raises PreconditionFailed, or BadRequest for another condition."""
    condition = call.request.headers.get("if-match")
    if condition is None:
        return
    match = re.fullmatch(r"\s*revision_number\s*=\s*([0-9]{1,18})\s*", condition)
    if match is None:
        raise BadRequest(f"Invalid value in If-Match header: '{condition}'; expected revision_number=N.")
    if int(match[1]) != row.revision_number:
        raise PreconditionFailed(
            f"Constrained to {match[1]}, but current revision is {row.revision_number}",
            kind="RevisionNumberConstraintFailed",
        )


def owner(call: Call, body: Any) -> str:
    """The project that a new resource will belong to: the caller's, or the one that the body names."""
    given = either(body.project_id, None) or either(body.tenant_id, None)
    project = given or call.caller.project_id
    if not project:
        raise BadRequest("A token scoped to a project is needed, or project_id in the body.", kind="HTTPBadRequest")
    return str(project)


def require_attributes(call: Call, rule: str, target: Mapping[str, Any], given: Iterable[tuple[str, bool]]) -> None:
    """Check `rule:attribute` for each (attribute, is it set?); raises Forbidden naming the rule."""
    for name, is_set in given:
        if is_set and not call.allows(f"{rule}:{name}", target):
            raise Forbidden(f"({rule}:{name}) is disallowed by policy", kind="PolicyNotAuthorized")


def reserve(tx: Transaction, runtime: Runtime, project_id: str, resource: str, amount: int = 1) -> None:
    """Take quota; raises Neutron's OverQuota, a conflict."""
    try:
        runtime.quotas.reserve(tx, project_id, {f"network.{resource}": amount})
    except OverQuota as error:
        raise conflict("OverQuota", f"Quota exceeded for resources: ['{resource}']. {error.message}") from None


def release(tx: Transaction, runtime: Runtime, project_id: str, resource: str, amount: int = 1) -> None:
    """Give quota back."""
    runtime.quotas.release(tx, project_id, {f"network.{resource}": amount})


def touch(tx: Transaction, table: sa.Table, resource_id: str, **changes: Any) -> None:
    """Change a row: the columns given, its revision and its time."""
    statement = sa.update(table).where(table.c.id == bindparam("key"))
    statement = statement.values(revision_number=table.c.revision_number + 1, updated_at=bindparam("now_"), **changes)
    tx.execute(statement, {"key": resource_id, "now_": tx.now})


def standard_filters(table: sa.Table, *names: str) -> dict[str, Filter]:
    """Filters for the standard attributes and tags, and for the columns named (booleans read as such)."""
    found = {"tenant_id": Filter(table.c.project_id)}
    for name in ("id", "project_id", "name", "description", *names):
        if name in table.c:
            found[name] = column_filter(table.c[name])
    found["revision_number"] = column_filter(table.c.revision_number)
    return found | (_tag_filters(table) if "tags" in table.c else {})


def column_filter(column: sa.Column[Any]) -> Filter:
    """A filter that reads values as the column's type."""
    if isinstance(column.type, sa.Boolean):
        return Filter(column, boolean)
    return Filter(column, _number) if isinstance(column.type, sa.Integer) else Filter(column)


def _number(name: str, value: str) -> object:
    return integer(name, value)


_TAG_FILTERS = ("tags", "tags-any", "not-tags", "not-tags-any")


def page_of(tx: Transaction, query: Query, listing: Listing, scope: Scope = EVERYTHING) -> Page:
    """A page of a list; with `page_reverse`, the one that ends before the marker."""
    if query.boolean("page_reverse"):
        page = _forward(tx, _turned(query), listing, scope)
        return Page(page.rows[::-1], page.marker)
    return _forward(tx, query, listing, scope)


def _turned(query: Query) -> Query:
    """The same query in the opposite order."""
    keys, directions = query.all("sort_key") or ["id"], query.all("sort_dir")
    pairs = [pair for pair in query.pairs() if pair[0] not in ("sort_key", "sort_dir", "page_reverse")]
    for index, key in enumerate(keys):
        given = directions[min(index, len(directions) - 1)] if directions else "asc"
        pairs += [("sort_key", key), ("sort_dir", {"asc": "desc", "desc": "asc"}.get(given, given))]
    return Query(urlencode(pairs))


def _forward(tx: Transaction, query: Query, listing: Listing, scope: Scope) -> Page:
    """Lists of tags are written with commas, and those that mean "all of" need to be counted."""
    if not any(name in _TAG_FILTERS for name, _ in query.pairs()):
        return listing.page(tx, query, scope)
    pairs = [
        (name, part)
        for name, value in query.pairs()
        for part in (dict.fromkeys(value.split(",")) if name in _TAG_FILTERS else (value,))
    ]
    counts = {
        f"filter_{name}_count": sum(1 for given, _ in pairs if given == name)
        for name in ("tags", "not-tags")
        if any(given == name for given, _ in pairs)
    }
    counted = Scope(scope.name, scope.where, {**scope.parameters, **counts})
    return listing.page(tx, Query(urlencode(pairs)), counted)


def _tag_filters(table: sa.Table) -> dict[str, Filter]:
    tag = resource_tags.c.tag

    def having(parameter: sa.BindParameter[Any]) -> sa.Select[Any]:
        return sa.select(resource_tags.c.resource_id).where(tag.in_(parameter))

    def all_of(parameter: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
        wanted = bindparam(f"{parameter.key}_count", type_=sa.Integer)
        return table.c.id.in_(having(parameter).group_by(resource_tags.c.resource_id).having(sa.func.count() == wanted))

    return {
        "tags-any": Filter(where=lambda p: table.c.id.in_(having(p))),
        "not-tags-any": Filter(where=lambda p: table.c.id.not_in(having(p))),
        "tags": Filter(where=all_of),
        "not-tags": Filter(where=lambda p: sa.not_(all_of(p))),
    }


LONGEST_TAG = 255
MOST_TAGS = 50
_TAG = sa.insert(resource_tags)


def read_tags(given: Iterable[object]) -> list[str]:
    """Tags out of a body, each once; raises InvalidField."""
    found: dict[str, None] = {}
    for index, tag in enumerate(given):
        if not isinstance(tag, str) or not tag or len(tag) > LONGEST_TAG:
            raise InvalidField(f"tags[{index}]", f"'{tag}' is not a text of 1 to {LONGEST_TAG} characters.")
        if "," in tag:
            raise InvalidField(f"tags[{index}]", f"'{tag}' has a comma, which separates tags in filters.")
        found[tag] = None
    if len(found) > MOST_TAGS:
        raise InvalidField("tags", f"a resource has at most {MOST_TAGS} tags.")
    return list(found)


def store_tags(tx: Transaction, rows: Iterable[Mapping[str, Any]]) -> None:
    """Make the tags of new rows (their `id` and `tags`) known to filters."""
    pairs = [{"resource_id": row["id"], "tag": tag} for row in rows for tag in row["tags"]]
    if pairs:
        tx.execute(_TAG, pairs)


_FORGET_TAGS = sa.delete(resource_tags).where(resource_tags.c.resource_id == bindparam("id"))


def forget_tags(tx: Transaction, resource_id: str) -> None:
    """Drop the tags of what is being deleted."""
    tx.execute(_FORGET_TAGS, {"id": resource_id})
