"""One task at work on one server: its row, the driver of its kind, and what tasks have in common.

A task may run again after a crash at any instant, so it looks (`inspect`) before it does. What it writes is written
only as long as no newer request has changed the server; then `Superseded` is raised, and the task is simply left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, NotFound
from stackyard.core.reconcile import GiveUp
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError, SpecError
from stackyard.host.machines import MachineDriver
from stackyard.host.specs import MachineImage, MachineObservation, MachineSpec, MachineVolume
from stackyard.services import keys
from stackyard.services.compute.reconcile import outcome, spec
from stackyard.services.compute.reconcile.boot import boot_id
from stackyard.services.compute.reconcile.outcome import Event, Superseded, fault
from stackyard.services.compute.servers.states import PowerState, VmState
from stackyard.services.compute.servers.tasks import KIND
from stackyard.services.compute.volumes import rows
from stackyard.services.image import api as image_api
from stackyard.services.network import api as network_api

__all__ = ["POWER_STATES", "Job", "Superseded"]

POWER_STATES = {
    "running": PowerState.RUNNING,
    "paused": PowerState.PAUSED,
    "stopped": PowerState.SHUTDOWN,
    "defined": PowerState.SHUTDOWN,
    "suspended": PowerState.SHUTDOWN,
    "crashed": PowerState.CRASHED,
}
"""From what a host sees to what the API says."""

_loading: dict[tuple[int, str], threading.Lock] = {}
_loading_guard = threading.Lock()


class Job:
    """`server` has the row's columns as attributes, as last read or written; `arguments` are the task's."""

    def __init__(self, runtime: Runtime, row: Any) -> None:
        self.runtime = runtime
        self.server: Any = SimpleNamespace(**row._mapping)
        self.arguments: dict[str, Any] = {key: value for key, value in (row.task or {}).items() if key != "name"}
        self.task: str | None = (row.task or {}).get("name")
        self.interrupted = False
        self._events: list[Event] = []

    def goes_on_from(self, earlier: Job) -> bool:
        """Whether an earlier job was at the same task of the same request; its steps become this one's then."""
        same = all(getattr(self.server, name) == getattr(earlier.server, name) for name in ("task", "task_request_id"))
        if same:
            self._events = earlier._events
        return same

    @property
    def id(self) -> str:
        """The server's."""
        return str(self.server.id)

    @property
    def driver(self) -> MachineDriver:
        """What runs servers of this kind here; raises SpecError when nothing does."""
        found = self.runtime[keys.MACHINES].get(self.server.kind)
        if found is None:
            why = self.runtime[keys.CAPACITY]().missing.get(self.server.kind, "it has no driver for them")
            raise SpecError(f"This host cannot run servers of the kind {self.server.kind}: {why}.")
        return found

    def inspect(self) -> MachineObservation | None:
        """What the host sees of the server now."""
        return self.driver.inspect(self.id)

    def power_state(self) -> PowerState:
        """The same, as the API says it."""
        seen = self.inspect()
        return PowerState.NOSTATE if seen is None else POWER_STATES[seen.state]

    # -- writing

    def write(
        self,
        name: str,
        change: Callable[[Transaction], dict[str, Any]],
        *,
        last: Callable[[Transaction], object] | None = None,
    ) -> None:
        """Run `change` in a transaction, which returns columns of the server to write, events with them.

        `last` runs after that in the same transaction. Raises Superseded, and then nothing is written.
        """

        def run(tx: Transaction) -> dict[str, Any]:
            columns = change(tx)
            outcome.write(tx, self.server, columns)
            outcome.write_events(tx, self.server, self._events)
            if last is not None:
                last(tx)
            return columns

        vars(self.server).update(self.runtime.database.write(f"server.{name}", run))
        self._events = [event for event in self._events if event.finished_at is None]

    def set(self, **columns: Any) -> None:
        """Write columns of the server: how far the task is (`task_state`), what was observed."""
        self.write("progress", lambda _tx: columns)

    def finish(self, *, also: Callable[[Transaction], object] | None = None, **columns: Any) -> None:
        """The task is done: write columns, no task any more, its action ended. `also` runs in the same transaction."""

        def end(tx: Transaction) -> dict[str, Any]:
            if also is not None:
                also(tx)
            self._ended(tx)
            outcome.finish_action(tx, self.server)
            timeline.record(tx, KIND, self.id, f"{self.task} done")
            return {"task": None, "task_state": None, **columns}

        self.write("finish", end)

    def fail(self, message: str, *, also: Callable[[Transaction], object] | None = None, **columns: Any) -> None:
        """The task can never be done: its action failed, and the server is in ERROR with the message as its fault.

        With a `vm_state` among the columns it is in that state instead (a failed snapshot leaves a server as it was).
        """

        def end(tx: Transaction) -> dict[str, Any]:
            if also is not None:
                also(tx)
            self._ended(tx, message)
            outcome.finish_action(tx, self.server, message)
            timeline.record(tx, KIND, self.id, f"{self.task or 'keeping it as it shall be'} failed", message)
            told = {"vm_state": VmState.ERROR, "fault": fault(message, tx.now)}
            return {"task": None, "task_state": None, **told, **columns}

        self.write("fail", end)

    def _ended(self, tx: Transaction, error: str | None = None) -> None:
        for event in self._events:
            if event.finished_at is None:
                event.finished_at = tx.now
                event.result = "Success" if error is None else "Error"
                event.details = error

    @contextmanager
    def event(self, name: str) -> Iterator[None]:
        """While the block runs, the step `compute_<name>` of the action is under way; it is written with what is
        written next. One that ends by an error that may be tried again is written when the task has ended.
        """
        clock = self.runtime.database.clock
        event = Event(f"compute_{name}", clock.now())
        self._events.append(event)
        try:
            yield
        except (Superseded, HostError, GiveUp):
            raise
        else:
            if event.finished_at is None:
                event.finished_at, event.result = clock.now(), "Success"

    # -- what a server is made of

    def spec(self) -> MachineSpec:
        """The server as it shall be, from its rows. Raises HostError when a volume of it cannot be reached here."""
        found = self.runtime.database.read("server.spec", spec.read, self.runtime, self.server)
        wanted = [row for row in self.volume_rows() if row.state in rows.PLUGGED]
        return msgspec.structs.replace(found, volumes=tuple(map(self.volume, wanted))) if wanted else found

    def volume_rows(self) -> list[Any]:
        """The rows of the server's volumes."""
        return self.runtime.database.read("server.volumes", rows.of_server, self.id)

    def volume(self, row: Any) -> MachineVolume:
        """One of the server's volumes as the driver is told of it."""
        from stackyard.services.compute.reconcile import volumes

        volume, mode = self.runtime.database.read("server.volume", volumes.read, row)
        return volumes.of_row(self, row, volume, mode)

    @property
    def disk_bus(self) -> str:
        """The bus that the server's disks are plugged into when nothing else is said of them."""
        image, flavor = self.server.image, self.server.flavor
        asked = spec.hardware(image.get("properties") or {}, flavor.get("extra_specs") or {})
        return asked.get("hw_disk_bus") or "virtio"

    def images(self, wanted: MachineSpec) -> None:
        """Have all images that a spec names in the driver's store; kernels and ramdisks too."""
        for image in (wanted.image, None if wanted.rescue is None else wanted.rescue.image):
            if image is None:
                continue
            for part, form in ((image.kernel, "aki"), (image.ramdisk, "ari")):
                if part is not None:
                    self.load(MachineImage(part, form, form))
            self.load(image)

    def load(self, image: MachineImage) -> None:
        """Have an image in the driver's store. Raises GiveUp when there is no such image any more."""
        driver = self.driver
        if driver.has_image(image):
            return
        with _loading_guard:
            lock = _loading.setdefault((id(driver), image.id), threading.Lock())
        with lock:  # twenty servers of one image load it once
            if driver.has_image(image):
                return
            try:
                with image_api.image_file(self.runtime, image.id) as data:
                    driver.load_image(image, data)
            except NotFound:
                raise GiveUp(f"Image {image.id} has no data: it was deleted. Use another image.") from None
            except BadRequest as error:
                raise GiveUp(error.message) from error
            except ApiError as error:
                raise HostError(error.message) from error

    def bind(self, **columns: Any) -> None:
        """Say of the server's ports that they are to be on this host, where its driver wants them; write columns."""

        def change(tx: Transaction) -> dict[str, Any]:
            for index, interface in enumerate(self.server.interfaces):
                device = interface.get("device") or f"eth{index}"
                network_api.bind_port(
                    tx, interface["port"], netns=place.netns, device=device, host=host, wire=place.wire
                )
            return columns

        if self.server.interfaces:
            place, host = self.driver.place(self.id), self.runtime[keys.HOST_NAME]
            self.write("bind", change)
        elif columns:
            self.set(**columns)

    def wire(self, **columns: Any) -> None:
        """Bind the server's ports to this host and wire them now; columns are written with the binding."""
        self.bind(**columns)
        if self.server.interfaces:
            network_api.wire_now(self.runtime, [interface["port"] for interface in self.server.interfaces])

    def bring_up(self, **columns: Any) -> None:
        """Make the server as its rows say, and start it: wires, images, disks. Columns are written on the way."""
        self.wire(**columns)
        wanted = self.spec()
        self.images(wanted)
        self.driver.define(wanted)
        self.driver.start(self.id)

    def end(self, timeout: float) -> None:
        """Stop the server: its system is given `timeout` seconds, unless it is deleted meanwhile."""
        self.driver.stop(self.id, timeout)

    @property
    def boot(self) -> str:
        """Which start of this host it is; goes into `boot_id` of a server that was started."""
        return boot_id()
