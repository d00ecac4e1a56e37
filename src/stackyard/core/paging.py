"""Lists: filters, sorting and keyset paging, declared once per noun and served the same everywhere.

A page begins after its marker's position in the sort order, found by the marker's own row, so that pages stay true
while rows come and go (no OFFSET). Statements are built once per shape of query and reused with bound parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row
from sqlalchemy.sql.elements import ColumnElement

from stackyard.core.call import Query, parse_boolean
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest

PAGING = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir", "sort_keys", "sort_dirs", "page_reverse"})
_SHAPES_KEPT = 512


def text(name: str, value: str) -> object:
    """A filter's value taken as it is."""
    del name
    return value


def boolean(name: str, value: str) -> object:
    """A filter's value read as a boolean."""
    return parse_boolean(name, value)


def integer(name: str, value: str) -> object:
    """A filter's value read as a whole number."""
    try:
        return int(value)
    except ValueError:
        raise BadRequest(f"Invalid input for {name}: '{value}' is not an integer.") from None


@dataclass(frozen=True, slots=True)
class Filter:
    """How a query parameter narrows a list.

    `column` compared with each value given (several values: any of them); `read` turns the text into the column's type.
    `where`, instead, makes the clause from a bound list parameter itself (for what lies in another table), or, when
    `many` is false, from the last value given (for comparisons other than equality).
    """

    column: ColumnElement[Any] | None = None
    read: Callable[[str, str], object] = text
    where: Callable[[sa.BindParameter[Any]], ColumnElement[bool]] | None = None
    many: bool = True

    def clause(self, parameter: sa.BindParameter[Any]) -> ColumnElement[bool]:
        """The condition, on an expanding bound parameter."""
        if self.where is not None:
            return self.where(parameter)
        if self.column is None:
            raise TypeError("a Filter needs a column or a where")
        return self.column.in_(parameter)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows the caller may see: a clause built once (its `name` keys the statement) and its parameters."""

    name: str
    where: ColumnElement[bool] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


EVERYTHING = Scope("everything")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order; `marker` is the id to ask for the next page with, None when this was the last."""

    rows: Sequence[Row[Any]]
    marker: str | None


