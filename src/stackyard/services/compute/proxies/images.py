"""Images until 2.35 and their metadata until 2.38, which are the image service's, in the words of Nova's old API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply, parse_boolean
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.fields import MetadataKey, Text
from stackyard.services.image import api as image

_LAST = Microversion(2, 35)
_LAST_METADATA = Microversion(2, 38)
_IMAGES = "/v2/images"
_STATUS = {
    "active": "ACTIVE", "queued": "SAVING", "saving": "SAVING", "deleted": "DELETED", "pending_delete": "DELETED",
    "killed": "ERROR",
}  # fmt: skip
_PROGRESS = {"queued": 25, "saving": 50, "active": 100}
_FILTERS = {"name": "name", "type": "image_type", "minRam": "min_ram", "minDisk": "min_disk"}
_PAGING = ("limit", "marker")
ITEMS = "compute.metadata_items"

Metadata = dict[MetadataKey, Text]


class AllMetadata(Body, kw_only=True):
    """POST and PUT of all metadata."""

    metadata: Metadata


class OneItem(Body, kw_only=True):
    """PUT of one."""

    meta: Annotated[Metadata, Meta(min_length=1, max_length=1)]


def _links(call: Call, image_id: str) -> list[dict[str, str]]:
    alternate = f"{call.root_url}/image/images/{image_id}"
    kind = "application/vnd.openstack.image"
    return [*lists.links(call, f"/images/{image_id}"), {"rel": "alternate", "type": kind, "href": alternate}]


def _brief(call: Call, row: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"], "links": _links(call, row["id"])}


def _full(call: Call, row: Mapping[str, Any]) -> dict[str, Any]:
    metadata = image.properties_of(row)
    found = _brief(call, row) | {
        "minRam": row["min_ram"],
        "minDisk": row["min_disk"],
        "metadata": metadata,
        "created": row["created_at"],
        "updated": row["updated_at"],
        "status": _STATUS.get(row["status"], "UNKNOWN"),
        "progress": _PROGRESS.get(row["status"], 0),
        "OS-EXT-IMG-SIZE:size": row["size"] or 0,
    }
    server_id = metadata.get("instance_uuid")
    if server_id is not None:
        found["server"] = {"id": server_id, "links": lists.links(call, f"/servers/{server_id}")}
    automatic = metadata.get("auto_disk_config")
    if automatic is not None:
        found["OS-DCF:diskConfig"] = "AUTO" if _is_true(automatic) else "MANUAL"
    return found


def _is_true(text: str) -> bool:
    try:
        return parse_boolean("auto_disk_config", text.strip())
    except BadRequest:
        return False


def _query(call: Call) -> list[tuple[str, str]]:
    """The query in Glance's words."""
    found: dict[str, str] = {}
    for name, value in call.query.pairs():
        if name.startswith("property-"):
            found[name.removeprefix("property-")] = value
        elif name == "server":
            found["instance_uuid"] = value.rpartition("/")[2]
        elif name == "status":
            found["status"] = value.lower()
        elif name == "changes-since":
            found["updated_at"] = f"gte:{value}"
        elif name in _FILTERS or name in _PAGING:
            found[_FILTERS.get(name, name)] = value
    found.setdefault("limit", str(lists.MAX_LIMIT))
    return list(found.items())


def _page(tx: Transaction, call: Call) -> tuple[list[Mapping[str, Any]], str | None]:
    try:
        answer = image.ask(tx, call, "GET", _IMAGES, query=_query(call))
    except (NotFound, Forbidden) as error:
        raise BadRequest(error.message) from None
    rows = answer["images"]
    return rows, rows[-1]["id"] if "next" in answer and rows else None


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /images."""
    rows, marker = _page(tx, call)
    return lists.page_of(call, "images", [_brief(call, row) for row in rows], "/images", marker)


def detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /images/detail."""
    rows, marker = _page(tx, call)
    return lists.page_of(call, "images", [_full(call, row) for row in rows], "/images/detail", marker)


