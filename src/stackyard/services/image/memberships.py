"""Sharing: the projects that an image is shown to besides its owner's, and whether each has accepted it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, InvalidField, NotFound
from stackyard.core.runtime import Runtime
from stackyard.services.image.images import visible
from stackyard.services.image.properties import require_members
from stackyard.services.image.tables import members
from stackyard.services.image.views import member_view

STATUSES = ("pending", "accepted", "rejected")

_OF_IMAGE = members.c.image_id == bindparam("image")
_ONE = sa.and_(_OF_IMAGE, members.c.member_id == bindparam("member"))
_LIST = sa.select(members).where(_OF_IMAGE).order_by(members.c.created_at, members.c.member_id)
_GET = sa.select(members).where(_ONE)
_COUNT = sa.select(sa.func.count()).where(_OF_IMAGE)
_INSERT = sa.insert(members)
_UPDATE = sa.update(members).where(_ONE).values(status=bindparam("s"), updated_at=bindparam("now"))
_DELETE = sa.delete(members).where(_ONE)


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """The shared image that the address names; Forbidden when it is not shared at all."""
    image = visible(tx, call.caller, call.path["image_id"])
    if image["visibility"] != "shared":
        raise Forbidden("Only shared images have members.")
    return image


def load_shown(tx: Transaction, call: Call) -> dict[str, Any]:
    """The same for showing one member, where what is not shared is not found."""
    image = visible(tx, call.caller, call.path["image_id"])
    if image["visibility"] != "shared":
        raise NotFound("Only shared images have members.")
    return image


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Show the image to one more project, which may then accept it."""
    return member_view(join(tx, call.runtime, call.target, _text(call.body, "member")))


def join(tx: Transaction, runtime: Runtime, image: Mapping[str, Any], member_id: Any) -> Any:
    """Make a project a member of an image; its row. Raises Conflict for one that is, TooLarge past the most."""
    if not isinstance(member_id, str) or not member_id or len(member_id) > 255 or "\0" in member_id:
        raise InvalidField("member", "the id of a project is expected.")
    if _find(tx, image, member_id) is not None:
        raise Conflict(f"Member {member_id} is duplicated for image {image['id']}")
    require_members(runtime, tx.scalar(_COUNT, {"image": image["id"]}) + 1)
    row = {"image_id": image["id"], "member_id": member_id, "status": "pending"}
    try:
        with tx.savepoint():
            tx.execute(_INSERT, row | {"created_at": tx.now, "updated_at": tx.now})
    except IntegrityError:
        raise Conflict(f"Member {member_id} is duplicated for image {image['id']}") from None
    return _find(tx, image, member_id)


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """The projects that the image is shared with; a project that it is shared with sees itself alone."""
    rows = [row for row in tx.all(_LIST, {"image": call.target["id"]}) if _may_see(call, row.member_id)]
    return {"members": [member_view(row) for row in rows], "schema": "/v2/schemas/members"}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One project that the image is shared with."""
    return member_view(_member(tx, call))


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Accept or reject the image; only the project it is shared with may."""
    status = _text(call.body, "status")
    member = _member(tx, call)
    if status not in STATUSES:
        raise BadRequest(f"Incorrect request: Member status must be one of {', '.join(STATUSES)}, not '{status[:40]}'.")
    tx.execute(_UPDATE, {"image": member.image_id, "member": member.member_id, "s": status, "now": tx.now})
    return member_view(_find(tx, call.target, member.member_id))


def delete(tx: Transaction, call: Call) -> None:
    """Stop sharing the image with a project."""
    member = _member(tx, call)
    tx.execute(_DELETE, {"image": member.image_id, "member": member.member_id})


def _text(body: Any, name: str) -> str:
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str):
        raise BadRequest(f"Expected a {name} in the form: " + '{"' + name + '": "..."}')
    return value


def _find(tx: Transaction, image: Mapping[str, Any], member_id: str) -> Any:
    return tx.first(_GET, {"image": image["id"], "member": member_id})


def _member(tx: Transaction, call: Call) -> Any:
    member_id = call.path["member_id"]
    found = _find(tx, call.target, member_id) if "\0" not in member_id and _may_see(call, member_id) else None
    if found is None:
        raise NotFound(f"{member_id[:80]} not found in the member list of the image {call.target['id']}.")
    return found


def _may_see(call: Call, member_id: str) -> bool:
    caller = call.caller
    return caller.is_admin or caller.project_id in (call.target["project_id"], member_id)
