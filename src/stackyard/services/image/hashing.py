"""Adding a location that a client named: find the data there, hash it if that is asked, and believe it or not.

Runs as a job of the image's reconciler, which may begin it again at any time. Without a digest to hold the data
against, the image is active at once and its digest follows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.image import store, tables, tasks
from stackyard.services.image.images import KIND
from stackyard.services.image.importing import Refused, Stopped, watched
from stackyard.services.image.stores import StoreFault
from stackyard.services.image.stores.allowed import NotAllowed
from stackyard.services.image.stores.registry import stores_of


class Mismatch(Refused):
    """The data is there, and is not what was said of it."""


def run(runtime: Runtime, image: Any, task: Any) -> None:
    """Do what a task of the type location_import wants; the outcome is in the database."""
    wanted = task.work or {}
    secure, told = runtime.settings.image.do_secure_hash, wanted.get("validation") or {}
    values: dict[str, Any] = {"locations": [wanted["location"]], "status": "active"}
    try:
        if secure and told:
            values |= _digests(runtime, task, told["os_hash_algo"])
            if values["os_hash_value"] != told["os_hash_value"].lower():
                raise Mismatch(
                    f"os_hash_value: ({told['os_hash_value']}) not matched with actual "
                    f"os_hash_value: ({values['os_hash_value']})"
                )
        elif image.status == "importing":
            values |= {"size": _size(runtime, wanted["location"]["url"]), **told}
            if secure:
                values |= {"os_hash_algo": store.HASH_ALGORITHM}
                runtime.database.write("image.location.active", _change, image.id, task, values)
        if secure and not told:
            values = _late_digests(runtime, task)
        runtime.database.write("image.location.end", _end, image.id, task, values)
    except Stopped:
        return
    except (Refused, StoreFault, NotAllowed, OSError) as error:
        # As Glance does, an image keeps showing the location that it was refused, until it gets other data.
        shown = values["locations"] if isinstance(error, Mismatch) else []
        runtime.database.write("image.location.fail", fail, image.id, task, str(error), shown)


def _size(runtime: Runtime, url: str) -> int | None:
    web = stores_of(runtime).web
    if web is None:
        raise Refused("There is no store of the type http any more.")
    source = web.open(url)
    try:
        return source.size
    finally:
        source.close()


def _late_digests(runtime: Runtime, task: Any) -> dict[str, Any]:
    """Digests of an image that is active already: what cannot be read is left without."""
    try:
        return _digests(runtime, task, store.HASH_ALGORITHM)
    except (Refused, StoreFault, NotAllowed, OSError):
        return {"os_hash_algo": None}


def _digests(runtime: Runtime, task: Any, algorithm: str) -> dict[str, Any]:
    """Read all of it, several times if it breaks off; raises what the last try raised."""
    tries = runtime.settings.image.http_retries
    for attempt in range(1, tries + 1):
        try:
            return _digests_once(runtime, task, algorithm)
        except (StoreFault, OSError):
            if attempt == tries:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def _digests_once(runtime: Runtime, task: Any, algorithm: str) -> dict[str, Any]:
    web = stores_of(runtime).web
    if web is None:
        raise Refused("There is no store of the type http any more.")
    checksum, digest = hashlib.md5(usedforsecurity=False), hashlib.new(algorithm)
    source = web.open(task.work["location"]["url"])
    size = 0
    try:
        for block in watched(runtime, task, source):
            checksum.update(block)
            digest.update(block)
            size += len(block)
            if size > runtime.settings.image.size_limit:
                raise Refused(f"There are more than {runtime.settings.image.size_limit} bytes, the most allowed here.")
    finally:
        source.close()
    return {
        "size": size,
        "checksum": checksum.hexdigest(),
        "os_hash_algo": algorithm,
        "os_hash_value": digest.hexdigest(),
    }


def _change(tx: Transaction, image_id: str, task: Any, values: dict[str, Any]) -> None:
    if tasks.is_running(tx, task.id) and tables.find(tx, image_id) is not None:
        tables.update(tx, image_id, values)


def _end(tx: Transaction, image_id: str, task: Any, values: dict[str, Any]) -> None:
    if tables.find(tx, image_id) is None or not tasks.end(tx, task.id, image_id=image_id):
        return
    tables.update(tx, image_id, values)
    timeline.record(tx, KIND, image_id, "location added", task.work["location"]["url"])


def fail(tx: Transaction, image_id: str, task: Any, reason: str, shown: Sequence[dict[str, Any]] = ()) -> None:
    """Give it up: the image waits for data as before."""
    if not tasks.end(tx, task.id, reason):
        return
    values = {"status": "queued", "size": None, "checksum": None, "os_hash_algo": None, "os_hash_value": None}
    if tables.move(tx, image_id, None, "importing", {**values, "locations": list(shown)}):
        timeline.record(tx, KIND, image_id, "location refused", reason)
