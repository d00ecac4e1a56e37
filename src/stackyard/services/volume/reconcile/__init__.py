"""Making volumes so: the reconcilers of this host's volumes, snapshots and backups.

`runner.py` carries out the tasks that rows have, `job.py` is what tasks work with; `volumes.py`, `snapshots.py` and
`backups.py` have the tasks themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from stackyard.core.reconcile import Reconciler
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError
from stackyard.services import keys
from stackyard.services.volume import hosts
from stackyard.services.volume.reconcile import backups, groups, snapshots, uploading, volumes
from stackyard.services.volume.reconcile.job import BACKUP, SNAPSHOT, VOLUME
from stackyard.services.volume.reconcile.runner import TaskReconciler

log = logging.getLogger("stackyard.volume")


def reconcilers(runtime: Runtime) -> list[Reconciler]:
    """One a kind."""
    return [
        TaskReconciler(runtime, VOLUME, volumes.TASKS, volumes.FAILURES, volumes.failed),
        TaskReconciler(runtime, SNAPSHOT, snapshots.TASKS, snapshots.FAILURES, snapshots.failed),
        *groups.reconcilers(runtime),
        TaskReconciler(runtime, BACKUP, backups.TASKS, backups.FAILURES, backups.create_failed),
    ]


def adopt(runtime: Runtime) -> None:
    """Have the drivers take on what an earlier run left; what it was at is marked still."""
    uploading.sweep(runtime)
    for name, driver in runtime[keys.VOLUMES].items():
        try:
            driver.start_up()
        except HostError as error:
            log.warning("a back end of volumes cannot be used now", extra={"backend": name, "reason": str(error)})
    hosts.report(runtime)


def periodic(runtime: Runtime) -> list[tuple[str, float, Callable[[], object]]]:
    """Name, seconds and action of what is done now and then."""
    return [("volume-heartbeat", hosts.HEARTBEAT_SECONDS, lambda: hosts.report(runtime))]
