"""Version 1's members: the projects that an image is shown to, each of which may be allowed to share it on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, NotFound
from stackyard.services.image import memberships
from stackyard.services.image.tables import images, members

_OF_IMAGE = members.c.image_id == bindparam("image")
_ONE = sa.and_(_OF_IMAGE, members.c.member_id == bindparam("member"))
_LIST = sa.select(members).where(_OF_IMAGE).order_by(members.c.created_at, members.c.member_id)
_FIND = sa.select(members).where(_ONE)
_DELETE = sa.delete(members).where(_ONE)
_SET = sa.update(members).where(_ONE).values(can_share=bindparam("can"), updated_at=bindparam("now"))
_SHARED = (
    sa.select(members.c.image_id, members.c.can_share, images.c.project_id)
    .join(images, images.c.id == members.c.image_id)
    .where(members.c.member_id == bindparam("member"))
    .order_by(members.c.created_at, members.c.image_id)
)


def index(tx: Transaction, call: Call) -> dict[str, Any]:
    """The projects that an image is shown to."""
    image = call.target
    if image["visibility"] != "shared":
        return {"members": []}
    call.require("get_members", image)
    return {
        "members": [
            {"member_id": row.member_id, "can_share": row.can_share} for row in tx.all(_LIST, {"image": image["id"]})
        ]
    }


def shared(tx: Transaction, call: Call) -> dict[str, Any]:
    """The images that a project is shown; others than that project see those of their own among them."""
    caller, member_id = call.caller, call.path["member_id"]
    all_of_them = caller.is_admin or caller.project_id == member_id
    rows = tx.all(_SHARED, {"member": member_id})
    return {
        "shared_images": [
            {"image_id": row.image_id, "can_share": row.can_share}
            for row in rows
            if all_of_them or row.project_id == caller.project_id
        ]
    }


def add(tx: Transaction, call: Call) -> None:
    """Show the image to one more project, or change whether a project may share it on."""
    _require(tx, call, "add_member")
    member = call.body.get("member", {})
    if not isinstance(member, dict):
        raise BadRequest('Invalid membership association: expected {"member": {"can_share": true or false}}.')
    _put(tx, call, call.path["member_id"], _can_share(member))


def replace(tx: Transaction, call: Call) -> None:
    """Show the image to these projects and no others."""
    image = _require(tx, call, "add_member")
    wanted = call.body.get("memberships")
    if not isinstance(wanted, list) or not all(isinstance(item, dict) and "member_id" in item for item in wanted):
        raise BadRequest('Invalid membership association: expected {"memberships": [{"member_id": "..."}]}.')
    kept = {str(item["member_id"]) for item in wanted}
    for row in tx.all(_LIST, {"image": image["id"]}):
        if row.member_id not in kept:
            tx.execute(_DELETE, {"image": image["id"], "member": row.member_id})
    for item in wanted:
        _put(tx, call, item["member_id"], _can_share(item))


def delete(tx: Transaction, call: Call) -> None:
    """Stop showing the image to a project."""
    image = _require(tx, call, "delete_member")
    member_id = call.path["member_id"]
    if tx.first(_FIND, {"image": image["id"], "member": member_id}) is None:
        raise NotFound("Membership could not be found.")
    tx.execute(_DELETE, {"image": image["id"], "member": member_id})


def _require(tx: Transaction, call: Call, rule: str) -> Mapping[str, Any]:
    """The image, when the caller may say who sees it: by the rule, or as a member that may share on."""
    image: Mapping[str, Any] = call.target
    if not call.allows(rule, image):
        own = tx.first(_FIND, {"image": image["id"], "member": call.caller.project_id or ""})
        if own is None or not own.can_share or image["visibility"] != "shared":
            raise Forbidden("No permission to share that image")
    if image["visibility"] != "shared":
        raise Forbidden("Only shared images have members: set is_public to False first.")
    return image


def _can_share(member: Mapping[str, Any]) -> bool | None:
    value = member.get("can_share")
    if value is not None and not isinstance(value, bool):
        raise BadRequest("Invalid membership association: can_share must be true or false.")
    return value


def _put(tx: Transaction, call: Call, member_id: Any, can_share: bool | None) -> None:
    image = call.target
    values = {"image": image["id"], "member": member_id}
    if not isinstance(member_id, str) or tx.first(_FIND, values) is None:
        memberships.join(tx, call.runtime, image, member_id)
    if can_share is not None:
        tx.execute(_SET, {**values, "can": can_share, "now": tx.now})
