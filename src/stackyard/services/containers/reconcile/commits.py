"""The reconciler of commits: the engine makes an image of a container, the image service keeps it."""

from __future__ import annotations

import contextlib
from typing import Any

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, NotFound
from stackyard.core.reconcile import DONE, Again, GiveUp, Outcome, kind_on
from stackyard.core.runtime import Runtime
from stackyard.host.errors import EngineUnavailableError, HostError, NotFoundError
from stackyard.services.containers.containers import commit
from stackyard.services.containers.images import engine_name
from stackyard.services.containers.reconcile.containers import ENGINE_AWAY_PAUSE
from stackyard.services.image import api as image_api
from stackyard.services.keys import ENGINE, HOST_NAME


class CommitReconciler:
    """Fills the images that were asked for; a commit that was cut short is made again."""

    deadline = 600.0

    def __init__(self, runtime: Runtime) -> None:
        self.kind = kind_on(commit.COMMIT_KIND, runtime[HOST_NAME])
        self._runtime = runtime
        self._engine = runtime[ENGINE]

    def reconcile(self, resource_id: str) -> Outcome:
        """Commit, save, store, and forget the engine's copy."""
        row = self._runtime.database.read("containers.commit", _read, resource_id)
        if row is None:
            return DONE
        name = engine_name(resource_id)
        try:
            if self._engine.find_image(name) is None:
                self._engine.commit(row.container_uuid, name)
            image_api.store_image(self._runtime, resource_id, self._engine.save_image(name))
        except EngineUnavailableError:
            return Again(ENGINE_AWAY_PAUSE)
        except NotFoundError as error:
            raise GiveUp(f"The container is gone: {error}") from error
        except NotFound:
            pass  # the image was deleted meanwhile: there is nothing to fill
        except ApiError as error:
            raise GiveUp(error.message) from error
        self._runtime.database.write("containers.commit done", self._done, resource_id, row.container_uuid)
        return DONE

    def _done(self, tx: Transaction, image_id: str, container_uuid: str) -> None:
        tx.execute(commit.DROP, {"image_id": image_id})
        timeline.record(tx, "container", container_uuid, "committed", f"to image {image_id}")

    def expire(self, resource_id: str, reason: str) -> None:
        """The image cannot be filled: forget it, and say why on the container's timeline."""
        with contextlib.suppress(HostError):
            self._engine.remove_image(engine_name(resource_id))

        def fail(tx: Transaction) -> None:
            row = _read(tx, resource_id)
            if row is None:
                return
            image_api.discard_image(tx, self._runtime, resource_id)
            tx.execute(commit.DROP, {"image_id": resource_id})
            timeline.record(tx, "container", row.container_uuid, "commit failed", reason)

        self._runtime.database.write("containers.commit failed", fail)


def _read(tx: Transaction, image_id: str) -> Any:
    return tx.first(commit.BY_IMAGE, {"image_id": image_id})
