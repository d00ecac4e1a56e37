"""Stores: the places that keep images' data. Files, S3-compatible servers, and what lies at addresses on the web.

A `Store` keeps data under an image's id and a key that is never used twice, so that removing what an attempt left
behind never meets what a later one made. `registry.py` makes the stores that the settings name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class StoreFault(Exception):
    """A store did not do what it was asked: the text says which store and why, and holds no credentials."""


class DataMissing(StoreFault):
    """The store does not have the data (any more)."""


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What is known of a store from the settings; of several, clients are given the data of the heaviest."""

    id: str
    type: str
    description: str
    weight: int
    read_only: bool = False


class Source(Protocol):
    """Data being read; not for two threads at once."""

    size: int | None
    """Bytes in all; None when the server does not say."""

    def read(self, position: int, length: int) -> bytes:
        """Up to `length` bytes from `position`, none only at the end. Reading on is cheap, jumping may not be."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Store(Protocol):
    """Keeps images' data. All methods block; all but `open` may be run again after a crash, with the same outcome."""

    info: StoreInfo

    def prepare(self, image_id: str, key: str, path: Path) -> None:
        """Bring in the complete file at `path`, which stays; slow. Raises StoreFault, OSError."""
        ...

    def commit(self, image_id: str, key: str) -> None:
        """Make what was prepared the image's data, on disk; quick."""
        ...

    def open(self, image_id: str, key: str) -> Source:
        """The data. Raises DataMissing, StoreFault."""
        ...

    def remove(self, image_id: str, key: str) -> None:
        """Free what was prepared or committed; no error when it is not there. Raises StoreFault."""
        ...

    def url(self, image_id: str, key: str) -> str:
        """Where the data lies, for those who may know; holds no credentials."""
        ...

    def properties(self) -> dict[str, Any]:
        """What an operator may know of how the store is configured."""
        ...
