"""Version 1's images: list, metadata, data, create with data in one request, change, delete."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stackyard.core import ids
from stackyard.core.call import Call, Query, Reply, parse_boolean
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, NotFound
from stackyard.services.image import bodies, download, images, listing, patch, tables, upload
from stackyard.services.image.v1 import headers
from stackyard.services.image.v1.headers import Meta

_PAGING = ("limit", "marker", "sort_key", "sort_dir")
_AS_THEY_ARE = frozenset({*_PAGING, "min_ram", "min_disk", "size_min", "size_max"})
_EXACT = frozenset({"name", "status", "container_format", "disk_format"})
_PROPERTY = "property-"


def index(tx: Transaction, call: Call) -> dict[str, Any]:
    """The images that the caller may see, in short."""
    return {"images": [headers.brief_view(row) for row in _rows(tx, call)]}


def detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """The images that the caller may see."""
    return {"images": [headers.view(row) for row in _rows(tx, call)]}


def _rows(tx: Transaction, call: Call) -> list[Any]:
    """The page, found by version 2's list with the query reworded for it.

    An administrator sees what anybody would (public images and the project's own) unless is_public says otherwise:
    None is all images, False those that are not public.
    """
    public = _is_public(call) if call.caller.is_admin else True
    pairs = [pair for name, value in call.query.pairs() if (pair := _reworded(name, value)) is not None]
    pairs += [("member_status", "all"), *([] if public else [("visibility", "all")])]
    credentials, caller = call.credentials, call.caller
    call.query = Query(urlencode(pairs))
    if public:
        call.caller = msgspec.structs.replace(caller, roles=caller.roles - {"admin"})
    found = listing.page(tx, call, public=public is not False)
    allows = call.runtime.policies.allows
    return [row for row in found.rows if allows("get_image", credentials, {**row._mapping, "owner": row.project_id})]


def _is_public(call: Call) -> bool | None:
    """What the query says of is_public: True when nothing, None for "None"."""
    value = call.query.get("is_public")
    if value is None:
        return True
    return None if value.lower() == "none" else parse_boolean("is_public", value)


def _reworded(name: str, value: str) -> tuple[str, str] | None:
    """A parameter of version 1's list in version 2's words; None for one that has no meaning."""
    if name in _AS_THEY_ARE:
        return name, value
    if name in _EXACT:
        return name, f"eq:{value}"
    if name == "protected":
        return name, str(parse_boolean(name, value)).lower()
    if name == "changes-since":
        return "updated_at", f"gte:{value}"
    if name.startswith(_PROPERTY):
        return name.removeprefix(_PROPERTY).lower(), value
    return None


def meta(tx: Transaction, call: Call) -> Reply:
    """An image's metadata, in headers."""
    return _empty(headers.write(tables.find(tx, call.target["id"])))


def _empty(given: dict[str, str] | None = None) -> Reply:
    # Not JSON: clients of this version would try to read that out of no bytes.
    return Reply(b"", status=200, headers=given, media_type="text/plain")


def load_active(tx: Transaction, call: Call) -> dict[str, Any]:
    """The image whose data is asked for; Forbidden for a deactivated one, NotFound for one without data."""
    image = images.load(tx, call)
    if image["status"] == "deactivated":
        raise Forbidden(f"Image {image['id']} is deactivated")
    if image["status"] != "active":
        raise NotFound(f"Image {image['id']} is not active", kind="ImageNotFound")
    return image


async def data(call: Call) -> Reply | Response:
    """An image's data, with its metadata in headers."""
    call.require("get_image", call.target)
    row = await call.read("image.v1.show", tables.find, call.target["id"])
    answer = await download.download(call)
    for name, value in headers.write(row).items():
        answer.headers[name] = value
    return answer


def load_new(tx: Transaction, call: Call) -> dict[str, Any]:
    """The target of a create: who will own the image, and what its headers say."""
    del tx
    given = headers.read(call.request.headers.items())
    owner = given.get("owner") if call.caller.is_admin and "owner" in given.attributes else call.caller.project_id
    return {"owner": owner, "project_id": owner, "member_id": None, "visibility": "private", "meta": given}


async def create(call: Call) -> Reply:
    """Register an image, and take its data when the request has some."""
    given: Meta = call.target["meta"]
    has_data = _has_data(call) or given.get("size") == 0
    _refuse_sources(given, call)
    if has_data:
        _check_ready(given.document(), call)
        call.require("upload_image", call.target)
    image = await call.write("image.v1.create", _create, call, given)
    if has_data:
        await _take_data(call, image, given)
    row = await call.read("image.v1.show", tables.find, image["id"])
    return _shown(row, 201)


def _has_data(call: Call) -> bool:
    sent = call.request.headers
    return "transfer-encoding" in sent or sent.get("content-length", "0") != "0"


def _refuse_sources(given: Meta, call: Call) -> None:
    source = given.get("location") or given.get("copy_from") or call.request.headers.get("x-glance-api-copy-from")
    if source is not None:
        raise BadRequest(
            f"External sources are not supported by this version of the API: '{source[:200]}'. "
            "Send the data, or import it by version 2 with the method web-download."
        )


def _check_ready(image: dict[str, Any], call: Call) -> None:
    """Raise BadRequest for data that could not be kept anyway, before anything is written."""
    for name in ("disk_format", "container_format"):
        if not image.get(name):
            raise BadRequest(f"{name.replace('_', ' ').capitalize()} is not specified.")
    media_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if _has_data(call) and media_type != "application/octet-stream":
        raise BadRequest("Content-Type must be application/octet-stream")


def _create(tx: Transaction, call: Call, given: Meta) -> dict[str, Any]:
    document = given.document()
    if given.get("id") is not None:
        document["id"] = given.get("id")
    image_id, attributes, properties = bodies.new_image(document)
    owner = call.target["owner"]
    attributes["visibility"] = "public" if given.get("is_public") else "shared"
    images.require_visibility(call, attributes["visibility"], call.target)
    chosen = image_id or ids.new_uuid()
    images.insert(tx, call, image_id=chosen, owner=owner, given=attributes, properties=properties)
    return images.visible(tx, call.caller, chosen)


async def _take_data(call: Call, image: dict[str, Any], given: Meta) -> None:
    call.target = image
    call.request = CheckedRequest(call.request, given.get("size"), given.get("checksum"))
    await upload.upload(call)


class CheckedRequest(Request):
    """A request whose data must be what its headers say: so many bytes, of such an MD5."""

    def __init__(self, request: Request, size: int | None, checksum: str | None) -> None:
        sent = list(request.scope["headers"])
        if "content-type" not in request.headers:
            sent.append((b"content-type", b"application/octet-stream"))
        super().__init__({**request.scope, "headers": sent}, request.receive)
        self._size = size
        self._checksum = checksum

    async def stream(self) -> AsyncIterator[bytes]:  # type: ignore[override]
        """The data; raises BadRequest at its end when it is not what was announced."""
        count, digest = 0, hashlib.md5(usedforsecurity=False)
        async for chunk in super().stream():
            count += len(chunk)
            if self._checksum is not None:
                digest.update(chunk)
            yield chunk
        if self._size is not None and self._size != count:
            raise BadRequest(f"Supplied size ({self._size}) and size generated from uploaded image ({count}) differ.")
        if self._checksum is not None and self._checksum.lower() != digest.hexdigest():
            raise BadRequest(
                f"Supplied checksum ({self._checksum[:32]}) and checksum generated from uploaded image "
                f"({digest.hexdigest()}) differ."
            )


async def update(call: Call) -> Reply:
    """Change an image's metadata, and take its data when the request has some and the image waits for it."""
    image = call.target
    given = headers.read(call.request.headers.items())
    has_data = _has_data(call)
    _refuse_sources(given, call)
    if has_data:
        call.require("upload_image", image)
        if image["status"] != "queued":
            raise Conflict("Cannot upload to an unqueued image")
        _check_ready({**image, **given.document()}, call)
    elif given.get("size") not in (None, image["size"]) and image["status"] != "queued" and not call.caller.is_admin:
        raise Forbidden(f"Forbidden to modify 'size' of {image['status']} image.")
    await call.write("image.v1.update", _update, call, given, not has_data)
    if has_data:
        await _take_data(call, await call.read("image.v1.look", images.visible, call.caller, image["id"]), given)
    row = await call.read("image.v1.show", tables.find, image["id"])
    return _shown(row, 200)


def _update(tx: Transaction, call: Call, given: Meta, may_purge: bool) -> None:
    image = images.load(tx, call)
    for name in ("status", "id"):
        if given.get(name) not in (None, image[name]):
            raise Forbidden(f"Forbidden to modify '{name}' of image.")
    if image["checksum"] and given.get("checksum") not in (None, image["checksum"]):
        raise Forbidden(f"Forbidden to modify 'checksum' of {image['status']} image.")
    wanted = given.document()
    if given.get("is_public") is not None:
        public = given.get("is_public")
        visibility = "shared" if image["visibility"] in ("public", "community") else image["visibility"]
        wanted["visibility"] = "public" if public else visibility
    if call.caller.is_admin and "owner" in given.attributes:
        wanted["owner"] = given.get("owner")
    purge = may_purge and call.request.headers.get("x-glance-registry-purge-props", "true").lower() in ("true", "1")
    document = [
        {"op": "add" if name in given.properties else "replace", "path": "/" + _pointer(name), "value": value}
        for name, value in wanted.items()
        if name in given.properties or value != image.get(name)
    ]
    if purge:
        kept = {name for name in image["properties"] if name.startswith(bodies.RESERVED_PREFIX)} | {*given.properties}
        document += [{"op": "remove", "path": "/" + _pointer(name)} for name in image["properties"] if name not in kept]
    call.target = image
    patch.apply(tx, call, patch.parse(patch.RFC, document))


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def delete(tx: Transaction, call: Call) -> Reply:
    """Forget an image."""
    images.delete(tx, call)
    return _empty()


def _shown(row: Any, status: int) -> Reply:
    if row is None:
        raise NotFound("The image was deleted meanwhile.", kind="ImageNotFound")
    given = {"Location": f"/v1/images/{row.id}"}
    if row.checksum:
        given["ETag"] = row.checksum
    return Reply({"image": headers.view(row)}, status=status, headers=given)
