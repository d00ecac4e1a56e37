"""Starting a machine, ending it, and what became of it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from stackyard.host.errors import HostError, SpecError
from stackyard.host.machines.qemu import cgroups, disks, firmware, monitor, process, throttle
from stackyard.host.machines.qemu import command as command_line
from stackyard.host.machines.qemu.emulator import Emulator
from stackyard.host.machines.qemu.handing import Handing
from stackyard.host.machines.qemu.hardware import Hardware
from stackyard.host.machines.qemu.home import Home, Record
from stackyard.host.machines.qemu.images import ImageStore
from stackyard.host.machines.qemu.monitor import CommandError, Monitor, MonitorGoneError
from stackyard.host.machines.qemu.process import Process
from stackyard.host.machines.qemu.topology import topology
from stackyard.host.network import NetworkDriver
from stackyard.host.network.taps import open_tap
from stackyard.host.specs import MachineNic, MachineSpec

_START_SECONDS = 60.0
_QUIT_SECONDS = 10.0
_AGAIN_SECONDS = 10.0
_SUSPEND_SECONDS = 600.0
_RESUME_SECONDS = 600.0
_NEVER = ("unsupported machine type", "could not load kernel", "not a valid device model")
"""What QEMU says of what it will never do."""


class Life:
    """What it takes to start machines, and to end them in order."""

    def __init__(
        self, emulator: Emulator, store: ImageStore, network: NetworkDriver, soft_reboot_seconds: float
    ) -> None:
        self._emulator = emulator
        self._store = store
        self._network = network
        self._soft_reboot_seconds = soft_reboot_seconds
        self._cgroups = cgroups.find()

    def open_card(self, nic: MachineNic) -> int:
        """The tap of a card's port."""
        return open_tap(self._network.tap(nic.port_id), offload=True)

    def start(self, home: Home, record: Record) -> Process:
        """Start what was defined, or resume what was suspended. Raises HostError with QEMU's own words."""
        resumed = record.state == "suspended" and home.memory.exists()
        spec = home.live() if resumed else home.spec()
        self.check(spec)
        if record.dirty and not resumed:
            record = disks.make(self._emulator, self._store, home, spec, record)
        with Handing() as handing:
            commander = command_line.Commander(self._emulator, self._store, home, handing)
            words, slots, hardware = commander.command(spec, record, self.open_card, resumed=resumed)
            pid = process.spawn(
                words, uid=record.uid, groups=self._emulator.groups, log=home.process_log,
                descriptors=handing.descriptors,
            )  # fmt: skip
        started, before = process.identify(pid), record.state
        home.keep_live(spec)
        record = home.keep(
            msgspec.structs.replace(
                record, state="running", error="", pid=pid, started=started.started, boot=started.boot,
                began=time.time(), slots=slots.taken, dirty=record.dirty and resumed,
                machine_type=record.machine_type if resumed else hardware.machine_type,
                accelerator=record.accelerator if resumed else self._emulator.accelerator,
            )
        )  # fmt: skip
        try:
            self._confine(home, spec, pid)
            self._greet(home, spec, resumed=resumed)
        except HostError as error:
            process.kill(started)
            self.release(home)
            said = last_words(home) or str(error)
            home.keep(msgspec.structs.replace(record, state=before, error=said, pid=0))
            kind = SpecError if any(words in said for words in _NEVER) else HostError
            raise kind(f"QEMU did not start: {said}") from error
        if resumed:
            home.memory.unlink(missing_ok=True)
        return started

    def wait_for(self, home: Home, spec: MachineSpec, record: Record) -> Process:
        """Start what waits for a machine to arrive from another host, of the same shape as there."""
        with Handing() as handing:
            commander = command_line.Commander(self._emulator, self._store, home, handing)
            words, _, _ = commander.command(spec, record, self.open_card, arriving=True)
            pid = process.spawn(
                words, uid=record.uid, groups=self._emulator.groups, log=home.process_log,
                descriptors=handing.descriptors,
            )  # fmt: skip
        started = process.identify(pid)
        home.keep(
            msgspec.structs.replace(
                record, pid=pid, started=started.started, boot=started.boot, began=time.time(), dirty=True
            )
        )
        try:
            self._confine(home, spec, pid)
            self._greet(home, spec, resumed=False)
        except HostError as error:
            process.kill(started)
            raise HostError(f"QEMU did not start: {last_words(home) or error}") from error
        return started

    def check(self, spec: MachineSpec) -> None:
        """Refuse hardware that there is not, and limits that nobody could hold. Raises SpecError."""
        if Hardware.of(spec.properties).uefi:
            firmware.needed()
        topology(spec.vcpus, spec.properties)
        cgroups.limits(spec)
        throttle.limits(spec)
        if self._cgroups is None and cgroups.asks(spec):
            raise SpecError("quota:cpu_* needs control groups, and this host lets us make none (see stackyard doctor)")

    def _confine(self, home: Home, spec: MachineSpec, pid: int) -> None:
        if self._cgroups is not None:
            self._cgroups.confine(home, spec, pid)

    def release(self, home: Home) -> None:
        """Forget the limits of a machine that has ended."""
        if self._cgroups is not None:
            self._cgroups.release(home)

    def release_all(self) -> None:
        """Forget that there were machines."""
        if self._cgroups is not None:
            self._cgroups.release_all()

    def _greet(self, home: Home, spec: MachineSpec, *, resumed: bool) -> None:
        """Wait until it serves, open its screen to us, and limit its disks."""
        with Monitor(home.socket("control"), _START_SECONDS) as control:
            screen = monitor.listen(home.socket("vnc"))
            try:
                control.execute("getfd", {"fdname": "vnc"}, (screen.fileno(),))
                address = {"type": "fd", "str": "vnc"}
                control.execute("display-update", {"type": "vnc", "addresses": [address]})
            finally:
                screen.close()
            throttle.apply(control, spec)
            if resumed:
                _wait_resumed(control)

    def stop(self, home: Home, record: Record, timeout: float) -> None:
        """Press the power button, again now and then; after `timeout` seconds pull the plug."""
        running_now = running(record)
        if running_now is not None:
            with contextlib.suppress(HostError), Monitor(home.socket("control")) as control:
                if timeout > 0 and control.execute("query-status")["running"]:
                    _power_down(control, timeout)
                control.execute("quit")
            if not process.wait_end(running_now, _QUIT_SECONDS):
                process.kill(running_now)
        self.release(home)
        home.memory.unlink(missing_ok=True)
        if record.state != "defined":
            home.change(state="stopped", error="", pid=0)

    def reboot(self, home: Home) -> None:
        """Off by the button and on again; reset when that does not help."""
        with Monitor(home.socket("control")) as control:
            if control.execute("query-status")["running"]:
                _power_down(control, self._soft_reboot_seconds)
            control.execute("system_reset")
            control.execute("cont")

    def suspend(self, home: Home) -> None:
        """Write its memory to a file and end it. A failure leaves it running."""
        record = home.record()
        target = home.path / ".memory"
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with Monitor(home.socket("control")) as control:
                exact = exact_machine(control, record.machine_type)
                control.execute("stop")
                control.execute("migrate-set-parameters", {"max-bandwidth": 1 << 40})
                control.execute("getfd", {"fdname": "memory"}, (descriptor,))
                control.execute("migrate", {"uri": "fd:memory"})
                _wait_migrated(control)
                os.fsync(descriptor)
                target.replace(home.memory)
                home.change(state="suspended", machine_type=exact)
                with contextlib.suppress(MonitorGoneError):
                    control.execute("quit")
        finally:
            os.close(descriptor)
            target.unlink(missing_ok=True)
        ending = Process(record.pid, record.started, record.boot)
        if not process.wait_end(ending, _QUIT_SECONDS):
            process.kill(ending)
        self.release(home)
        home.change(pid=0)


