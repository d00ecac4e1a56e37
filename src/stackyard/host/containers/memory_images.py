"""The images of the in-memory engine."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from stackyard.host.containers.docker_create import is_image_name
from stackyard.host.errors import NotFoundError, SpecError
from stackyard.host.specs import ImageObservation


@dataclass(frozen=True, eq=False)
class MemoryImage:
    """An image's configuration. `programs` are the commands it has; None stands for all."""

    command: tuple[str, ...] = ("serve",)
    entrypoint: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    workdir: str = ""
    programs: frozenset[str] | None = None
    size: int = 1 << 20

    def content_id(self, name: str) -> str:
        """A content id, the same for the same name."""
        return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


class MemoryImages:
    """A store of images by name, and a registry to pull from."""

    def __init__(self, images: Mapping[str, MemoryImage], registry: Mapping[str, MemoryImage]) -> None:
        self._images = {_tagged(name): image for name, image in images.items()}
        self._registry = {_tagged(name): image for name, image in registry.items()}
        self._archives: dict[str, bytes] = {}
        self._lock = threading.RLock()

    def shared(self) -> MemoryImages:
        """The same images; those that are loaded through it are purged through it."""
        made = MemoryImages({}, {})
        made._images, made._registry, made._lock = self._images, self._registry, self._lock
        return made

    def find(self, name: str) -> MemoryImage | None:
        """The image of that name or content id."""
        with self._lock:
            by_id = (image for image in self._images.values() if self._observation(image).id == name)
            return self._images.get(_tagged(name)) or next(by_id, None)

    def observe(self, name: str) -> ImageObservation | None:
        """What an engine tells of it."""
        with self._lock:
            image = self.find(name)
            return None if image is None else self._observation(image)

    def all(self) -> list[ImageObservation]:
        """Every image once."""
        with self._lock:
            return [self._observation(image) for image in dict.fromkeys(self._images.values())]

    def add(self, name: str, image: MemoryImage) -> ImageObservation:
        """Put it into the store."""
        with self._lock:
            self._images[_tagged(name)] = image
            return self._observation(image)

    def pull(self, name: str) -> ImageObservation:
        """From the registry."""
        image = self._registry.get(_tagged(name))
        if image is None:
            raise SpecError(f"the registry does not give the image {name}: not found")
        return self.add(name, image)

    def load(self, data: bytes, name: str) -> ImageObservation:
        """From an archive, which is kept as it is."""
        if not is_image_name(name):
            raise SpecError(f"not an image name: {name!r}")
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as content:
                entries = content.getnames()
        except tarfile.TarError as error:
            raise SpecError(f"the image {name} cannot be loaded: {error}") from error
        if "manifest.json" not in entries:
            raise SpecError(f"the image {name} cannot be loaded: the archive holds no image")
        with self._lock:
            self._archives[_tagged(name)] = data
            return self.add(name, MemoryImage(size=len(data)))

    def save(self, name: str) -> bytes:
        """The archive that it was loaded from; of one that was not loaded, an archive with an empty layer."""
        with self._lock:
            if self.find(name) is None:
                raise NotFoundError(f"the engine has no image {name}")
            return self._archives.get(_tagged(name)) or _archive(_tagged(name))

    def remove(self, name: str) -> None:
        """Forget the name."""
        with self._lock:
            self._images.pop(_tagged(name), None)

    def purge(self) -> None:
        """Forget what was loaded."""
        with self._lock:
            for name in self._archives:
                self._images.pop(name, None)
            self._archives.clear()

    def _observation(self, image: MemoryImage) -> ImageObservation:
        names = tuple(sorted(name for name, known in self._images.items() if known is image))
        return ImageObservation(id=image.content_id(names[0]), names=names, size=image.size)


def _archive(name: str) -> bytes:
    layer = io.BytesIO()
    tarfile.open(fileobj=layer, mode="w").close()
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {
        "manifest.json": json.dumps(manifest).encode(),
        "config.json": json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers"}}).encode(),
        "layer.tar": layer.getvalue(),
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def _tagged(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
