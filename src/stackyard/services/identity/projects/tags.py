"""Tags of projects, and lists narrowed by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row
from sqlalchemy.sql.elements import ColumnElement

from stackyard.core.body import Body, convert
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.paging import Scope
from stackyard.services.identity import attributes
from stackyard.services.identity.attributes import Tag, Tags
from stackyard.services.identity.projects import tables
from stackyard.services.identity.projects.tables import projects, tags
from stackyard.services.identity.targets import the

_MOST = 80


class TagList(Body):
    """All tags of a project."""

    tags: Tags


def _matches(parameter: str) -> sa.Select[Any]:
    wanted = tags.c.name.in_(bindparam(parameter, expanding=True))
    return (
        sa.select(sa.func.count())
        .select_from(tags)
        .where(tags.c.project_id == projects.c.id, wanted)
        .correlate(projects)
    )


def _all_of(parameter: str) -> ColumnElement[bool]:
    return _matches(parameter).scalar_subquery() == bindparam(f"{parameter}_count", type_=sa.Integer)


def _any_of(parameter: str) -> ColumnElement[bool]:
    return _matches(parameter).scalar_subquery() > 0


_QUERIES: dict[str, ColumnElement[bool]] = {
    "tags": _all_of("tags"),
    "tags-any": _any_of("tags_any"),
    "not-tags": sa.not_(_all_of("not_tags")),
    "not-tags-any": sa.not_(_any_of("not_tags_any")),
}


def narrowed(scope: Scope, call: Call) -> Scope:
    """The scope, narrowed by what the query says of tags."""
    asked = [name for name in _QUERIES if call.query.get(name)]
    if not asked:
        return scope
    clauses = [_QUERIES[name] for name in asked] + ([] if scope.where is None else [scope.where])
    parameters = dict(scope.parameters)
    for name in asked:
        values = sorted({part for part in (call.query.get(name) or "").split(",") if part})
        key = name.replace("-", "_")
        parameters[key] = values
        if not name.endswith("any"):
            parameters[f"{key}_count"] = len(values)
    return Scope(f"{scope.name} {' '.join(asked)}", sa.and_(*clauses), parameters)


def replace(tx: Transaction, project_id: str, names: Sequence[str]) -> None:
    """Give a project these tags and no others; BadRequest when one comes twice."""
    if len(set(names)) != len(names):
        raise BadRequest("Invalid input for tags: each tag may be given once.")
    tx.execute(tables.DELETE_TAGS, {"id": project_id})
    for name in names:
        tx.execute(tables.INSERT_TAG, {"project_id": project_id, "name": name})


def _names(tx: Transaction, project_id: str) -> list[str]:
    return [row.name for row in tx.all(tables.TAGS, {"id": project_id})]


def _body(tx: Transaction, call: Call, project_id: str) -> dict[str, Any]:
    return {"links": {"self": call.url(f"/v3/projects/{project_id}/tags")}, "tags": _names(tx, project_id)}


def _open_project(call: Call) -> Row[Any]:
    """The project, whose tags are to change; Forbidden when it is immutable."""
    project = the(call, "project")
    attributes.check_mutable(project.options, "project", project.id)
    return project


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """A project's tags."""
    return _body(tx, call, the(call, "project").id)


def replace_all(tx: Transaction, call: Call) -> dict[str, Any]:
    """Give a project these tags and no others."""
    project = _open_project(call)
    replace(tx, project.id, call.body.tags)
    return _body(tx, call, project.id)


def delete_all(tx: Transaction, call: Call) -> None:
    """Take all tags from a project."""
    tx.execute(tables.DELETE_TAGS, {"id": _open_project(call).id})


def check(tx: Transaction, call: Call) -> None:
    """Whether a project has a tag."""
    if call.path["tag"] not in _names(tx, the(call, "project").id):
        raise NotFound(f"Could not find project tag: {call.path['tag']}.")


def add(tx: Transaction, call: Call) -> Reply:
    """Give a project one more tag."""
    project = _open_project(call)
    name = convert([call.path["tag"].strip()], list[Tag], "tag")[0]
    names = _names(tx, project.id)
    if name not in names:
        if len(names) >= _MOST:
            raise BadRequest(f"Invalid input for tags: a project has at most {_MOST}.")
        tx.execute(tables.INSERT_TAG, {"project_id": project.id, "name": name})
    return Reply(b"", status=201, headers={"Location": call.url(f"/v3/projects/{project.id}/tags/{name}")})


def delete(tx: Transaction, call: Call) -> None:
    """Take one tag from a project."""
    _open_project(call)
    check(tx, call)
    tx.execute(tables.DELETE_TAG, {"id": call.path["project_id"], "name": call.path["tag"]})
