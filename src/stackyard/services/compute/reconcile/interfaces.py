"""Network cards of a running server: those that its row has are plugged in, others are taken out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from stackyard.core import timeline
from stackyard.core.reconcile import DONE, Again, Outcome
from stackyard.host.errors import HostError, SpecError
from stackyard.host.specs import MachineObservation
from stackyard.services.compute.reconcile.job import Job
from stackyard.services.compute.servers.tasks import KIND

log = logging.getLogger("stackyard.compute")

AGAIN_SECONDS = 10.0
"""Until a card is tried again that could not be plugged in."""

_RUNNING = frozenset({"running", "paused"})


def settle(job: Job, seen: MachineObservation | None) -> Outcome:
    """Plug and unplug what differs. One that does not run gets its cards when it is started next.

    A guest may refuse to let go of a card: that is written down and does the server no harm. A card that could not be
    plugged in is tried again, unless it never can be.
    """
    if seen is None or seen.state not in _RUNNING:
        return DONE
    wanted = [interface["port"] for interface in job.server.interfaces]
    surplus = [port for port in seen.ports if port not in wanted]
    missing = [port for port in wanted if port not in seen.ports]
    hot = "attach_port" in job.driver.abilities
    for port in surplus if hot else ():
        _try(job, "unplugging", port, partial(job.driver.detach_port, job.id, port))
    if missing:
        job.wire()
    nics = {nic.port_id: nic for nic in job.spec().nics} if missing and hot else {}
    again = False
    for port in missing if hot else ():
        failed = _try(job, "plugging", port, partial(job.driver.attach_port, job.id, nics[port]))
        again = again or (failed is not None and not isinstance(failed, SpecError))
    return Again(AGAIN_SECONDS) if again else DONE


def _try(job: Job, what: str, port: str, step: Callable[[], None]) -> HostError | None:
    try:
        step()
    except HostError as error:
        log.warning("a network card could not be changed", extra={"id": job.id, "port": port, "error": str(error)})
        text = f"port {port}: {error}"
        job.runtime.database.write("server.card", timeline.record, KIND, job.id, f"{what} a card failed", text)
        return error
    return None
