"""Making volumes so: the reconcilers of this host's volumes, snapshots and backups."""

from __future__ import annotations

import logging
from collections.abc import Callable

from stackyard.core.reconcile import Reconciler
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError
from stackyard.services import keys

log = logging.getLogger("stackyard.volume")


def reconcilers(runtime: Runtime) -> list[Reconciler]:
    """One a kind."""
    del runtime
    return []


def adopt(runtime: Runtime) -> None:
    """Have the drivers take on what an earlier run left, and every volume with work looked at once."""
    for name, driver in runtime[keys.VOLUMES].items():
        try:
            driver.start_up()
        except HostError as error:
            log.warning("a back end of volumes cannot be used now", extra={"backend": name, "reason": str(error)})


def periodic(runtime: Runtime) -> list[tuple[str, float, Callable[[], object]]]:
    """Name, seconds and action of what is done now and then."""
    del runtime
    return []
