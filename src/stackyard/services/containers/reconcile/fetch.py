"""Getting a container's image into the engine's store, from where the container asks for it."""

from __future__ import annotations

import threading
import time

import msgspec

from stackyard.core.errors import NotFound
from stackyard.core.reconcile import GiveUp
from stackyard.core.runtime import Runtime
from stackyard.host.errors import EngineUnavailableError, HostError
from stackyard.services.containers import images
from stackyard.services.image import api as image_api
from stackyard.services.keys import ENGINE

PRESENT_SECONDS = 30.0
"""How long an image that was there is believed to be there still; a create that finds it gone looks again."""


class Registry(msgspec.Struct, frozen=True):
    """Where to pull from, and as whom."""

    domain: str
    username: str | None
    password: str | None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An image as a container asks for it."""

    name: str
    image_id: str | None = None
    pull_policy: str | None = None
    registry: Registry | None = None

    @property
    def engine_name(self) -> str:
        """Its name in the engine's store."""
        if self.image_id is not None:
            return images.engine_name(self.image_id)
        name = images.with_tag(self.name)
        head = name.partition("/")[0]
        has_domain = "/" in name and ("." in head or ":" in head or head == "localhost")
        return f"{self.registry.domain}/{name}" if self.registry is not None and not has_domain else name


class Fetcher:
    """Makes images present; remembers for a short while which are."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._present: dict[str, float] = {}
        self._loading = threading.Lock()

    def fetch(self, source: Source) -> str:
        """The name to create from. Raises GiveUp, naming the cause, when the image cannot be had."""
        name = source.engine_name
        always = source.pull_policy == "always" and source.image_id is None
        if not always and self._present.get(name, 0.0) > time.monotonic():
            return name
        engine = self._runtime[ENGINE]
        if always or engine.find_image(name) is None:
            if source.pull_policy == "never" and source.image_id is None:
                raise GiveUp(f"Image {source.name} is not on the host, and image_pull_policy is never.")
            if source.image_id is not None:
                self._load(source, source.image_id, name)
            else:
                self._pull(source, name)
        self._present[name] = time.monotonic() + PRESENT_SECONDS
        return name

    def forget(self, name: str) -> None:
        """The engine says that it is not there."""
        self._present.pop(name, None)

    def _pull(self, source: Source, name: str) -> None:
        login = source.registry
        try:
            self._runtime[ENGINE].pull_image(
                name,
                username=login.username if login is not None else None,
                password=login.password if login is not None else None,
            )
        except EngineUnavailableError:
            raise
        except HostError as error:
            raise GiveUp(f"Image {source.name} is not on the host and could not be pulled: {error}") from error

    def _load(self, source: Source, image_id: str, name: str) -> None:
        with self._loading:
            if self._runtime[ENGINE].find_image(name) is not None:
                return
            try:
                with image_api.image_file(self._runtime, image_id) as archive:
                    self._runtime[ENGINE].load_image(archive, name)
            except NotFound:
                raise GiveUp(f"Image {source.name} ({image_id}) has no data: it was deleted.") from None
