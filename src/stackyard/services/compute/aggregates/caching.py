"""Images that hosts fetch before servers need them: one mark a host and image, worked on by the host itself."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from stackyard.core import reconcile
from stackyard.core.call import Call
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, Conflict, NotFound
from stackyard.core.reconcile import DONE, GiveUp, Outcome, kind_on
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError, SpecError
from stackyard.services import keys
from stackyard.services.image import api as image_api

KIND = "compute_image"

log = logging.getLogger("stackyard.compute")

_OURSELVES = Caller(user_id="", roles=frozenset({"admin"}))


def mark(tx: Transaction, call: Call, hosts: Iterable[str], image_ids: Iterable[str]) -> None:
    """Have these hosts fetch these images; raises BadRequest for an image that the caller cannot see."""
    found = []
    for image_id in image_ids:
        try:
            found.append(str(image_api.find_image(tx, call.caller, image_id)["id"]))
        except (NotFound, Conflict):
            raise BadRequest(f"Image {image_id} could not be found.", kind="ImageNotFound") from None
    for host in hosts:
        for image_id in found:
            reconcile.mark(tx, kind_on(KIND, host), image_id)


class ImageCache:
    """Fetches images to this host. What cannot be fetched is logged: the servers that need it tell it to users."""

    deadline = 1800.0

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.kind = kind_on(KIND, runtime[keys.HOST_NAME])

    def reconcile(self, resource_id: str) -> Outcome:
        """Have the image in the store of the driver that runs servers of it."""
        from stackyard.services.compute.reconcile.spec import machine_image
        from stackyard.services.compute.servers import images

        runtime = self._runtime
        try:
            row = runtime.database.read("compute.image", image_api.find_image, _OURSELVES, resource_id)
            driver = runtime[keys.MACHINES].get(images.kind_of(row))
            if driver is None:
                raise GiveUp(f"image {resource_id} is of a kind of server that this host cannot run")
            image = machine_image(resource_id, images.snapshot(row))
            if not driver.has_image(image):
                with image_api.image_file(runtime, resource_id) as data:
                    driver.load_image(image, data)
        except (NotFound, Conflict, BadRequest) as error:
            raise GiveUp(error.message) from error
        except SpecError as error:
            raise GiveUp(str(error)) from error
        except ApiError as error:
            raise HostError(error.message) from error
        return DONE

    def expire(self, resource_id: str, reason: str) -> None:
        """Nothing depends on it."""
        log.warning("an image was not fetched ahead", extra={"image": resource_id, "reason": reason})
