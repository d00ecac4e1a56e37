"""The stores of one cloud, made from its settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from stackyard.core.config import ConfigError
from stackyard.core.config_image import Image, StoreSetting, parse_store
from stackyard.core.runtime import Key, Runtime
from stackyard.services.image.stores import DataMissing, Source, Store, StoreFault, StoreInfo
from stackyard.services.image.stores.allowed import Allowed
from stackyard.services.image.stores.files import FileStore
from stackyard.services.image.stores.s3 import Bucket, S3Store
from stackyard.services.image.stores.web import WebStore
from stackyard.services.keys import STATE_DIR

DIRECT, WEB, COPY, GLANCE = "glance-direct", "web-download", "copy-image", "glance-download"

Place = TypeVar("Place", bound=Mapping[str, Any])
Location = Mapping[str, Any]
"""Where data lies, as an image's row has it: `store`; `key` in a store that is written to, or `url`; `metadata`."""


class Stores:
    """Every store by its id, in the operator's order."""

    def __init__(self, settings: Image, folder: Path) -> None:
        self.settings = settings
        self.written: dict[str, Store] = {}
        """Those that data is written to."""
        self.web: WebStore | None = None
        self.allowed = Allowed.of(settings)
        self.infos: dict[str, StoreInfo] = {}
        keys = {words[0]: words[1:] for words in (text.split() for text in settings.s3_credentials)}
        for text in settings.stores:
            described = parse_store(text)
            info = self._info(described)
            self.infos[info.id] = info
            if info.type == "http":
                self.web = self.web or WebStore(info, self.allowed)
            else:
                self.written[info.id] = _make(info, described, folder, keys)
        self.default = settings.default_store or next(iter(self.written))
        if self.default not in self.written:
            raise ConfigError(f"image.default_store: there is no store {self.default!r} that can be written to")
        self.fetcher = self.web or WebStore(StoreInfo("web", "http", "", 0, read_only=True), self.allowed)
        """Fetches for imports, also where no store of locations is offered."""

    def _info(self, described: StoreSetting) -> StoreInfo:
        read_only = described.type == "http"
        return StoreInfo(described.id, described.type, described.description, described.weight, read_only)

    @property
    def import_methods(self) -> list[str]:
        """The ways to import that are offered: web-download where the operator allows anything to be fetched."""
        return [DIRECT, *([WEB] if self.settings.allowed_hosts else []), COPY, GLANCE]

    @property
    def file_stores(self) -> list[FileStore]:
        """The stores of files."""
        return [store for store in self.written.values() if isinstance(store, FileStore)]

    def by_weight(self, locations: Iterable[Place]) -> list[Place]:
        """The locations in the order to use and show them: heaviest store first, else as they were added."""
        return sorted(locations, key=lambda location: -self._weight(location))

    def _weight(self, location: Location) -> int:
        info = self.infos.get(location["store"])
        return 0 if info is None else info.weight

    def open(self, image_id: str, location: Location) -> Source:
        """The data at a location. Raises DataMissing, StoreFault, NotAllowed."""
        if location.get("url"):
            if self.web is None:
                raise StoreFault("There is no store of the type http any more.")
            return self.web.open(location["url"])
        store = self.written.get(location["store"])
        if store is None:
            raise DataMissing(f"There is no store {location['store']} any more.")
        return store.open(image_id, location.get("key") or "")

    def url(self, image_id: str, location: Location) -> str:
        """The address of a location's data."""
        if location.get("url"):
            return str(location["url"])
        store = self.written.get(location["store"])
        return "" if store is None else store.url(image_id, location.get("key") or "")


def _make(info: StoreInfo, described: StoreSetting, folder: Path, keys: Mapping[str, list[str]]) -> Store:
    options = described.options
    if info.type == "file":
        return FileStore(info, Path(options["path"]) if "path" in options else folder)
    if info.id not in keys:
        raise ConfigError(f"image.s3_credentials: the keys of the store {info.id} are missing")
    access, secret = keys[info.id]
    bucket = Bucket(
        endpoint=options["endpoint"],
        name=options["bucket"],
        access_key=access,
        secret_key=secret,
        region=options.get("region", "us-east-1"),
        prefix=options.get("prefix", ""),
    )
    return S3Store(info, bucket)


_STORES: Key[Stores] = Key("image stores")


def stores_of(runtime: Runtime) -> Stores:
    """The cloud's stores."""
    if _STORES not in runtime:
        runtime.provide(_STORES, Stores(runtime.settings.image, runtime[STATE_DIR] / "images"))
    return runtime[_STORES]
