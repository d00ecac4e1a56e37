"""Actions that change what is wanted of a container: start, stop, reboot, pause, unpause, rebuild.

Each writes the wish and returns; the reconciler does it. A signal is not a wish: `kill` is sent at once, in console.py.
"""

from __future__ import annotations

from typing import Any

from stackyard.core import reconcile, timeline
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import InvalidField
from stackyard.services.containers import action_log, images
from stackyard.services.containers.containers import states, tables
from stackyard.services.containers.containers.bodies import ImageName
from stackyard.services.containers.containers.create import KIND
from stackyard.services.containers.containers.draft import DRIVERS
from stackyard.services.containers.containers.states import Status, Wanted
from stackyard.services.containers.containers.values import Number, nothing_for_none, of_call, whole

DEFAULT_STOP_TIMEOUT = 10


class NoParameters(Body):
    """Nothing may be given."""


class TimeoutParameters(Body):
    """Seconds that the container has to end by itself."""

    timeout: Number = None


class RebuildParameters(Body):
    """Another image, if it is to be another."""

    image: ImageName | None = None
    image_driver: str | None = None


def _wish(tx: Transaction, call: Call, action: str, **values: Any) -> None:
    row = call.target
    tables.update(tx, row, **values)
    action_log.begin(tx, call, row.uuid, action)
    timeline.record(tx, KIND, row.uuid, f"{action} asked")
    reconcile.mark(tx, reconcile.kind_on(KIND, row.host), row.uuid)


def _timeout(call: Call) -> int:
    given = of_call(TimeoutParameters, call).timeout
    text = nothing_for_none(given) if isinstance(given, str) else given
    found = whole("timeout", text or None, 0, 86400)
    return 0 if text in (0, "0") else DEFAULT_STOP_TIMEOUT if found is None else found


def start(tx: Transaction, call: Call) -> None:
    """POST .../start."""
    row = call.target
    of_call(NoParameters, call)
    states.require(row, "start")
    _wish(
        tx,
        call,
        "start",
        wanted=Wanted.RUNNING,
        run=row.run + 1,
        stop_first=False,
        status_reason=None,
        task_state="container_starting",
    )


def stop(tx: Transaction, call: Call) -> None:
    """POST .../stop?timeout=."""
    states.require(call.target, "stop")
    _wish(tx, call, "stop", wanted=Wanted.STOPPED, stop_timeout=_timeout(call), task_state="container_stopping")


def reboot(tx: Transaction, call: Call) -> None:
    """POST .../reboot?timeout=."""
    row = call.target
    states.require(row, "reboot")
    _wish(
        tx,
        call,
        "reboot",
        wanted=Wanted.RUNNING,
        run=row.run + 1,
        stop_first=True,
        stop_timeout=_timeout(call),
        status=Status.RESTARTING,
        status_reason=None,
        task_state="container_rebooting",
    )


def pause(tx: Transaction, call: Call) -> None:
    """POST .../pause."""
    of_call(NoParameters, call)
    states.require(call.target, "pause")
    _wish(tx, call, "pause", wanted=Wanted.PAUSED, task_state="container_pausing")


def unpause(tx: Transaction, call: Call) -> None:
    """POST .../unpause."""
    of_call(NoParameters, call)
    states.require(call.target, "unpause")
    _wish(tx, call, "unpause", wanted=Wanted.RUNNING, task_state="container_unpausing")


def rebuild(tx: Transaction, call: Call) -> None:
    """POST .../rebuild?image=&image_driver=: a new container in the place of the old, with its ports and addresses."""
    row = call.target
    states.require(row, "rebuild")
    asked = of_call(RebuildParameters, call)
    image = nothing_for_none(asked.image) or row.image
    driver = nothing_for_none(asked.image_driver) or row.image_driver
    if driver not in DRIVERS:
        raise InvalidField("image_driver", f"'{driver}' is not one of {', '.join(DRIVERS)}.", kind="ValidationError")
    runs = row.status == Status.RUNNING
    _wish(
        tx,
        call,
        "rebuild",
        image=image,
        image_driver=driver,
        image_id=images.resolve(tx, call, image, driver),
        wanted=Wanted.RUNNING if runs else Wanted.CREATED,
        run=row.run + runs,
        build=row.build + 1,
        status=Status.REBUILDING,
        status_reason=None,
        task_state="container_rebuilding",
    )
