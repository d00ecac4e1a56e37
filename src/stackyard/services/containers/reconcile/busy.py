"""Which containers a reconciler of this process works on now, so that events of its own doing start nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stackyard.core.runtime import Key

_UNEXPECTED = frozenset({"die", "oom", "destroy", "health"})


class Busy:
    """A set of container ids, and what happened to them meanwhile that their reconciler may not have seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._missed: set[str] = set()

    @contextmanager
    def working_on(self, container_id: str) -> Iterator[None]:
        """While the block runs, events of this container are only noted."""
        with self._lock:
            self._ids.add(container_id)
            self._missed.discard(container_id)
        try:
            yield
        finally:
            with self._lock:
                self._ids.discard(container_id)

    def note(self, container_id: str, action: str) -> bool:
        """True when the event is taken care of by whoever works on the container."""
        with self._lock:
            if container_id not in self._ids:
                return False
            if action in _UNEXPECTED:
                self._missed.add(container_id)
            return True

    def take_missed(self, container_id: str) -> bool:
        """Whether something happened since the work began (or since the last time this was asked)."""
        with self._lock:
            missed = container_id in self._missed
            self._missed.discard(container_id)
            return missed


BUSY: Key[Busy] = Key("containers being worked on")
