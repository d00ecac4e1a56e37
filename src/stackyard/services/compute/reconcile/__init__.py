"""Making servers so: the reconciler of this host's servers, their tasks, and the watcher of the machine drivers.

`server.py` carries out the task of a server (`TASKS`), `keep.py` keeps one without a task as it shall be, by the pure
plan of `plan.py`; `job.py` is what tasks work with; `watch.py` notices what happens by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from stackyard.core.reconcile import Reconciler
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError
from stackyard.services import keys
from stackyard.services.compute.aggregates.caching import ImageCache
from stackyard.services.compute.consoles import elsewhere
from stackyard.services.compute.peers import PEERS, Peers
from stackyard.services.compute.reconcile import (
    build,
    carrying,
    live_migrating,
    power,
    rebuild,
    remains,
    rescue,
    resize,
    shelve,
    snapshots,
)
from stackyard.services.compute.reconcile.server import RECONCILER, Failure, ServerReconciler, Task, mark_all
from stackyard.services.compute.reconcile.watch import WATCHER, Watcher

log = logging.getLogger("stackyard.compute")

SYNC_SECONDS = 60.0

TASKS: dict[str, Task] = {
    **build.TASKS,
    **live_migrating.TASKS,
    **power.TASKS,
    **rebuild.TASKS,
    **rescue.TASKS,
    **resize.TASKS,
    **shelve.TASKS,
    **snapshots.TASKS,
}
"""By name: what does the task; it returns Done, or Again to be called again, and raises HostError to be tried again."""

FAILURES: dict[str, Failure] = {
    **build.FAILURES,
    **live_migrating.FAILURES,
    **power.FAILURES,
    **rebuild.FAILURES,
    **rescue.FAILURES,
    **resize.FAILURES,
    **shelve.FAILURES,
    **snapshots.FAILURES,
}
"""By the task's name: what is done when trying is over (deadline, SpecError, GiveUp); without: ERROR with a fault."""

__all__ = ["FAILURES", "TASKS", "adopt", "periodic", "reconcilers", "start_watchers", "stop_watchers"]


def reconcilers(runtime: Runtime) -> list[Reconciler]:
    """One a kind."""
    reconciler = ServerReconciler(runtime, TASKS, FAILURES)
    runtime.provide(RECONCILER, reconciler)
    runtime.provide(WATCHER, Watcher(runtime, reconciler))
    runtime.provide(PEERS, Peers(runtime, carrying.HANDLERS | live_migrating.HANDLERS, elsewhere.LOOKERS))
    return [reconciler, ImageCache(runtime)]


def adopt(runtime: Runtime) -> None:
    """Have the drivers take on what an earlier run left, and every server looked at once."""
    for kind, driver in runtime[keys.MACHINES].items():
        try:
            driver.start_up()
        except HostError as error:
            log.warning("servers of a kind cannot be run now", extra={"of_kind": kind, "reason": str(error)})
    remains.clear_evacuated(runtime)
    snapshots.sweep(runtime)
    mark_all(runtime)


def periodic(runtime: Runtime) -> list[tuple[str, float, Callable[[], object]]]:
    """Name, seconds and action of what is done now and then."""
    return [
        ("server-sync", SYNC_SECONDS, runtime[WATCHER].sync),
        # A host that was only cut off from the others is told of evacuations by looking.
        ("server-remains", SYNC_SECONDS, lambda: remains.clear_evacuated(runtime)),
    ]


def start_watchers(runtime: Runtime) -> None:
    """Begin to listen to the drivers."""
    runtime[WATCHER].start()


def stop_watchers(runtime: Runtime) -> None:
    """Listen no more, to other hosts neither."""
    runtime[WATCHER].stop()
    runtime[PEERS].close()
