"""Import: asking for data to be brought in from where it was staged, from the web, from another image, to more stores.

The operation checks and writes down what is wanted, as a task; `importing.py` does it.
"""

from __future__ import annotations

from typing import Any

from stackyard.core import ids, timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.services.image import images, tables, tasks, usage
from stackyard.services.image.images import KIND
from stackyard.services.image.stores.allowed import NotAllowed
from stackyard.services.image.stores.registry import COPY, DIRECT, GLANCE, WEB, Stores, stores_of

IMPORTING = "os_glance_importing_to_stores"
FAILED = "os_glance_failed_import"
TASK = "os_glance_import_task"


def import_(tx: Transaction, call: Call) -> None:
    """Write down what is to be imported. Raises BadRequest, Conflict, Forbidden."""
    image, stores = call.target, stores_of(call.runtime)
    method = _method(call.body, stores)
    name = method["name"]
    call.require("copy_image" if name == COPY else "modify_image", image)
    _check_status(image, name)
    for attribute in ("container_format", "disk_format"):
        if not image[attribute]:
            raise Conflict(f"'{attribute}' needs to be set before import")
    if tasks.running(tx, image["id"]) is not None:
        raise Conflict("Image has active task")
    work = _work(tx, call, method)
    targets = _targets(call, stores)
    properties = {**image["properties"], IMPORTING: "", FAILED: ""}
    if name == COPY:
        targets = _missing(image, targets, every=bool(call.body.get("all_stores")))
        if not targets:
            tables.update(tx, image["id"], {"properties": properties})
            return
    usage.for_import(tx, call, staged=name == DIRECT)
    work |= {"stores": targets, "must_succeed": call.body.get("all_stores_must_succeed", True)}
    given = {"image_id": image["id"], "import_req": call.body, "backend": targets}
    task = tasks.add(tx, call, image["id"], kind=tasks.IMAGE_IMPORT, given=given, work=work)
    properties |= {IMPORTING: ",".join(sorted(targets)), TASK: task.id}
    after: dict[str, Any] = {"properties": properties}
    if name != COPY:
        after |= {"status": "importing", "locations": []}
    if not tables.move(tx, image["id"], None, image["status"], after):
        raise Conflict("Image has changed meanwhile; look at its status and try again")
    timeline.record(tx, KIND, image["id"], "import asked", name)


def _method(body: Any, stores: Stores) -> dict[str, Any]:
    method = body.get("method") if isinstance(body, dict) else None
    if not isinstance(method, dict):
        raise BadRequest("Import request requires a 'method' field.")
    name = method.get("name")
    if not isinstance(name, str):
        raise BadRequest("Import request requires a 'name' field.")
    offered = stores.import_methods
    if name not in offered:
        raise BadRequest(f"Unknown import method name '{name[:80]}'. The methods here are {', '.join(offered)}.")
    for flag in ("all_stores", "all_stores_must_succeed"):
        if not isinstance(body.get(flag, False), bool):
            raise BadRequest(f"'{flag}' must be boolean value only")
    return method


def _check_status(image: Any, method: str) -> None:
    status = image["status"]
    if method == COPY:
        if status != "active":
            raise Conflict("Only images with status active can be targeted for copying")
        return
    if status == "active":
        raise Conflict("Image with status active cannot be target for import")
    if method == DIRECT and (status != "uploading" or image["upload"] is not None):
        raise Conflict("Image needs to be staged before 'glance-direct' method can be used")
    if method in (WEB, GLANCE) and status != "queued":
        raise Conflict(f"Image needs to be in 'queued' state to use '{method}' method")


def _work(tx: Transaction, call: Call, method: dict[str, Any]) -> dict[str, Any]:
    """What a task needs to know of where the data comes from."""
    name = method["name"]
    if name == WEB:
        return {"method": name, "uri": _uri(call, method.get("uri"))}
    if name == GLANCE:
        return {"method": name, **_other_image(tx, call, method)}
    return {"method": name}


def _uri(call: Call, uri: Any) -> str:
    """The address as given, when its words pass; where its host's name leads is looked at when it is fetched."""
    if not isinstance(uri, str):
        raise BadRequest("'uri' needs to be set for web-download import method")
    try:
        stores_of(call.runtime).allowed.check(uri)
    except NotAllowed as error:
        raise BadRequest(f"URI for web-download does not pass filtering: {uri[:200]} ({error})") from None
    return uri


def _other_image(tx: Transaction, call: Call, method: dict[str, Any]) -> dict[str, Any]:
    """Which image's data is taken; one that the caller may not download, or of another region, fails as a task."""
    for name in ("glance_region", "glance_image_id"):
        if not isinstance(method.get(name), str):
            raise BadRequest(f"'{name}' needs to be set for glance-download import method")
    image_id, region = method["glance_image_id"], method["glance_region"]
    if not ids.is_uuid(image_id):
        raise BadRequest(f"Remote image id does not look like a UUID: {image_id[:80]}")
    if region != call.runtime.settings.server.region:
        return {"refused": f"There is no image service in region '{region[:80]}' to import from."}
    if method.get("glance_service_interface", "public") not in ("public", "internal", "admin"):
        return {"refused": "There is no such interface of the image service."}
    try:
        other = images.visible(tx, call.caller, image_id)
    except NotFound as error:
        return {"refused": error.message}
    if other["status"] != "active" or not call.allows("download_image", other):
        return {"refused": f"Image {image_id} is not active, or may not be downloaded."}
    return {"source": image_id}


def _targets(call: Call, stores: Stores) -> list[str]:
    """The stores that the data goes to."""
    body, header = call.body, call.request.headers.get("x-image-meta-store")
    chosen = body.get("stores")
    if body.get("all_stores"):
        if chosen is not None or header is not None:
            raise BadRequest(
                "All_stores parameter can't be used with x-image-meta-store header or stores parameter",
            )
        return list(stores.written)
    if chosen is None:
        chosen = [header or stores.default]
    elif header is not None:
        raise BadRequest("Stores parameter and x-image-meta-store header can't be both specified")
    if not isinstance(chosen, list) or not chosen:
        raise BadRequest("'stores' must be a list of store names.")
    for store in chosen:
        if not isinstance(store, str) or store not in stores.written:
            raise Conflict(f"There is no store '{str(store)[:80]}' to write to; there are {', '.join(stores.written)}.")
    return list(dict.fromkeys(chosen))


def _missing(image: Any, targets: list[str], *, every: bool) -> list[str]:
    present = {location["store"] for location in image["locations"] or [{"store": "file"}]}
    if not every:
        for store in targets:
            if store in present:
                raise BadRequest(f"Image is already present at store '{store}'")
    return [store for store in targets if store not in present]