class Listing:
    """One noun's list: `Listing(networks, {"name": Filter(networks.c.name)}, sort_keys=("name", "id"))`.

    `unknown` is what an undeclared query parameter gets: "ignore" (Keystone, Neutron) or "refuse" (Zun, Glance);
    `others` names parameters that the operation itself looks at. `select` may replace the plain select of the table;
    `page_size` and `max_limit` are the default and the most rows of a page (None: all).
    """

    def __init__(
        self,
        table: sa.Table,
        filters: Mapping[str, Filter],
        *,
        sort_keys: Sequence[str] = (),
        default_sort: Sequence[tuple[str, str]] = (),
        others: Sequence[str] = (),
        unknown: str = "ignore",
        page_size: int | None = None,
        max_limit: int = 1000,
        key: str = "id",
        select: sa.Select[Any] | None = None,
    ) -> None:
        self.table = table
        self.filters = dict(filters)
        self.sort_keys = {name: table.c[name] for name in {*sort_keys, key, *(k for k, _ in default_sort)}}
        self.default_sort = tuple(default_sort)
        self.others = frozenset(others) | PAGING
        self.unknown = unknown
        self.page_size = page_size
        self.max_limit = max_limit
        self.key = key
        self.select = sa.select(table) if select is None else select
        """All rows, in no order."""
        self._statements: dict[object, sa.Select[Any]] = {}

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the query parameters that it looks at, for the API's description."""
        return (*self.filters, *sorted(self.others))

    def page(self, tx: Transaction, query: Query, scope: Scope = EVERYTHING) -> Page:
        """The rows that the caller may see, the query's filters keep, and its limit and marker cut.

        Raises BadRequest for an unknown parameter (when refused), sort key or direction, limit or marker.
        """
        values, names = self._filter_values(query)
        sort = self._sort(query)
        limit = self._limit(query)
        marker = query.get("marker")
        parameters: dict[str, Any] = {**scope.parameters, **values}
        nulls: tuple[bool, ...] = ()
        if marker:
            row = tx.first(
                sa.select(self.table).where(self.table.c[self.key] == bindparam("marker")), {"marker": marker}
            )
            if row is None:
                raise BadRequest(f"Marker {marker} could not be found.", kind="MarkerNotFound")
            nulls = tuple(row._mapping[name] is None for name, _ in sort)
            parameters |= {f"after_{i}": row._mapping[name] for i, (name, _) in enumerate(sort)}
        if limit is not None:
            parameters["page_limit"] = limit + 1
        shape = (scope.name, names, sort, limit is not None, nulls)
        rows = tx.all(self._statement(shape, scope), parameters)
        if limit is not None and len(rows) > limit:
            rows = rows[:limit]
            return Page(rows, str(rows[-1]._mapping[self.key]) if rows else None)
        return Page(rows, None)

    def count(self, tx: Transaction, query: Query, scope: Scope = EVERYTHING) -> int:
        """How many rows the caller may see that the query's filters keep, on all pages together."""
        values, names = self._filter_values(query)
        statement = self._statement(("count", scope.name, names), scope)
        return int(tx.scalar(statement, {**scope.parameters, **values}))

    def _filter_values(self, query: Query) -> tuple[dict[str, Any], tuple[str, ...]]:
        found: dict[str, list[object]] = {}
        for name, value in query.pairs():
            declared = self.filters.get(name)
            if declared is not None:
                found.setdefault(name, []).append(declared.read(name, value))
            elif self.unknown == "refuse" and name not in self.others:
                raise BadRequest(f"Unknown query parameter: {name}")
        values = {f"filter_{name}": given if self.filters[name].many else given[-1] for name, given in found.items()}
        return values, tuple(sorted(found))

    def _limit(self, query: Query) -> int | None:
        asked = query.get("limit")
        if asked is None:
            return self.page_size
        if not (asked.isascii() and asked.isdigit() and len(asked) < 20):
            raise BadRequest(f"Invalid input for limit: '{asked[:40]}' is not a whole number of 0 or more.")
        number = int(asked)
        return min(number, self.max_limit) if number else self._zero_limit()

    def _zero_limit(self) -> int | None:
        return 0 if self.unknown == "refuse" else None

    def _sort(self, query: Query) -> tuple[tuple[str, str], ...]:
        pairs = []
        for item in query.get("sort", "").split(",") if query.get("sort") else []:  # type: ignore[union-attr]
            name, _, direction = item.partition(":")
            pairs.append((name.strip(), direction.strip() or "asc"))
        keys = query.all("sort_key") or [k for k in (query.get("sort_keys") or "").split(",") if k]
        directions = query.all("sort_dir") or [d for d in (query.get("sort_dirs") or "").split(",") if d]
        for index, name in enumerate(keys):
            last = directions[-1] if directions else "asc"
            pairs.append((name, directions[index] if index < len(directions) else last))
        if not pairs:
            pairs = list(self.default_sort)
            if directions:
                pairs = [(name, directions[0]) for name, _ in pairs]
        for name, direction in pairs:
            if name not in self.sort_keys:
                raise BadRequest(
                    f"Invalid input for sort_key: '{name}' is not one of {', '.join(sorted(self.sort_keys))}."
                )
            if direction not in ("asc", "desc"):
                raise BadRequest(f"Invalid input for sort_dir: '{direction}' is neither asc nor desc.")
        unique = dict(reversed(pairs))
        ordered = [(name, unique[name]) for name in dict.fromkeys(name for name, _ in pairs)]
        if self.key not in unique:
            ordered.append((self.key, ordered[-1][1] if ordered else "asc"))
        return tuple(ordered)

    def _statement(self, shape: tuple[Any, ...], scope: Scope) -> sa.Select[Any]:
        statement = self._statements.get(shape)
        if statement is None:
            if len(self._statements) >= _SHAPES_KEPT:
                self._statements.clear()
            statement = self._statements[shape] = self._build(shape, scope)
        return statement

    def _narrowed(self, names: tuple[str, ...], scope: Scope) -> sa.Select[Any]:
        statement = self.select
        if scope.where is not None:
            statement = statement.where(scope.where)
        for name in names:
            declared = self.filters[name]
            statement = statement.where(declared.clause(bindparam(f"filter_{name}", expanding=declared.many)))
        return statement

    def _build(self, shape: tuple[Any, ...], scope: Scope) -> sa.Select[Any]:
        if shape[0] == "count":
            return sa.select(sa.func.count()).select_from(self._narrowed(shape[2], scope).subquery())
        _, names, sort, limited, nulls = shape
        statement = self._narrowed(names, scope)
        if nulls:
            statement = statement.where(self._after(sort, nulls))
        for name, direction in sort:
            column = self.sort_keys[name]
            # NULLs lowest on every database, so that a marker's place does not depend on which one it is.
            nothing = column.is_not(None)
            statement = (
                statement.order_by(nothing if direction == "asc" else nothing.desc()) if column.nullable else statement
            )
            statement = statement.order_by(column.asc() if direction == "asc" else column.desc())
        return statement.limit(bindparam("page_limit", type_=sa.Integer)) if limited else statement

    def _after(self, sort: Sequence[tuple[str, str]], nulls: Sequence[bool]) -> ColumnElement[bool]:
        """Rows after the marker's: later in the first key, or equal there and later in the second, and so on."""
        either: list[ColumnElement[bool]] = []
        equal: list[ColumnElement[bool]] = []
        for index, (name, direction) in enumerate(sort):
            column = self.sort_keys[name]
            later: ColumnElement[bool]
            same: ColumnElement[bool]
            value = bindparam(f"after_{index}", type_=column.type)
            if nulls[index]:
                later = column.is_not(None) if direction == "asc" else sa.false()
                same = column.is_(None)
            elif direction == "asc":
                later, same = column > value, column == value
            else:
                same = column == value
                later = sa.or_(column < value, column.is_(None)) if column.nullable else column < value
            either.append(sa.and_(*equal, later))
            equal.append(same)
        return sa.or_(*either)
