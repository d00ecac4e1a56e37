"""Images: create, list, show, delete, deactivate and reactivate, tags. Changes by JSON patch are in patch.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids, reconcile, timeline
from stackyard.core.call import Call, Reply
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, NotFound, OverQuota, TooLarge
from stackyard.core.runtime import Runtime
from stackyard.services.image import bodies, tables, usage
from stackyard.services.image.cache import tables as cache
from stackyard.services.image.formats import check_allowed
from stackyard.services.image.properties import require_new, require_tags
from stackyard.services.image.stores.registry import stores_of
from stackyard.services.image.tables import members
from stackyard.services.image.views import Shown, image_view

KIND = "image"
"""The kind of an image's marks and timeline."""

QUOTA = usage.QUOTA

_MEMBERSHIP = sa.select(members.c.status).where(
    members.c.image_id == bindparam("image"), members.c.member_id == bindparam("member")
)
_FORGET_MEMBERS = sa.delete(members).where(members.c.image_id == bindparam("id"))
_FORGET_WORDS = sa.delete(tables.words).where(tables.words.c.image_id == bindparam("id"))
_DELETE = sa.delete(tables.images).where(tables.images.c.id == bindparam("id"))


def visible(tx: Transaction, caller: Caller, image_id: str) -> dict[str, Any]:
    """An image that the caller may know of, with `owner` and `member_id` for the rules; NotFound otherwise."""
    row = tables.find(tx, image_id) if ids.is_uuid(image_id) else None
    if row is not None:
        member_id = None
        own = row.project_id is not None and row.project_id == caller.project_id
        if row.visibility == "shared" and not own and caller.project_id:
            shared = tx.first(_MEMBERSHIP, {"image": image_id, "member": caller.project_id})
            member_id = None if shared is None else caller.project_id
        if own or caller.is_admin or member_id is not None or row.visibility in ("public", "community"):
            return {**row._mapping, "owner": row.project_id, "member_id": member_id}
    raise NotFound(f"Failed to find image {image_id[:80]}", kind="ImageNotFound")


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """The image that the address names, as its rules' target."""
    return visible(tx, call.caller, call.path["image_id"])


def load_new(tx: Transaction, call: Call) -> dict[str, Any]:
    """The target of a create: who will own the image."""
    del tx
    owner = call.caller.project_id
    if isinstance(call.body, dict):
        owner = call.body.get("owner", owner)  # null too: an image of nobody's is for administrators to make
    return {"owner": owner, "project_id": owner, "member_id": None, "visibility": "private"}


def create(tx: Transaction, call: Call) -> Reply:
    """Register an image; its data comes by upload or import."""
    headers = call.request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        raise BadRequest("Body expected in request.")
    image_id, given, properties = bodies.new_image(call.body)
    owner = given.pop("owner", call.caller.project_id)
    if "visibility" in given:
        require_visibility(call, given["visibility"], {"project_id": owner, "owner": owner})
    row = insert(tx, call, image_id=image_id, owner=owner, given=given, properties=properties)
    return Reply(
        image_view(row, Shown.to(call)),
        headers={
            "Location": call.url(f"/v2/images/{row.id}"),
            "OpenStack-image-import-methods": ",".join(stores_of(call.runtime).import_methods),
            "OpenStack-image-store-ids": ",".join(stores_of(call.runtime).infos),
        },
    )


def insert(
    tx: Transaction,
    call: Call,
    *,
    image_id: str | None,
    owner: str | None,
    given: Mapping[str, Any],
    properties: Mapping[str, str],
) -> Any:
    """Write a new image's row within its owner's quota, and return it."""
    if image_id is not None and tables.find(tx, image_id) is not None:
        raise Conflict(f"Image ID {image_id} already exists!", kind="Duplicate")
    check_allowed(call.runtime.settings.image, given.get("disk_format"), given.get("container_format"))
    require_new(call, properties)
    require_tags(call.runtime, len(given.get("tags", ())))
    found = new_row(tx, image_id or ids.new_uuid(), owner, given, properties)
    count(tx, call.runtime, owner)
    tables.insert(tx, found)
    timeline.record(tx, KIND, found["id"], "create asked", str(found["name"] or ""))
    return tables.find(tx, found["id"])


