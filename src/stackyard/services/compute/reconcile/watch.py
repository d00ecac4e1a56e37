"""Noticing what happens to servers by itself: the drivers' events as they come, and now and then a comparison."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import reconcile
from stackyard.core.db import Transaction
from stackyard.core.runtime import Key, Runtime
from stackyard.host.errors import HostError
from stackyard.host.machines import MachineDriver
from stackyard.host.specs import MachineEvent
from stackyard.services import keys
from stackyard.services.compute.reconcile import outcome
from stackyard.services.compute.reconcile.boot import boot_id
from stackyard.services.compute.reconcile.plan import Wish, plan
from stackyard.services.compute.reconcile.server import ServerReconciler, mark_all
from stackyard.services.compute.servers.states import VmState
from stackyard.services.compute.servers.tasks import KIND
from stackyard.services.compute.tables import servers

log = logging.getLogger("stackyard.compute")

RECONNECT_SECONDS = 1.0

_c = servers.c
_HERE = sa.select(
    _c.id, _c.kind, _c.vm_state, _c.power, _c.power_state, _c.boot_id, _c.task
).where(_c.host == bindparam("host"), _c.deleted_at.is_(None))  # fmt: skip
_KNOWN = sa.select(_c.id, _c.host, _c.vm_state, _c.task).where(
    _c.id.in_(bindparam("ids", expanding=True)), _c.deleted_at.is_(None)
)
_CHUNK = 500


class Watcher:
    """A thread on each driver's events; `sync` is called by the timer of periodic work."""

    def __init__(self, runtime: Runtime, reconciler: ServerReconciler) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._reconciler = reconciler
        self._host = runtime[keys.HOST_NAME]
        self._kind = reconcile.kind_on(KIND, self._host)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin."""
        for driver in self._drivers():
            threading.Thread(target=self._watch, args=(driver,), name="server-events", daemon=True).start()

    def stop(self) -> None:
        """End; a driver's events end when it is closed."""
        self._stopping.set()
        for driver in self._drivers():
            driver.close()

    def _drivers(self) -> list[MachineDriver]:
        return list({id(driver): driver for driver in self._runtime[keys.MACHINES].values()}.values())

    def _watch(self, driver: MachineDriver) -> None:
        lost = False
        while not self._stopping.is_set():
            try:
                if lost:
                    driver.list()
                    mark_all(self._runtime)  # what happened while nobody listened is found by looking at every server
                    lost = False
                for event in driver.events():
                    self.handle(event)
            except HostError as error:
                log.warning("the servers' events cannot be read", extra={"reason": str(error)})
            except Exception:
                if self._stopping.is_set():
                    return
                log.exception("watching servers failed")
            lost = True
            self._stopping.wait(RECONNECT_SECONDS)

    def handle(self, event: MachineEvent) -> None:
        """Have a server looked at; one that has a task is looked at by it."""
        if self._stopping.is_set() or self._reconciler.note(event.machine_id):
            return
        row = self._database.read("server.event", outcome.read, event.machine_id)
        if row is not None and row.task is None and row.deleted_at is None and row.host == self._host:
            self._mark([event.machine_id])

    def sync(self) -> None:
        """Have those servers looked at that are not as their rows say, and remove what no row wants."""
        for driver in self._drivers():
            try:
                self._sync(driver)
            except HostError as error:
                log.warning("servers cannot be compared now", extra={"reason": str(error)})

    def _sync(self, driver: MachineDriver) -> None:
        seen = {found.id: found.state for found in driver.list()}
        # The list first, the rows after it: what has no row then has none any more.
        rows = self._database.read("server.sync", lambda tx: tx.all(_HERE, {"host": self._host}))
        mine = [row for row in rows if self._runtime[keys.MACHINES].get(row.kind) is driver]
        self._mark([row.id for row in mine if _differs(row, seen.get(row.id))])
        self._remove_orphans(driver, list(seen))

    def _mark(self, server_ids: list[str]) -> None:
        def mark(tx: Transaction) -> None:
            for server_id in server_ids:
                reconcile.mark(tx, self._kind, server_id)

        if server_ids:
            self._database.write("server.mark", mark)

    def _remove_orphans(self, driver: MachineDriver, found: list[str]) -> None:
        for start in range(0, len(found), _CHUNK):
            some = found[start : start + _CHUNK]
            rows = self._database.read("server.known", _known, some)
            wanted = {row.id for row in rows if _belongs(row, self._host)}
            for server_id in some:
                if server_id not in wanted and not self._reconciler.note(server_id):
                    log.warning("a server that no row wants is removed", extra={"id": server_id})
                    driver.remove(server_id)


def _known(tx: Transaction, server_ids: list[str]) -> Sequence[Any]:
    return tx.all(_KNOWN, {"ids": server_ids})


def _differs(row: Any, state: str | None) -> bool:
    if row.task is not None:
        return False
    wish = Wish(
        vm_state=row.vm_state, power=row.power, power_state=row.power_state,
        same_boot=row.boot_id in (None, boot_id()),
    )  # fmt: skip
    decision = plan(wish, state)
    return bool(decision.steps or decision.columns or decision.lost)


def _belongs(row: Any, host: str) -> bool:
    """Here, or on its way: what is moved is removed by the task that moves it, once the move is confirmed."""
    return row.host == host or row.task is not None or row.vm_state == VmState.RESIZED


WATCHER: Key[Watcher] = Key("watcher of servers")
