"""Builds well-known container images from the distribution's own packages: no registry, no maintainer script run.

`bake` is what `stackyard bake` calls. A recipe (images.py lists them) is data; packages.py asks apt what it needs and
fetches them; layer.py unpacks them into one layer. Archives are in `docker save` format, so an engine loads them and
the image service stores them alike.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from stackyard.bake.images import RECIPES
from stackyard.bake.layer import write_layer
from stackyard.bake.packages import Packages
from stackyard.bake.recipe import Recipe
from stackyard.host.containers.archive import write_archive
from stackyard.host.errors import SpecError
from stackyard.host.specs import ImageObservation

# Part of every cached archive's name: raise it when the same recipe comes out differently.
_FORMAT = "3"

Progress = Callable[[str], None]


class ImageLoader(Protocol):
    """What bake needs of a container engine."""

    def load_image(self, archive: BinaryIO, name: str) -> ImageObservation:
        """Load a `docker save` archive under this name."""
        ...


def recipes() -> tuple[str, ...]:
    """The names of the images that can be baked."""
    return tuple(RECIPES)


def bake(names: Iterable[str], engine: ImageLoader | None, cache_dir: Path, progress: Progress) -> dict[str, Path]:
    """Build (or take from the cache) and load these images; `engine` None only builds. Returns the archives by name.

    Raises SpecError for an image without a recipe, HostError when apt or the engine fails.
    """
    archives = {}
    for name in names:
        archives[name] = build_archive(name, cache_dir, progress)
        if engine is not None:
            progress(f"{name}: loading")
            with archives[name].open("rb") as archive:
                engine.load_image(archive, f"{name}:latest")
    return archives


def build_archive(name: str, cache_dir: Path, progress: Progress) -> Path:
    """The image's archive, from the cache when this recipe has been built on this release before."""
    recipe = RECIPES.get(name)
    if recipe is None:
        raise SpecError(f"there is no recipe for the image {name!r}; there are {', '.join(sorted(RECIPES))}")
    cache_dir.mkdir(parents=True, exist_ok=True)
    path = cache_dir / f"{name}-{recipe_digest(recipe)}.tar"
    with (cache_dir / "lock").open("w") as lock:
        # Two bakes at once would fetch the same packages to the same files.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _build(recipe, path, cache_dir, progress)
    return path


def recipe_digest(recipe: Recipe) -> str:
    """Names the result: the recipe, the release that its packages come from, and the machine they are for."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    basis = (_FORMAT, release.get("ID", ""), release.get("VERSION_ID", ""), platform.machine(), recipe)
    return hashlib.sha256(msgspec.json.encode(basis, order="deterministic")).hexdigest()[:16]


def _build(recipe: Recipe, path: Path, cache_dir: Path, progress: Progress) -> None:
    packages = Packages(cache_dir / "apt", lambda text: progress(f"{recipe.name}: {text}"))
    for leftover in cache_dir.glob(".build-*"):
        shutil.rmtree(leftover, ignore_errors=True)  # of a bake that was killed; we hold the lock
    debs = packages.fetch(recipe.packages, recipe.bare, recipe.without)
    progress(f"{recipe.name}: unpacking {len(debs)} packages")
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix=".build-") as directory:
        layer, archive = Path(directory, "layer.tar"), Path(directory, "image.tar")
        write_layer(layer, recipe, debs)
        with archive.open("wb") as target:
            write_archive(target, (f"{recipe.name}:latest",), layer, recipe.config)
        archive.replace(path)
