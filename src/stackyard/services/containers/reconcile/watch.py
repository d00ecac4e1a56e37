"""Noticing what happens to containers by itself: the engine's events as they come, and now and then a comparison."""

from __future__ import annotations

import logging
import threading
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import reconcile
from stackyard.core.db import Moment, Transaction
from stackyard.core.runtime import Key, Runtime
from stackyard.host.errors import EngineUnavailableError, HostError
from stackyard.host.specs import EngineEvent
from stackyard.services.containers.containers import tables
from stackyard.services.containers.containers.commit import ALL as COMMITS
from stackyard.services.containers.containers.commit import COMMIT_KIND
from stackyard.services.containers.containers.create import KIND
from stackyard.services.containers.containers.states import Status, Wanted
from stackyard.services.containers.reconcile.busy import BUSY
from stackyard.services.keys import ENGINE, HOST_NAME

log = logging.getLogger("stackyard.containers")

RECONNECT_SECONDS = 1.0
UNKNOWN_AFTER = 60.0
"""Seconds without an answer of the engine after which states are not known any more."""

_EXPECTED = {
    "start": {Status.RUNNING},
    "unpause": {Status.RUNNING},
    "pause": {Status.PAUSED},
    "die": {Status.STOPPED, Status.DELETING, Status.ERROR},
    "oom": set(Status),
    "destroy": {Status.DELETING},
}
_STATE_OF = {
    "running": Status.RUNNING,
    "paused": Status.PAUSED,
    "exited": Status.STOPPED,
    "dead": Status.DEAD,
    "created": Status.CREATED,
    "restarting": Status.RESTARTING,
}
_c = tables.containers.c
_ALL = sa.select(_c.uuid, _c.status, _c.wanted, _c.task_state).where(_c.host == bindparam("host"))
_UUIDS = sa.select(_c.uuid).where(_c.host == bindparam("host"))
_UNKNOWN = (
    sa.update(tables.containers)
    .where(
        _c.host == bindparam("at_host"),
        _c.status.in_([Status.RUNNING, Status.PAUSED, Status.STOPPED, Status.CREATED, Status.RESTARTING]),
    )
    .values(status=Status.UNKNOWN, status_reason=bindparam("reason"), updated_at=bindparam("at", type_=Moment))
)


class Watcher:
    """A thread on the engine's events; `sync` is called by the timer of periodic work."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._kind = reconcile.kind_on(KIND, runtime[HOST_NAME])
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._away_since: float | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._watch, name="container-events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; the engine's event stream ends when the engine is closed."""
        self._stopping.set()

    def _watch(self) -> None:
        lost = False
        while not self._stopping.is_set():
            try:
                if lost:
                    # What happened while nobody listened is found by looking at every container.
                    self._runtime[ENGINE].info()
                    mark_all(self._runtime)
                    lost = False
                for event in self._runtime[ENGINE].events():
                    self.handle(event)
            except HostError as error:
                log.warning("the engine's events cannot be read", extra={"reason": str(error)})
            except Exception:
                if self._stopping.is_set():
                    return
                log.exception("watching the engine failed")
            lost = True
            self._stopping.wait(RECONNECT_SECONDS)

    def handle(self, event: EngineEvent) -> None:
        """Have a container looked at, unless its state says already what the event says."""
        if self._stopping.is_set() or self._runtime[BUSY].note(event.container_id, event.action):
            return

        def look(tx: Transaction) -> bool:
            row = tables.by_uuid(tx, event.container_id)
            return row is not None and row.status not in _EXPECTED.get(event.action, set())

        if self._database.read("containers.event", look):
            self._database.write("containers.mark", reconcile.mark, self._kind, event.container_id)

    def sync(self) -> None:
        """Compare every container's state with the engine's list, and have those that differ looked at."""
        now = self._database.clock.time()
        try:
            seen = {found.id: found.state for found in self._runtime[ENGINE].list()}
        except EngineUnavailableError as error:
            self._away_since = self._away_since or now
            if now - self._away_since >= UNKNOWN_AFTER:
                self._database.write("containers.unknown", self._unknown, str(error))
            return
        self._away_since = None
        rows = self._database.read("containers.sync", lambda tx: tx.all(_ALL, {"host": self._runtime[HOST_NAME]}))
        dirty = [row.uuid for row in rows if _differs(row, seen.get(row.uuid))]
        for uuid in dirty:
            self._database.write("containers.mark", reconcile.mark, self._kind, uuid)

    def _unknown(self, tx: Transaction, reason: str) -> None:
        values = {"at_host": self._runtime[HOST_NAME], "reason": f"The container engine does not answer: {reason}"}
        tx.execute(_UNKNOWN, values | {"at": tx.now})


def _differs(row: Any, state: str | None) -> bool:
    if row.task_state is not None or row.wanted == Wanted.FAILED:
        return False
    if row.wanted == Wanted.DELETED:
        return True
    return bool(_STATE_OF.get(state or "") != row.status)


def mark_all(runtime: Runtime) -> None:
    """Have everything looked at once: at start, and when the engine is back."""

    host = runtime[HOST_NAME]

    def mark(tx: Transaction) -> None:
        for row in tx.all(_UUIDS, {"host": host}):
            reconcile.mark(tx, reconcile.kind_on(KIND, host), row.uuid)
        for row in tx.all(COMMITS):
            container = tables.by_uuid(tx, row.container_uuid)
            if container is None or container.host == host:
                reconcile.mark(tx, reconcile.kind_on(COMMIT_KIND, host), row.image_id)

    runtime.database.write("containers.mark all", mark)


WATCHER: Key[Watcher] = Key("watcher of containers")
