"""A running machine that leaves: its disks are mirrored to the next host, then its memory follows while it runs.

The next host is reached by connections that we hand QEMU as descriptors: it sees no network, before as after.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Any

from stackyard.host.errors import HostError
from stackyard.host.machines.moving import MoveAbortedError, Order, Progress
from stackyard.host.machines.qemu.home import Home
from stackyard.host.machines.qemu.monitor import CommandError, Event, Monitor

MEMORY = "memory"

_LOOK_SECONDS = 0.1
_TELL_LOOKS = 5
_CANCEL_SECONDS = 30.0
_DOWNTIME_MS = 300
_CAPABILITIES = ("return-path", "pause-before-switchover", "auto-converge", "events")
_ENDED = ("BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED")

Connect = Callable[[str], socket.socket]
Watch = Callable[[Progress], Order]


def capabilities(control: Monitor, wanted: Sequence[str] = _CAPABILITIES) -> None:
    """Switch on what both ends agree on."""
    chosen = [{"capability": name, "state": True} for name in wanted]
    control.execute("migrate-set-capabilities", {"capabilities": chosen})


class Departure:
    """One attempt, on one connection to the machine's monitor."""

    def __init__(self, control: Monitor, streams: Sequence[str], watch: Watch) -> None:
        self._control = control
        self._disks = [name for name in streams if name != MEMORY]
        self._watch = watch
        self._looks = 0
        self._stopped = False
        self._switched = False
        self._ended: dict[str, str] = {}

    def go(self, connect: Connect) -> None:
        """All of it: disks, memory, and the switch."""
        for disk in self._disks:
            self._mirror(disk, connect(disk))
        while not self._mirrored():
            self._look()
        self._hand_over(MEMORY, connect(MEMORY))
        self._control.execute("migrate-set-parameters", {"max-bandwidth": 1 << 40, "downtime-limit": _DOWNTIME_MS})
        self._control.execute("migrate", {"uri": f"fd:{MEMORY}"})
        while True:
            seen = self._control.execute("query-migrate")
            status = seen.get("status")
            if status == "completed":
                return
            if status in ("failed", "cancelled"):
                raise HostError(f"its memory could not be sent: {seen.get('error-desc', status)}")
            # It is said for an instant still after it was told to go on.
            if status == "pre-switchover" and not self._switched:
                self._end_mirrors()
                self._switched = True
                self._control.execute("migrate-continue", {"state": "pre-switchover"})
            else:
                if not self._switched:
                    self._mirrored()
                self._look(seen)

    def _mirror(self, disk: str, connection: socket.socket) -> None:
        node = f"to-{disk}"[:31]
        self._hand_over(node, connection)
        server = {"type": "fd", "str": node}
        self._control.execute("blockdev-add", {"driver": "nbd", "node-name": node, "server": server, "export": disk})
        # What lies below is the same image there: only what this machine has written itself goes over.
        job = {"job-id": f"move-{disk}", "device": disk, "target": node, "sync": "top"}
        self._control.execute("blockdev-mirror", job)

    def _hand_over(self, name: str, connection: socket.socket) -> None:
        with connection:
            self._control.execute("getfd", {"fdname": name}, (connection.fileno(),))

    def _jobs(self) -> dict[str, dict[str, Any]]:
        return {job["device"]: job for job in self._control.execute("query-block-jobs")}

    def _mirrored(self) -> bool:
        jobs = self._jobs()
        for disk in self._disks:
            if f"move-{disk}" not in jobs:
                said = self._ended.get(f"move-{disk}", "its job has ended")
                raise HostError(f"disk {disk} could not be sent: {said}")
        return all(jobs[f"move-{disk}"]["ready"] for disk in self._disks)

    def _end_mirrors(self) -> None:
        """It stands still: what is left of each disk goes over, and the next host has the same."""
        self._mirrored()
        for disk in self._disks:
            name = f"move-{disk}"
            self._control.execute("block-job-cancel", {"device": name})
            if (ended := ended_job(self._control, name)) is None or ended["data"].get("error"):
                raise HostError(f"disk {disk} could not be sent to its end")
            self._control.execute("blockdev-del", {"node-name": f"to-{disk}"[:31]})

    def _look(self, seen: dict[str, Any] | None = None) -> None:
        """Wait a little; tell how far it is, and do as is wanted."""
        self._control.wait(self._notice, _LOOK_SECONDS)
        self._looks += 1
        if self._looks % _TELL_LOOKS:
            return
        wanted = self._watch(self._progress(seen))
        if wanted == "abort":
            raise MoveAbortedError("the live migration was aborted")
        if wanted == "force" and not self._stopped:
            self._stopped = True
            self._control.execute("stop")

    def _notice(self, event: Event) -> bool:
        if event["event"] in _ENDED:
            self._ended[event["data"]["device"]] = str(event["data"].get("error") or event["event"])
        return bool(event["event"] == "MIGRATION")

    def _progress(self, seen: dict[str, Any] | None) -> Progress:
        memory = (seen or {}).get("ram", {})
        jobs = self._jobs().values()
        length, done = sum(job["len"] for job in jobs), sum(job["offset"] for job in jobs)
        return Progress(
            memory_total=memory.get("total", 0), memory_processed=memory.get("transferred", 0),
            memory_remaining=memory.get("remaining", 0), disk_total=length, disk_processed=done,
            disk_remaining=length - done,
        )  # fmt: skip


def ended_job(control: Monitor, name: str, seconds: float = _CANCEL_SECONDS) -> Any:
    """Wait for the end of a job; None when it does not come."""
    return control.wait(lambda event: event["event"] in _ENDED and event["data"]["device"] == name, seconds)


def send(home: Home, streams: Sequence[str], connect: Connect, watch: Watch) -> None:
    """Send it; whatever goes wrong, it goes on here."""
    with Monitor(home.socket("control")) as control:
        runs = bool(control.execute("query-status")["running"])
        take_back(control)
        capabilities(control)
        try:
            Departure(control, streams, watch).go(connect)
        except HostError:
            take_back(control)
            if runs:
                control.execute("cont")
            raise


def take_back(control: Monitor) -> None:
    """End what this attempt, or one cut short, has begun."""
    if control.execute("query-migrate").get("status") in ("setup", "active", "pre-switchover", "device", "cancelling"):
        with contextlib.suppress(CommandError):
            control.execute("migrate_cancel")
        control.wait(
            lambda event: event["event"] == "MIGRATION" and event["data"]["status"] in ("cancelled", "failed"),
            _CANCEL_SECONDS,
        )
    for job in control.execute("query-block-jobs"):
        if job["device"].startswith("move-"):
            with contextlib.suppress(CommandError):
                control.execute("block-job-cancel", {"device": job["device"], "force": True})
                ended_job(control, job["device"])
    for node in control.execute("query-named-block-nodes", {"flat": True}):
        if str(node.get("node-name", "")).startswith("to-"):
            with contextlib.suppress(CommandError):
                control.execute("blockdev-del", {"node-name": node["node-name"]})


def gone(home: Home) -> bool:
    """Whether all of it has arrived at the next host, as far as it knows."""
    with Monitor(home.socket("control")) as control:
        return bool(control.execute("query-status")["status"] == "postmigrate")


def go_on(home: Home, *, runs: bool) -> None:
    """It stays."""
    with Monitor(home.socket("control")) as control:
        take_back(control)
        if runs and not control.execute("query-status")["running"]:
            control.execute("cont")
