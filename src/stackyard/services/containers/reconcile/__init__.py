"""Making containers so: the reconcilers, the watcher of the engine, and what the application calls to run them.

`plan.py` decides and `settle.py` judges (both pure); `containers.py` acts; `watch.py` notices what happens by itself.
"""

from __future__ import annotations

from collections.abc import Callable

from stackyard.core.reconcile import Reconciler
from stackyard.core.runtime import Runtime
from stackyard.services.containers import quotas
from stackyard.services.containers.reconcile.busy import BUSY, Busy
from stackyard.services.containers.reconcile.commits import CommitReconciler
from stackyard.services.containers.reconcile.containers import ContainerReconciler
from stackyard.services.containers.reconcile.watch import WATCHER, Watcher, mark_all

SYNC_SECONDS = 60.0

__all__ = ["mark_all", "periodic", "reconcilers", "start_watchers", "stop_watchers"]


def reconcilers(runtime: Runtime) -> list[Reconciler]:
    """One a kind."""
    runtime.provide(BUSY, Busy())
    runtime.provide(WATCHER, Watcher(runtime))
    return [ContainerReconciler(runtime), CommitReconciler(runtime)]


def periodic(runtime: Runtime) -> list[tuple[str, float, Callable[[], object]]]:
    """Name, seconds and action of what is done now and then."""
    return [("container-sync", SYNC_SECONDS, runtime[WATCHER].sync)]


def start_watchers(runtime: Runtime) -> None:
    """Begin to listen to the engine."""
    quotas.adopt_class(runtime)
    runtime[WATCHER].start()


def stop_watchers(runtime: Runtime) -> None:
    """Listen no more."""
    runtime[WATCHER].stop()
