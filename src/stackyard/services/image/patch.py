"""Changing an image by a list of operations: JSON patch as Glance has it, in its two historic wordings.

Of JSON patch, Glance takes add, replace and remove of whole attributes. The wording of version 2.1 is RFC 6902
(`{"op": "replace", "path": "/name", "value": "x"}`), that of 2.0 an early draft (`{"replace": "/name", "value": "x"}`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, UnsupportedMediaType
from stackyard.services.image import bodies, locations, tables
from stackyard.services.image.formats import check_allowed
from stackyard.services.image.images import KIND, QUOTA, count, require_visibility, visible
from stackyard.services.image.properties import allows, require, require_count, require_tags
from stackyard.services.image.stores import StoreFault
from stackyard.services.image.stores.allowed import NotAllowed
from stackyard.services.image.stores.registry import stores_of
from stackyard.services.image.views import Shown, image_view

RFC = "application/openstack-images-v2.1-json-patch"
DRAFT = "application/openstack-images-v2.0-json-patch"

_OPERATIONS = ("add", "remove", "replace")
_QUEUED_ONLY = ("container_format", "disk_format")
_MOST_CHANGES = 1000
_MOST_LOOKED_AT = 10


@dataclass(frozen=True, slots=True)
class Change:
    """One operation on one attribute or property; `strict` when add must not replace (the draft's rule).

    `position` is the place in a list, for locations.
    """

    operation: str
    name: str
    value: Any
    strict: bool
    position: str | None = None


def parse(content_type: str, document: Any) -> list[Change]:
    """Read a patch. Raises UnsupportedMediaType, BadRequest, or Forbidden for what no client may change."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in (RFC, DRAFT):
        allowed = f"{DRAFT}, {RFC}"
        raise UnsupportedMediaType(
            f"Image PATCH expects Content-Type one of: {allowed}", headers={"Accept-Patch": allowed}
        )
    if not isinstance(document, list):
        raise BadRequest("Request body must be a JSON array of operation objects.")
    if len(document) > _MOST_CHANGES:
        raise BadRequest(f"The request has {len(document)} operations; at most {_MOST_CHANGES} are taken at once.")
    return [_change(item, strict=media_type == DRAFT) for item in document]


def _change(item: Any, *, strict: bool) -> Change:
    if not isinstance(item, dict):
        raise BadRequest("Operations must be JSON objects.")
    operation, path = _draft(item) if strict else _rfc(item)
    if not isinstance(path, str):
        raise BadRequest("The path of an operation must be text.")
    name, position = _pointer(path)
    if name in bodies.READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    bodies.check_reserved(name)
    if name == "locations":
        value = locations.parse_value(operation, position, item.get("value"))
        return Change(operation, name, value, strict, position)
    if operation == "remove":
        return Change(operation, name, None, strict)
    if "value" not in item:
        raise BadRequest(f'Operation "{operation}" requires a member named "value".')
    if name in bodies.WRITABLE:
        return Change(operation, name, bodies.attributes({name: item["value"]})[name], strict)
    return Change(operation, name, bodies.check_property(name, item["value"]), strict)


def _rfc(item: Mapping[str, Any]) -> tuple[str, Any]:
    operation = item.get("op")
    if operation not in _OPERATIONS:
        raise BadRequest(
            f"Invalid operation: `{operation}`. It must be one of the following: {', '.join(_OPERATIONS)}."
        )
    if "path" not in item:
        raise BadRequest("Unable to find 'path' in JSON Schema change")
    return str(operation), item["path"]


def _draft(item: Mapping[str, Any]) -> tuple[str, Any]:
    found = [operation for operation in _OPERATIONS if operation in item]
    if len(found) != 1:
        raise BadRequest('Operation objects must contain exactly one member named "add", "remove", or "replace".')
    return found[0], item[found[0]]


def _pointer(path: str) -> tuple[str, str | None]:
    """The attribute that a JSON pointer names, and for locations the place in their list if it has one."""
    if not path.startswith("/"):
        raise BadRequest(f'Pointer `{path[:255]}` does not start with "/".')
    if re.search(r"~(?![01])", path):
        raise BadRequest(f'Pointer `{path[:255]}` contains "~" not part of a recognized escape sequence.')
    parts = path[1:].split("/")
    if parts[0] == "locations" and len(parts) <= 2:
        return "locations", parts[1] if len(parts) == 2 else None
    if len(parts) != 1 or not parts[0].strip():
        raise BadRequest(f"Invalid JSON pointer for this resource: '{path[:255]}'")
    return parts[0].replace("~1", "/").replace("~0", "~").strip(), None


async def update(call: Call) -> Reply:
    """Apply the changes in order, all or none; where one names an address, it is looked at first."""
    changes = parse(call.request.headers.get("content-type", ""), call.body)
    sizes: dict[str, int | None] = {}
    for change in changes:
        if change.name == "locations":
            locations.require_shown(call)
            sizes |= await call.in_thread(_sizes, call, locations.new_urls(change))
    return Reply(await call.write("image.patch", apply, call, changes, sizes))


def _sizes(call: Call, urls: list[str]) -> dict[str, int | None]:
    """How much data lies at those addresses that the image does not have yet. Raises BadRequest, Forbidden."""
    call.require("set_image_location", call.target)
    stores, image_id = stores_of(call.runtime), call.target["id"]
    known = {stores.url(image_id, location) for location in call.target["locations"] or ()}
    found: dict[str, int | None] = {}
    for url in urls[:_MOST_LOOKED_AT]:
        if url in known or stores.web is None:
            continue
        try:
            source = stores.web.open(url)
        except (StoreFault, NotAllowed) as error:
            raise BadRequest(f"Invalid location {url[:200]}: {error}", kind="BadStoreUri") from None
        found[url] = source.size
        source.close()
    return found


def apply(
    tx: Transaction, call: Call, changes: list[Change], sizes: Mapping[str, int | None] | None = None
) -> dict[str, Any]:
    """Apply the changes to the image that the call is about; `sizes` of data by the addresses that they name."""
    image = visible(tx, call.caller, call.target["id"])
    call.require("modify_image", image)
    properties = dict(image["properties"])
    values: dict[str, Any] = {}
    for change in changes:
        if change.name == "locations":
            locations.patch(tx, call, image, change, sizes or {})
        elif change.name in bodies.WRITABLE:
            _set_attribute(call, image, change)
            values["project_id" if change.name == "owner" else change.name] = change.value
        else:
            _set_property(call, properties, change)
    if "tags" in values:
        require_tags(call.runtime, len(values["tags"]))
    if properties != image["properties"]:
        if properties.keys() - image["properties"].keys():
            require_count(call.runtime, properties)
        values["properties"] = properties
    if changes:
        _move_quota(tx, call, image, values)
        tables.update(tx, image["id"], values)
        timeline.record(tx, KIND, image["id"], "changed", ", ".join(sorted(values)))
    return image_view(tables.find(tx, image["id"]), Shown.to(call))


def _set_attribute(call: Call, image: Mapping[str, Any], change: Change) -> None:
    name = change.name
    if change.operation == "remove":
        raise Forbidden(f"Property {name} may not be removed.")
    if change.operation == "add" and change.strict:
        raise Conflict(f"Property {name} already present.")
    if name == "owner" and not call.caller.is_admin:
        raise Forbidden("Owner can't be updated by non admin.")
    if name == "visibility":
        require_visibility(call, change.value, image)
    if name in _QUEUED_ONLY:
        check_allowed(call.runtime.settings.image, **{name: change.value})
    if name in _QUEUED_ONLY and image["status"] != "queued":
        raise Forbidden(f"Attribute {name} can be only replaced for a queued image.")


def _set_property(call: Call, properties: dict[str, str], change: Change) -> None:
    name = change.name
    present = name in properties
    seen = present and allows(call, "read", name)
    if change.operation == "add":
        if seen and change.strict:
            raise Conflict(f"Property {name} already present.")
    elif not seen:
        raise Conflict(f"Property {name} does not exist.")
    if change.operation == "remove":
        require(call, "delete", name)
        del properties[name]
    else:
        require(call, "update" if present else "create", name, change.value)
        properties[name] = change.value


def _move_quota(tx: Transaction, call: Call, image: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    before, after = image["project_id"], values.get("project_id", image["project_id"])
    if before == after:
        return
    if before:
        call.runtime.quotas.release(tx, before, {QUOTA: 1})
    count(tx, call.runtime, after)