def _one(tx: Transaction, call: Call) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = image.ask(tx, call, "GET", f"{_IMAGES}/{call.path['image_id']}")
    except NotFound:
        raise NotFound("Image not found.", kind="ImageNotFound") from None
    return found


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /images/{image_id}."""
    return {"image": _full(call, _one(tx, call))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /images/{image_id}."""
    row = _one(tx, call)
    try:
        image.ask(tx, call, "DELETE", f"{_IMAGES}/{row['id']}")
    except Forbidden:
        raise Forbidden("You are not allowed to delete the image.") from None


def metadata(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /images/{image_id}/metadata."""
    return {"metadata": image.properties_of(_one(tx, call))}


def _change(tx: Transaction, call: Call, values: Mapping[str, str], *, whole: bool) -> dict[str, str]:
    """Set metadata; with `whole`, what is not among the values is removed."""
    row = _one(tx, call)
    before = image.properties_of(row)
    removed = [name for name in before if name not in values] if whole else []
    limit = call.runtime.quotas.limit(tx, call.caller.project_id or "", ITEMS)
    if 0 <= limit < len(before.keys() - set(removed) | values.keys()):
        raise Forbidden("Image metadata limit exceeded")
    return image.change_properties(tx, call, row["id"], values, removed)


def add_metadata(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /images/{image_id}/metadata: added to what there is."""
    return {"metadata": _change(tx, call, call.body.metadata, whole=False)}


def replace_metadata(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /images/{image_id}/metadata: instead of what there is."""
    _change(tx, call, call.body.metadata, whole=True)
    return {"metadata": call.body.metadata}


def show_item(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /images/{image_id}/metadata/{key}."""
    key = call.path["key"]
    found = image.properties_of(_one(tx, call))
    if key not in found:
        raise NotFound("The resource could not be found.")
    return {"meta": {key: found[key]}}


def update_item(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /images/{image_id}/metadata/{key}."""
    if call.path["key"] not in call.body.meta:
        raise BadRequest("Request body and URI mismatch")
    _change(tx, call, call.body.meta, whole=False)
    return {"meta": call.body.meta}


def delete_item(tx: Transaction, call: Call) -> Reply:
    """DELETE /images/{image_id}/metadata/{key}."""
    row, key = _one(tx, call), call.path["key"]
    if key not in image.properties_of(row):
        raise NotFound("Invalid metadata key")
    image.change_properties(tx, call, row["id"], {}, [key])
    return Reply(status=204)


def nameless(tx: Transaction, call: Call) -> None:
    """DELETE /images/: an image without an id is none, as Nova has it."""
    del tx, call
    raise NotFound("The resource could not be found.")


_ANYBODY = "os_compute_api:any"
_ONE = "/v2.1/images/{image_id}"
_METADATA = f"{_ONE}/metadata"
_ITEM = f"{_METADATA}/{{key}}"

# Nova has no rules for these: those of the image service hold.
ROUTES = (
    Route("GET", "/v2.1/images", list_, _ANYBODY, until=_LAST),
    Route("GET", "/v2.1/images/detail", detail, _ANYBODY, until=_LAST),
    Route("GET", _ONE, show, _ANYBODY, until=_LAST),
    Route("DELETE", _ONE, delete, _ANYBODY, status=204, until=_LAST),
    Route("DELETE", "/v2.1/images", nameless, _ANYBODY, until=_LAST),
    Route("GET", _METADATA, metadata, _ANYBODY, until=_LAST_METADATA),
    Route("POST", _METADATA, add_metadata, _ANYBODY, body=AllMetadata, until=_LAST_METADATA),
    Route("PUT", _METADATA, replace_metadata, _ANYBODY, body=AllMetadata, until=_LAST_METADATA),
    Route("GET", _ITEM, show_item, _ANYBODY, until=_LAST_METADATA),
    Route("PUT", _ITEM, update_item, _ANYBODY, body=OneItem, until=_LAST_METADATA),
    Route("DELETE", _ITEM, delete_item, _ANYBODY, until=_LAST_METADATA),
)