def running(record: Record) -> Process | None:
    """Its process, when there is one."""
    found = Process(record.pid, record.started, record.boot)
    return found if process.runs(found) else None


def command(home: Home, name: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """One command to a running machine."""
    with Monitor(home.socket("control")) as control:
        return control.execute(name, arguments)


def settle(home: Home) -> Record:
    """Write down the end of a machine that ended by itself, and end the process of one whose system is off."""
    record = home.record()
    if record.state != "running":
        return record
    alive = running(record)
    if alive is None:
        said = last_words(home)
        return home.change(state="crashed", error=said or "QEMU ended by itself", pid=0)
    status = ""
    try:
        with Monitor(home.socket("look")) as look:
            status = look.execute("query-status")["status"]
            if status not in ("shutdown", "guest-panicked"):
                return record
            look.execute("quit")
    except MonitorGoneError:
        # Told to quit, it may be gone before it has answered.
        if status not in ("shutdown", "guest-panicked"):
            if process.runs(alive):
                return record
            return home.change(state="crashed", error=last_words(home) or "QEMU ended by itself", pid=0)
    if not process.wait_end(alive, _QUIT_SECONDS):
        process.kill(alive)
    if status == "shutdown":
        return home.change(state="stopped", error="", pid=0)
    return home.change(state="crashed", error="the system inside panicked", pid=0)


def last_words(home: Home) -> str:
    """What QEMU printed at its end."""
    try:
        text = home.process_log.read_bytes()[-2000:].decode(errors="replace")
    except OSError:
        return ""
    lines = [line.partition(": ")[2] or line for line in text.splitlines() if "warning:" not in line]
    return " ".join(lines)[-300:].strip()


def _power_down(control: Monitor, seconds: float) -> bool:
    """Press the button until the system is off; False when it does not go off in time."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        control.execute("system_powerdown")
        if control.wait(lambda event: event["event"] == "SHUTDOWN", min(left, _AGAIN_SECONDS)) is not None:
            return True
    return False


def exact_machine(control: Monitor, chosen: str) -> str:
    """The machine type by its full name: a newer QEMU means another machine by `pc`."""
    for machine in control.execute("query-machines"):
        if chosen in (machine.get("alias"), machine["name"]):
            return str(machine["name"])
    return chosen


def _wait_migrated(control: Monitor) -> None:
    end = time.monotonic() + _SUSPEND_SECONDS
    while True:
        seen = control.execute("query-migrate")
        status = seen.get("status")
        if status == "completed":
            return
        if status in ("failed", "cancelled") or time.monotonic() > end:
            with contextlib.suppress(CommandError):
                control.execute("migrate_cancel")
            control.execute("cont")
            raise HostError(f"its memory could not be written: {seen.get('error-desc', status)}")
        control.wait(lambda event: event["event"] == "MIGRATION", 0.05)


def _wait_resumed(control: Monitor) -> None:
    end = time.monotonic() + _RESUME_SECONDS
    while control.execute("query-status")["status"] == "inmigrate":
        if time.monotonic() > end:
            raise HostError("its memory could not be read in time")
        control.wait(lambda event: event["event"] == "RESUME", 0.05)
    control.execute("cont")
