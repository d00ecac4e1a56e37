"""A kind of resource that is listed, shown, made, changed and deleted as Keystone does it with most of its kinds.

What is the same for all of them is here, once. A kind declares its table, bodies, list and view, and says in functions
of its own only what it checks and stores otherwise than given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.ids import new_hex
from stackyard.core.paging import EVERYTHING, Listing, Scope
from stackyard.core.routes import Operation, Route
from stackyard.services.identity import attributes
from stackyard.services.identity.listing import collection
from stackyard.services.identity.targets import load, the, to_create

Values = dict[str, Any]
"""Attributes, or columns, by name."""

ALL = "list create show update delete"


def _as_given(tx: Transaction, call: Call, asked: Any) -> Values:
    del tx, call
    found = {name: getattr(asked, name) for name in asked.__struct_fields__}
    return {name: None if value is UNSET else value for name, value in found.items()}


def _as_changed(tx: Transaction, call: Call, row: Row[Any], asked: Any) -> Values:
    del tx, call, row
    return dict(asked.given())


def _see_all(tx: Transaction, call: Call) -> Scope:
    del tx, call
    return EVERYTHING


def _anything(tx: Transaction, call: Call, row: Row[Any]) -> None:
    del tx, call, row


def _anybody(call: Call, row: Row[Any], verb: str) -> None:
    del call, row, verb


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One kind; `kind` and `plural` name it in bodies and rules, and `path` is that of its list.

    `new` and `change` are its bodies. Whatever else a client sends is kept where the table has a column `extra`, and
    refused elsewhere. `view` shows a row, but for its id, its extra attributes and its link.

    These may refuse, by raising: `scope` says what of the list a caller may see · `to_store` gives the columns of a new
    row (an id among them replaces the generated one), `to_change` those that an update changes · `before_delete` comes
    before a row goes · `guard` checks for one row and a verb (get, update, delete) what the route's own rule cannot.
    `target` loads the row for that rule.
    """

    kind: str
    plural: str
    path: str
    table: sa.Table
    new: type[OpenBody]
    change: type[OpenBody]
    view: Callable[[Call, Row[Any]], Values]
    listing: Listing
    scope: Callable[[Transaction, Call], Scope] = _see_all
    to_store: Callable[[Transaction, Call, Any], Values] = _as_given
    to_change: Callable[[Transaction, Call, Row[Any], Any], Values] = _as_changed
    before_delete: Callable[[Transaction, Call, Row[Any]], None] = _anything
    guard: Callable[[Call, Row[Any], str], None] = _anybody
    target: Callable[[Transaction, Call], Values] = load
    may_be_empty: bool = False
    """Whether a change may leave everything as it is."""

    @cached_property
    def _insert(self) -> sa.Insert:
        return sa.insert(self.table)

    @cached_property
    def _update(self) -> sa.Update:
        return sa.update(self.table).where(self.table.c.id == bindparam("key"))

    @cached_property
    def _delete(self) -> sa.Delete:
        return sa.delete(self.table).where(self.table.c.id == bindparam("key"))

    @cached_property
    def _one(self) -> sa.Select[Any]:
        """One row, with what the list's rows have of other tables."""
        return self.listing.select.where(self.table.c.id == bindparam("key"))

    def rows(self, tx: Transaction, call: Call) -> Values:
        """List them."""
        page = self.listing.page(tx, call.query, self.scope(tx, call))
        return collection(call, self.plural, [self.shown(call, row) for row in page.rows], page)

    def show(self, tx: Transaction, call: Call) -> Values:
        """Show one."""
        return {self.kind: self.shown(call, self._the(tx, call, "get"))}

    def create(self, tx: Transaction, call: Call) -> Values:
        """Make one."""
        return {self.kind: self.shown(call, self.add(tx, call, call.body))}

    def update(self, tx: Transaction, call: Call) -> Values:
        """Change one."""
        row = self._the(tx, call, "update")
        asked, extra = attributes.changes(call.body, self.change, self.kind, row.id, may_be_empty=self.may_be_empty)
        values = self.to_change(tx, call, row, asked) | self._extra(extra, row)
        if values:
            tx.execute(self._update.values(**values), {"key": row.id})
        return {self.kind: self.shown(call, self._read(tx, row.id))}

    def delete(self, tx: Transaction, call: Call) -> None:
        """Delete one."""
        row = self._the(tx, call, "delete")
        self.before_delete(tx, call, row)
        tx.execute(self._delete, {"key": row.id})

    def add(self, tx: Transaction, call: Call, document: Values) -> Row[Any]:
        """Store a new one as a body describes it."""
        asked, extra = attributes.read(document, self.new, self.kind)
        values = {"id": new_hex(), **self.to_store(tx, call, asked), **self._extra(extra)}
        if "created_at" in self.table.c:
            values["created_at"] = tx.now
        tx.execute(self._insert, values)
        return self._read(tx, values["id"])

    def shown(self, call: Call, row: Row[Any]) -> Values:
        """One as the API shows it."""
        extra = row.extra if "extra" in self.table.c else {}
        return {**extra, "id": row.id, **self.view(call, row), "links": {"self": call.url(f"{self.path}/{row.id}")}}

    def together(self, call: Call, rows: Iterable[Row[Any]]) -> Values:
        """Several that one call made."""
        return {self.plural: [self.shown(call, row) for row in rows]}

    def route(self, method: str, place: str, operation: Operation, verb: str, **options: Any) -> Route:
        """One route below `path`, by the rule for a verb; creating and changing take a body in its envelope."""
        name = self.plural if verb == "list" else self.kind
        if method in ("POST", "PUT", "PATCH"):
            schema = self.change if verb == "update" else self.new
            options = {"body": dict, "schema": schema, "envelope": self.kind, **options}
        elif verb == "list":
            options = {"query": self.listing.parameters, **options}
        return Route(method, f"{self.path}{place}", operation, f"identity:{verb}_{name}", **options)

    def routes(self, verbs: str = ALL) -> tuple[Route, ...]:
        """The routes of the usual calls, by their usual rules."""
        one = f"/{{{self.kind}_id}}"
        known = {
            "list": self.route("GET", "", self.rows, "list"),
            "create": self.route("POST", "", self.create, "create", target=to_create, status=201),
            "show": self.route("GET", one, self.show, "get", target=self.target),
            "update": self.route("PATCH", one, self.update, "update", target=self.target),
            "delete": self.route("DELETE", one, self.delete, "delete", target=self.target),
        }
        return tuple(known[verb] for verb in verbs.split())

    def _the(self, tx: Transaction, call: Call, verb: str) -> Row[Any]:
        del tx
        row = the(call, self.kind)
        self.guard(call, row, verb)
        return row

    def _extra(self, given: Values, row: Row[Any] | None = None) -> Values:
        if "extra" in self.table.c:
            return {"extra": attributes.merged({} if row is None else row.extra, given)}
        if given:
            raise BadRequest(f"Additional properties are not allowed ('{min(given)}' was unexpected).")
        return {}

    def _read(self, tx: Transaction, resource_id: str) -> Row[Any]:
        row = tx.first(self._one, {"key": resource_id})
        assert row is not None  # noqa: S101 (it was there, or was stored, in this transaction)
        return row
