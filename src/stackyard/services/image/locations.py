"""Locations: naming the places where an image's data lies, by PATCH and by the calls for it, and leaving a store.

What a client may name is an http or https address that the operator allows; where the cloud itself put data is shown,
kept and removed under the same name, and never believed from a client.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from stackyard.core import reconcile, timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, NotFound
from stackyard.services.image import images, store, tables, tasks
from stackyard.services.image.images import KIND
from stackyard.services.image.properties import require_locations
from stackyard.services.image.stores.allowed import NotAllowed
from stackyard.services.image.stores.registry import Stores, stores_of
from stackyard.services.image.views import location_view

_ALGORITHMS = ("sha1", "sha256", "sha512", "md5")
_VALIDATION = ("checksum", "os_hash_algo", "os_hash_value")
_LONGEST_METADATA = 4096


# -- the calls


def add(tx: Transaction, call: Call) -> None:
    """POST /v2/images/{id}/locations: have data read, or believed, where it lies. The reconciler does it."""
    image, stores = call.target, stores_of(call.runtime)
    if image["status"] != "queued":
        raise Conflict(f"It's not allowed to add locations if image status is {image['status']}.")
    unknown = [name for name in call.body if name not in ("url", "validation_data")]
    if unknown:
        raise BadRequest(f"Additional properties are not allowed ('{str(unknown[0])[:80]}' was unexpected)")
    url = call.body.get("url")
    if not isinstance(url, str):
        raise BadRequest("'url' is a required property")
    validation = _hash_asked(call.body.get("validation_data"))
    if stores.web is None:
        raise Forbidden("http store must be enabled to use location API by normal user.")
    _check_url(stores, url)
    if tasks.running(tx, image["id"]) is not None:
        raise Conflict("Image has active task")
    location = {"store": stores.web.info.id, "url": url, "metadata": {}}
    given = {"image_id": image["id"], "loc_url": url, "validation_data": validation}
    work = {"location": location, "validation": validation}
    tasks.add(tx, call, image["id"], kind=tasks.LOCATION_IMPORT, given=given, work=work)
    if not tables.move(tx, image["id"], None, "queued", {"status": "importing"}):
        raise Conflict("Image has changed meanwhile; look at its status and try again")
    timeline.record(tx, KIND, image["id"], "location asked", url)


def list_(tx: Transaction, call: Call) -> list[dict[str, Any]]:
    """GET /v2/images/{id}/locations: every place, heaviest store first; for other services."""
    stores, row = stores_of(call.runtime), tables.find(tx, call.target["id"])
    known = [] if row is None else stores.by_weight(tables.locations_of(row))
    return [location_view(stores, call.target["id"], location) for location in known]


def load_stored(tx: Transaction, call: Call) -> dict[str, Any]:
    """The image whose data is to leave a store."""
    stores = stores_of(call.runtime)
    if call.path["store_id"] not in stores.infos:
        raise Conflict(f"The selected store {call.path['store_id'][:80]} is not available on this node.")
    return images.visible(tx, call.caller, call.path["image_id"])


def leave_store(tx: Transaction, call: Call) -> None:
    """DELETE /v2/stores/{store}/{image}: remove the data from one of several stores."""
    image, store_id = call.target, call.path["store_id"]
    call.require("get_image_location", image)
    row = tables.find(tx, image["id"])
    if row is None or row.status != "active":
        raise Conflict("It's not allowed to remove image data from store if image status is not 'active'")
    known = tables.locations_of(row)
    place = next((index for index, location in enumerate(known) if location["store"] == store_id), None)
    if len(known) == 1:
        raise Forbidden(
            "Cannot delete image data from the only store containing it. Consider deleting the image instead."
        )
    if place is None:
        raise NotFound(f"Image {image['id']} is not stored in store {store_id}.")
    _write(tx, image["id"], [*known[:place], *known[place + 1 :]], f"removed from {store_id}")


# -- PATCH


def patch(tx: Transaction, call: Call, image: Mapping[str, Any], change: Any, sizes: Mapping[str, int | None]) -> None:
    """Apply one operation of a PATCH to `/locations`; `sizes` are those found at the addresses named.

    Raises Forbidden, Conflict, BadRequest, TooLarge.
    """
    require_shown(call)
    row = tables.find(tx, image["id"])
    if row is None:
        raise NotFound(f"Failed to find image {image['id']}")
    verb = change.operation
    if row.status not in (("active",) if verb == "remove" else ("active", "queued")):
        raise Conflict(f"It's not allowed to {verb} locations if image status is {row.status}.")
    call.require("delete_image_location" if verb == "remove" else "set_image_location", image)
    stores = stores_of(call.runtime)
    # In the order that clients see. A queued image has no data; what it may show is a location that was refused.
    known = [] if row.status == "queued" else stores.by_weight(tables.locations_of(row))
    if verb == "remove":
        _remove(tx, row, known, change.position)
        return
    named = change.value if verb == "replace" else [change.value]
    values = _believed(row, named)
    shown = {stores.url(row.id, location): location for location in known}
    after = _replaced(stores, shown, named) if verb == "replace" else _inserted(stores, shown, known, change)
    require_locations(call.runtime, len(after))
    if row.status == "queued":
        values |= {"status": "active", "size": sizes.get(named[0]["url"])}
    tables.update(tx, row.id, values)
    _write(tx, row.id, after, f"locations: {verb}")


def require_shown(call: Call) -> None:
    """Raise Forbidden where the operator shows no locations."""
    if not call.runtime.settings.image.show_multiple_locations:
        raise Forbidden("It's not allowed to add, replace or remove locations if locations are invisible.")


def parse_value(operation: str, position: str | None, value: Any) -> Any:
    """The value of an operation on locations, checked as far as it tells by itself."""
    if operation == "remove":
        return None
    if operation == "replace":
        if position is not None or not isinstance(value, list):
            raise BadRequest("Locations are replaced as a whole, by a list of locations.")
        if not value:
            raise Forbidden("Cannot set locations to empty list.")
        return [_parse_location(item) for item in value]
    if position is None:
        raise BadRequest("Invalid position for adding a location: '/locations/-' or '/locations/NUMBER' is expected.")
    return _parse_location(value)


def new_urls(change: Any) -> list[str]:
    """The addresses that an operation names, for which a size may be needed."""
    if change.operation == "remove":
        return []
    return [item["url"] for item in (change.value if isinstance(change.value, list) else [change.value])]


def _parse_location(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict) or not isinstance(item.get("url"), str) or not isinstance(item.get("metadata"), dict):
        raise BadRequest("A location must be an object with 'url' (text) and 'metadata' (object).")
    if unknown := sorted(set(item) - {"url", "metadata", "validation_data"}):
        raise BadRequest(f"A location has no '{str(unknown[0])[:80]}'.")
    if len(item["url"]) > 2048 or len(str(item["metadata"])) > _LONGEST_METADATA:
        raise BadRequest("A location's url may have 2048 characters, and its metadata 4096.")
    validation = item.get("validation_data", {})
    texts = isinstance(validation, dict) and all(isinstance(value, str) for value in validation.values())
    if not texts or set(validation) - set(_VALIDATION):
        raise BadRequest(f"validation_data is an object of texts: {', '.join(_VALIDATION)}.")
    if validation and not {"os_hash_algo", "os_hash_value"} <= set(validation):
        raise BadRequest("validation_data needs os_hash_algo and os_hash_value.")
    return item


def _check_url(stores: Stores, url: str) -> None:
    try:
        stores.allowed.check(url)
    except NotAllowed as error:
        raise BadRequest(f"URI for add location does not pass filtering: {url[:200]} ({error})") from None


def _inserted(
    stores: Stores, shown: Mapping[str, Any], known: Sequence[dict[str, Any]], change: Any
) -> list[dict[str, Any]]:
    if change.value["url"] in shown:
        raise BadRequest(f"The location {change.value['url'][:200]} already exists")
    position = _position(change.position, len(known) + 1, default=len(known))
    if position is None:
        raise BadRequest("Invalid position for adding a location.")
    after = list(known)
    after.insert(position, _new_location(stores, change.value))
    return after


def _replaced(stores: Stores, shown: Mapping[str, Any], named: Sequence[Any]) -> list[dict[str, Any]]:
    """The locations with other metadata, or the first ones of an image; none may go or come by a replacement."""
    urls = [item["url"] for item in named]
    if len(set(urls)) < len(urls):
        raise BadRequest("A location is named twice.")
    if not shown:
        return [_new_location(stores, item) for item in named]
    if set(urls) != set(shown):
        raise BadRequest("Original locations is not empty: it can be replaced by the same addresses only.")
    return [{**shown[item["url"]], "metadata": _metadata(item)} for item in named]


def _new_location(stores: Stores, item: Mapping[str, Any]) -> dict[str, Any]:
    if stores.web is None:
        raise BadRequest("There is no store of the type http here, the one whose locations can be named.")
    _check_url(stores, item["url"])
    return {"store": stores.web.info.id, "url": item["url"], "metadata": _metadata(item)}


def _metadata(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item["metadata"].items() if name != "store"}


def _remove(tx: Transaction, row: Any, known: list[dict[str, Any]], place: str | None) -> None:
    if len(known) == 1:
        raise Forbidden("Cannot remove last location in the image.")
    position = _position(place, len(known), default=len(known) - 1)
    if position is None:
        raise BadRequest("Invalid position for removing a location.")
    _write(tx, row.id, [*known[:position], *known[position + 1 :]], "location removed")


def _position(place: str | None, count: int, *, default: int) -> int | None:
    if place == "-":
        return default
    if place is None or not place.isascii() or not place.isdigit() or len(place) > 6 or int(place) >= count:
        return None
    return int(place)


def _write(tx: Transaction, image_id: str, locations: list[dict[str, Any]], what: str) -> None:
    tables.update(tx, image_id, {"locations": locations})
    reconcile.mark(tx, KIND, image_id)
    timeline.record(tx, KIND, image_id, "locations changed", what)


# -- what clients say of the data


def _hash_asked(given: Any) -> dict[str, str]:
    """The digest that data is to have, checked for its form."""
    if given is None or given == {}:
        return {}
    if not isinstance(given, dict) or set(given) - {"os_hash_algo", "os_hash_value"}:
        raise BadRequest("validation_data is an object with os_hash_algo and os_hash_value.")
    algorithm, value = given.get("os_hash_algo"), given.get("os_hash_value")
    if not isinstance(value, str) or not isinstance(algorithm, str):
        raise BadRequest("validation_data needs both os_hash_algo and os_hash_value, as texts.")
    if algorithm not in _ALGORITHMS:
        raise BadRequest(f"'{algorithm[:40]}' is not one of {', '.join(_ALGORITHMS)}")
    _check_digest(value, algorithm, BadRequest)
    return {"os_hash_algo": algorithm, "os_hash_value": value}


def _check_digest(value: str, algorithm: str, fault: type[BadRequest | Conflict]) -> None:
    try:
        found = len(bytes.fromhex(value)) if len(value) <= 256 else -1
    except ValueError:
        raise fault(f"os_hash_value ({value[:140]}) is not a valid hexadecimal value") from None
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size
    if found != size:
        raise fault(
            f"os_hash_value: ({value[:140]}) is not the correct size for ({algorithm}) (should be ({size}) bytes)"
        )


def _believed(row: Any, named: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The columns that `validation_data` fills in; Conflict when it says other things than the image's own."""
    said: dict[str, str] = {}
    for item in named:
        for name, value in item.get("validation_data", {}).items():
            if said.get(name, value) != value:
                raise Conflict(f"Conflicting values for {name}")
            said[name] = value
    new = {name: value for name, value in said.items() if value != row._mapping[name]}
    for name in new:
        if row._mapping[name]:
            raise Conflict(f"{name} is already set with a different value")
    if not new:
        return {}
    if row.status != "queued":
        raise Conflict(f"New value(s) for {', '.join(new)} may only be provided when image status is 'queued'")
    if "checksum" in new:
        _check_checksum(new["checksum"])
    algorithm = said.get("os_hash_algo")
    if algorithm != store.HASH_ALGORITHM:
        raise Conflict(f"os_hash_algo must be {store.HASH_ALGORITHM}, not {str(algorithm)[:40]}")
    _check_digest(said["os_hash_value"], store.HASH_ALGORITHM, Conflict)
    return dict(new)


def _check_checksum(value: str) -> None:
    try:
        fits = len(value) == 32 and len(bytes.fromhex(value)) == 16
    except ValueError:
        fits = False
    if not fits:
        raise Conflict(f"checksum ({value[:80]}) is not the hexadecimal value of an md5 (should be 16 bytes)")