def count(tx: Transaction, runtime: Runtime, owner: str | None) -> None:
    """Take one image of its owner's quota; raises TooLarge, as Glance has it, when there is none left."""
    usage.require(tx, runtime, owner, image_count_total=1)
    try:
        if owner:
            runtime.quotas.reserve(tx, owner, {QUOTA: 1})
    except OverQuota as error:
        raise TooLarge(error.message, kind="LimitExceeded") from None


def new_row(
    tx: Transaction, image_id: str, owner: str | None, given: Mapping[str, Any], properties: Mapping[str, str]
) -> dict[str, Any]:
    """A queued image's columns, `given` ones over the defaults."""
    return {
        "id": image_id,
        "project_id": owner,
        "name": None,
        "status": "queued",
        "visibility": "shared",
        "disk_format": None,
        "container_format": None,
        "size": None,
        "virtual_size": None,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "min_disk": 0,
        "min_ram": 0,
        "protected": False,
        "os_hidden": False,
        "tags": [],
        "upload": None,
        "locations": [],
        "created_at": tx.now,
        "updated_at": tx.now,
        **given,
        "properties": dict(properties),
    }


def require_visibility(call: Call, visibility: str, target: Mapping[str, Any]) -> None:
    """Raise Forbidden unless the caller may give an image this visibility."""
    if visibility == "public":
        call.require("publicize_image", target)
    elif visibility == "community":
        call.require("communitize_image", target)


def nameless(tx: Transaction, call: Call) -> None:
    """`/v2/images/` is an image without an id, which there is none of: a client's empty variable must not list all."""
    del tx, call
    raise NotFound("Failed to find image: the address has no image id.", kind="ImageNotFound")


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One image."""
    return image_view(tables.find(tx, call.target["id"]), Shown.to(call))


def delete(tx: Transaction, call: Call) -> None:
    """Forget an image; its reconciler frees the space."""
    image = call.target
    if image["protected"]:
        raise Forbidden(
            f"Image {image['id']} is protected and cannot be deleted. Set its protected attribute to false first.",
            kind="ProtectedImageDelete",
        )
    forget(tx, call.runtime, image)


def forget(tx: Transaction, runtime: Runtime, image: Mapping[Any, Any]) -> None:
    """Remove an image's rows, give back its quota, and have its data removed."""
    for statement in (_FORGET_MEMBERS, _FORGET_WORDS, _DELETE):
        tx.execute(statement, {"id": image["id"]})
    if image["project_id"]:
        runtime.quotas.release(tx, image["project_id"], {QUOTA: 1})
    cache.forget(tx, image["id"])
    reconcile.mark(tx, KIND, image["id"])
    timeline.record(tx, KIND, image["id"], "delete asked")


def deactivate(tx: Transaction, call: Call) -> None:
    """Forbid the download of an active image."""
    _switch(tx, call.target, "active", "deactivated", "deactivate")


def reactivate(tx: Transaction, call: Call) -> None:
    """Allow the download of a deactivated image again."""
    _switch(tx, call.target, "deactivated", "active", "reactivate")


def _switch(tx: Transaction, image: Mapping[str, Any], before: str, after: str, verb: str) -> None:
    if image["status"] == after:
        return
    if image["status"] != before:
        raise Forbidden(f"Not allowed to {verb} image in status '{image['status']}'")
    tables.move(tx, image["id"], None, before, {"status": after})
    timeline.record(tx, KIND, image["id"], verb + "d")


def add_tag(tx: Transaction, call: Call) -> None:
    """Give an image a tag; one that it has already stays."""
    image = call.target
    tags = bodies.check_tags([*image["tags"], call.path["tag"]])
    if tags != image["tags"]:
        require_tags(call.runtime, len(tags))
        tables.update(tx, image["id"], {"tags": tags})


def delete_tag(tx: Transaction, call: Call) -> None:
    """Take a tag off an image."""
    image, tag = call.target, call.path["tag"]
    if tag not in image["tags"]:
        raise NotFound(f"Image {image['id']} has no tag {tag[:255]}.")
    tables.update(tx, image["id"], {"tags": [other for other in image["tags"] if other != tag]})
