"""Images: those in the engine's store, as Zun's API lists them, and where a container's image comes from."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Any

from msgspec import Meta

from stackyard.core.body import Body, convert
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.dispatch import read_body
from stackyard.core.errors import Conflict, InvalidField, NotFound
from stackyard.host.specs import ImageObservation
from stackyard.services.containers.containers.bodies import ImageName
from stackyard.services.containers.containers.values import decode_mapping, flag, nothing_for_none
from stackyard.services.containers.faults import as_api_errors
from stackyard.services.image import api as image_api
from stackyard.services.keys import ENGINE, HOST_NAME

GLANCE_PREFIX = "stackyard-image/"
"""Names in the engine's store of images that came from the image service: they belong to whoever may see those."""

_REFERENCE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._/:@-]*")


def resolve(tx: Transaction, call: Call, image: str, driver: str) -> str | None:
    """Check the image that a container asks for; with the driver glance return its id, which the caller may use."""
    if driver == "glance":
        found = image_api.find_image(tx, call.caller, image)
        if found["status"] != "active":
            raise Conflict(f"Image {found['id']} is {found['status']}; it can be used once it is active.")
        if found["container_format"] != "docker":
            reason = f"the container format of image {found['id']} is {found['container_format']}, not docker."
            raise InvalidField("image", reason, kind="Invalid")
        return str(found["id"])
    if not _REFERENCE.fullmatch(image):
        raise InvalidField("image", f"'{image}' is not the name of an image.", kind="SchemaValidationError")
    if GLANCE_PREFIX in image:
        raise InvalidField(
            "image", f"names with {GLANCE_PREFIX} are reserved; use image_driver glance.", kind="Invalid"
        )
    return None


def engine_name(image_id: str) -> str:
    """What an image of the image service is called in the engine's store."""
    return f"{GLANCE_PREFIX}{image_id}:latest"


class Pull(Body):
    """POST /v1/images."""

    repo: ImageName
    host: Annotated[str, Meta(min_length=2, max_length=255)]
    image_id: str | None = None
    tag: str | None = None
    size: int | str | None = None
    image_pull_policy: str | None = None


async def list_(call: Call) -> dict[str, Any]:
    """GET /v1/images: what the engine has, by name."""
    found = [_view(call, image, name) for image in await _engine_images(call) for name in image.names]
    return {"images": sorted(found, key=lambda image: (image["repo"], image["tag"])), "next": None}


async def show(call: Call) -> dict[str, Any]:
    """GET /v1/images/{id}."""
    image, name = await _find(call)
    return _view(call, image, name)


async def pull(call: Call) -> Reply:
    """POST /v1/images: answers when the image is there."""
    data = await read_body(call.request, call.runtime.settings.limits.max_body)
    asked = convert(decode_mapping(data), Pull)
    if asked.host != call.runtime[HOST_NAME]:
        raise InvalidField("host", f"The host {asked.host} does not exist.", kind="InvalidValue")
    name = with_tag(asked.repo)
    with as_api_errors():
        image = await call.in_thread(call.runtime[ENGINE].pull_image, name)
    view = _view(call, image, name)
    return Reply(view, status=202, headers={"Location": view["links"][0]["href"]})


async def delete(call: Call) -> None:
    """DELETE /v1/images/{id}: removes the name, and with the last name the image."""
    _, name = await _find(call)
    with as_api_errors():
        await call.in_thread(call.runtime[ENGINE].remove_image, name)


async def search(call: Call) -> list[dict[str, Any]]:
    """GET /v1/images/{name}/search: in the engine's store, or in the image service; no registry is asked."""
    wanted = call.path["name"]
    exact = flag("exact_match", call.query.get("exact_match"))
    driver = nothing_for_none(call.query.get("image_driver")) or "docker"
    if driver == "glance":
        found = await call.read("containers.search image", lambda tx: image_api.find_image(tx, call.caller, wanted))
        return [{"name": found["name"], "image": str(found["id"]), "driver": "glance"}]
    names = {name for image in await _engine_images(call) for name in image.names}
    fits = sorted(name for name in names if (name.partition(":")[0] == wanted if exact else wanted in name))
    return [{"name": name, "description": "", "star_count": 0, "is_official": False} for name in fits]


async def _engine_images(call: Call) -> list[ImageObservation]:
    with as_api_errors():
        images: list[ImageObservation] = await call.in_thread(call.runtime[ENGINE].images)
    return images


async def _find(call: Call) -> tuple[ImageObservation, str]:
    ident = call.path["image"]
    for image in await _engine_images(call):
        for name in image.names:
            if ident in (_uuid(name), name, image.id):
                return image, name
    raise NotFound(f"Image {ident} could not be found.", kind="ImageNotFound")


def with_tag(name: str) -> str:
    """The name with a tag: `latest` when it has neither a tag nor a digest."""
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def _view(call: Call, image: ImageObservation, name: str) -> dict[str, Any]:
    ident = _uuid(name)
    repository, _, tag = with_tag(name).rpartition(":")
    return {
        "uuid": ident,
        "links": [
            {"href": call.url(f"/v1/images/{ident}"), "rel": "self"},
            {"href": call.url(f"/images/{ident}"), "rel": "bookmark"},
        ],
        "image_id": image.id,
        "repo": repository,
        "tag": tag,
        "size": str(image.size),
        "project_id": call.caller.project_id,
        "image_pull_policy": None,
        "host": call.runtime[HOST_NAME],
    }
