"""What every driver of servers promises, the in-memory one included."""

from __future__ import annotations

import io
import os
import queue
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.dataplane.lab import new_id, new_mac
from tests.engine_fixture import wait_until
from tests.machine_bench import (
    Bench,
    EngineBench,
    MemoryBench,
    QemuBench,
    defined,
    greeted,
    greeting,
    observed,
    started,
)  # fmt: skip
from tests.machine_guest import boot_disk

from stackyard.host.containers.memory import MemoryEngine
from stackyard.host.errors import ConflictError, NotFoundError, SpecError
from stackyard.host.specs import MachineEvent, MachineImage, MachineNic, MachineRescue, MachineVolume

DOCKER = [pytest.mark.root, pytest.mark.docker]
MACHINES = ["memory", pytest.param("qemu", marks=pytest.mark.root)]
ALL = [
    *MACHINES, "memory-container", "memory-system", pytest.param("docker-container", marks=DOCKER),
    pytest.param("docker-system", marks=DOCKER),
]  # fmt: skip
containers_only = pytest.mark.parametrize("bench", ALL[2:], indirect=True)
machines_only = pytest.mark.parametrize("bench", MACHINES, indirect=True)


@pytest.fixture(params=ALL)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made: Bench
    if request.param == "memory":
        made = MemoryBench()
    elif request.param == "qemu":
        made = QemuBench()
    else:
        engine, _, kind = request.param.partition("-")
        daemon = request.getfixturevalue("docker_daemon") if engine == "docker" else None
        made = EngineBench(kind, MemoryEngine(run=greeting) if daemon is None else daemon.engine())
    try:
        yield made
    finally:
        made.close()


Make = Callable[..., str]


@pytest.fixture
def make(bench: Bench) -> Make:
    """Define a server and return its id."""

    def define(**fields: Any) -> str:
        return defined(bench, new_id(), **fields)

    return define


# ---------------------------------------------------------------------------------------------------------- images


def test_an_image_is_there_once_it_was_loaded(bench: Bench) -> None:
    other = msgspec.structs.replace(bench.image, id=new_id())
    assert bench.driver.has_image(bench.image)
    assert not bench.driver.has_image(other)
    bench.driver.load_image(other, bench.upload())
    bench.driver.load_image(other, bench.upload())
    assert bench.driver.has_image(other)


def test_a_server_needs_its_image(bench: Bench, make: Make) -> None:
    with pytest.raises((NotFoundError, SpecError), match="image"):
        make(image=msgspec.structs.replace(bench.image, id=new_id()))


# ------------------------------------------------------------------------------------------------------ life cycle


def test_a_server_has_a_place_for_its_wires(bench: Bench) -> None:
    found = bench.driver.place(new_id())
    assert (found.wire == "tap") == (found.netns == "")


def test_a_defined_server_does_not_run(bench: Bench, make: Make) -> None:
    machine_id = make()
    found = observed(bench.driver, machine_id)
    assert (found.id, found.state, found.pid) == (machine_id, "defined", 0)
    bench.driver.stop(machine_id, 0)
    assert observed(bench.driver, machine_id).state == "defined"
    assert [one.id for one in bench.driver.list()] == [machine_id]


def test_start_and_stop(bench: Bench, make: Make) -> None:
    machine_id = make()
    bench.driver.start(machine_id)
    bench.driver.start(machine_id)
    found = observed(bench.driver, machine_id)
    assert found.state == "running"
    assert found.pid > 0
    greeted(bench, machine_id)
    bench.driver.stop(machine_id, 20)
    bench.driver.stop(machine_id, 20)
    found = observed(bench.driver, machine_id)
    assert (found.state, found.pid) == ("stopped", 0)
    bench.driver.start(machine_id)
    assert observed(bench.driver, machine_id).state == "running"
    bench.driver.stop(machine_id, 0)
    assert observed(bench.driver, machine_id).state == "stopped"


@machines_only
def test_a_stop_at_once_ends_the_waiting_of_another(bench: Bench, make: Make) -> None:
    deaf = MachineImage(id=new_id(), disk_format="raw", container_format="bare")
    bench.driver.load_image(deaf, io.BytesIO(bytes(1 << 20)))  # nothing to boot: nobody listens to the power button
    machine_id = make(image=deaf)
    bench.driver.start(machine_id)
    waiting = threading.Thread(target=bench.driver.stop, args=(machine_id, 300))
    waiting.start()
    waiting.join(0.5)
    bench.driver.stop(machine_id, 0)
    waiting.join(20)
    assert not waiting.is_alive()
    assert observed(bench.driver, machine_id).state == "stopped"


def test_a_soft_reboot_brings_its_system_up_again(bench: Bench, make: Make) -> None:
    machine_id = started(bench, make())
    bench.driver.reboot(machine_id)
    greeted(bench, machine_id, 2)
    assert observed(bench.driver, machine_id).state == "running"


def test_pause_and_unpause(bench: Bench, make: Make) -> None:
    machine_id = started(bench, make())
    for _ in range(2):
        bench.driver.pause(machine_id)
        assert observed(bench.driver, machine_id).state == "paused"
    for _ in range(2):
        bench.driver.unpause(machine_id)
        assert observed(bench.driver, machine_id).state == "running"
    bench.driver.pause(machine_id)
    bench.driver.stop(machine_id, 20)
    assert observed(bench.driver, machine_id).state == "stopped"


@machines_only
def test_a_suspended_server_goes_on_where_it_was(bench: Bench, make: Make) -> None:
    machine_id = started(bench, make())
    for _ in range(2):
        bench.driver.suspend(machine_id)
        found = observed(bench.driver, machine_id)
        assert (found.state, found.pid) == ("suspended", 0)
    before = bench.greetings(machine_id)
    bench.driver.start(machine_id)
    assert observed(bench.driver, machine_id).state == "running"
    assert bench.greetings(machine_id) == before
    bench.driver.stop(machine_id, 20)
    assert observed(bench.driver, machine_id).state == "stopped"


@machines_only
def test_a_suspended_server_that_is_defined_anew_goes_on_as_it_was(bench: Bench, make: Make) -> None:
    machine_id = started(bench, make(config_drive={"a": b"x"}))
    bench.driver.suspend(machine_id)
    defined(bench, machine_id, config_drive={"a": b"y" * 5000}, memory=48)
    assert observed(bench.driver, machine_id).state == "suspended"
    bench.driver.start(machine_id)
    assert bench.greetings(machine_id) == 1
    bench.driver.stop(machine_id, 20)
    bench.driver.start(machine_id)
    greeted(bench, machine_id, 2)
    assert bench.driver.diagnostics(machine_id).memory == 48


@machines_only
def test_a_suspended_server_that_is_stopped_begins_anew(bench: Bench, make: Make) -> None:
    machine_id = started(bench, make())
    bench.driver.suspend(machine_id)
    bench.driver.stop(machine_id, 0)
    assert observed(bench.driver, machine_id).state == "stopped"
    bench.driver.start(machine_id)
    greeted(bench, machine_id, 2)


def test_a_removed_server_is_gone(bench: Bench, make: Make) -> None:
    machine_id = started(bench, make())
    bench.driver.remove(machine_id)
    bench.driver.remove(machine_id)
    assert bench.driver.inspect(machine_id) is None
    assert list(bench.driver.list()) == []


def test_what_runs_is_found_by_the_next_process(bench: Bench, make: Make) -> None:
    running, idle = started(bench, make()), make()
    pid = observed(bench.driver, running).pid
    bench.restart()
    assert observed(bench.driver, running).pid == pid
    assert observed(bench.driver, idle).state == "defined"
    bench.driver.stop(running, 20)
    assert observed(bench.driver, running).state == "stopped"


@machines_only
def test_what_is_suspended_is_found_by_the_next_process(bench: Bench, make: Make) -> None:
    machine_id = started(bench, make())
    bench.driver.suspend(machine_id)
    bench.restart()
    assert observed(bench.driver, machine_id).state == "suspended"
    bench.driver.start(machine_id)
    assert observed(bench.driver, machine_id).state == "running"


def test_purge_leaves_nothing(bench: Bench, make: Make) -> None:
    started(bench, make())
    bench.driver.purge()
    assert list(bench.driver.list()) == []
    assert not bench.driver.has_image(bench.image)


# -------------------------------------------------------------------------------------------------- disks, rescue


def test_a_root_disk_is_made_anew_once_it_was_removed(bench: Bench, make: Make) -> None:
    machine_id = started(bench, make())
    with pytest.raises(ConflictError):
        bench.driver.remove_root(machine_id)
    bench.driver.stop(machine_id, 0)
    bench.driver.remove_root(machine_id)
    bench.driver.remove_root(machine_id)
    defined(bench, machine_id)
    started(bench, machine_id)


def test_a_server_grows(bench: Bench, make: Make) -> None:
    machine_id = make(root_disk=1)
    defined(bench, machine_id, root_disk=2, memory=48, vcpus=2, ephemeral=(1,), swap=8)
    started(bench, machine_id)
    seen = bench.driver.diagnostics(machine_id)
    assert seen.memory == 48
    assert len(seen.cpu_nanoseconds) == 2


@machines_only
def test_a_rescued_server_says_so(bench: Bench, make: Make) -> None:
    machine_id = make()
    for plug in ({}, {"stable": True}, {"stable": True, "device": "cdrom", "bus": "ide"}, {"bus": "scsi"}):
        defined(bench, machine_id, rescue=msgspec.convert({"image": bench.image, **plug}, MachineRescue))
        bench.driver.start(machine_id)
        assert observed(bench.driver, machine_id).rescued
        bench.driver.stop(machine_id, 0)
    defined(bench, machine_id)
    started(bench, machine_id)
    assert not observed(bench.driver, machine_id).rescued


@machines_only
def test_a_config_drive_is_accepted(bench: Bench, make: Make) -> None:
    files = {"openstack/latest/meta_data.json": b"{}", "openstack/latest/user_data": b"\0" * 3000, "ec2/x-y.json": b""}
    started(bench, make(config_drive=files))


@pytest.mark.parametrize("state", ["defined", "running", "paused", "stopped"])
def test_a_snapshot_whatever_it_does(bench: Bench, make: Make, tmp_path: Path, state: str) -> None:
    machine_id = make()
    if state != "defined":
        started(bench, machine_id)
    act: dict[str, Callable[[], None]] = {
        "paused": lambda: bench.driver.pause(machine_id),
        "stopped": lambda: bench.driver.stop(machine_id, 0),
    }
    act.get(state, lambda: None)()
    for number in range(2):
        found = bench.driver.snapshot(machine_id, tmp_path / str(number))
        assert (found.path, found.container_format) == (str(tmp_path / str(number)), bench.image.container_format)
        assert (tmp_path / str(number)).stat().st_size > 0
    assert observed(bench.driver, machine_id).state == state
    image = MachineImage(id=new_id(), disk_format=found.disk_format, container_format=found.container_format)
    with Path(found.path).open("rb") as data:
        bench.driver.load_image(image, data)
    started(bench, make(image=image))


# -------------------------------------------------------------------------------------------------------- plugging


def test_cards_come_and_go(bench: Bench, make: Make) -> None:
    first, second = bench.nic(), bench.nic()
    machine_id = started(bench, make(nics=(first,)))
    assert observed(bench.driver, machine_id).ports == (first.port_id,)
    for _ in range(2):
        bench.driver.attach_port(machine_id, second)
        assert observed(bench.driver, machine_id).ports == (first.port_id, second.port_id)
    for _ in range(2):
        bench.driver.detach_port(machine_id, first.port_id)
        assert observed(bench.driver, machine_id).ports == (second.port_id,)
    bench.driver.attach_port(machine_id, first)
    assert observed(bench.driver, machine_id).ports == (second.port_id, first.port_id)


@machines_only
def test_volumes_come_and_go(bench: Bench, make: Make, tmp_path: Path) -> None:
    volumes = []
    for device in ("vdb", "vdc"):
        path = tmp_path / device
        path.write_bytes(bytes(1 << 20))
        volumes.append(MachineVolume(id=new_id(), path=str(path), device=device))
    machine_id = started(bench, make(volumes=(volumes[0],)))
    for _ in range(2):
        bench.driver.attach_volume(machine_id, volumes[1])
        assert observed(bench.driver, machine_id).volumes == (volumes[0].id, volumes[1].id)
    for _ in range(2):
        bench.driver.detach_volume(machine_id, volumes[0].id)
        assert observed(bench.driver, machine_id).volumes == (volumes[1].id,)


@machines_only
def test_a_volume_grows(bench: Bench, make: Make, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(1 << 20))
    volume = MachineVolume(id=new_id(), path=str(path), device="vdb")
    machine_id = started(bench, make(volumes=(volume,)))
    os.truncate(path, 3 << 20)
    for _ in range(2):
        bench.driver.extend_volume(machine_id, volume.id)
    with pytest.raises(NotFoundError):
        bench.driver.extend_volume(machine_id, new_id())


@machines_only
def test_several_machines_share_a_volume(bench: Bench, make: Make, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    volume = MachineVolume(id=new_id(), path=str(tmp_path / "disk"), device="vdb", shared=True)
    first, second = started(bench, make(volumes=(volume,))), started(bench, make())
    bench.driver.attach_volume(second, volume)
    assert [observed(bench.driver, one).volumes for one in (first, second)] == [(volume.id,)] * 2


@machines_only
def test_a_machine_starts_from_a_volume(bench: Bench, make: Make, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(boot_disk())
    volume = MachineVolume(id=new_id(), path=str(path), device="vda", boot=True)
    machine_id = make(image=None, volumes=(volume,))
    bench.driver.start(machine_id)
    greeted(bench, machine_id)
    bench.driver.remove(machine_id)
    assert path.read_bytes()[:512] == boot_disk()[:512]


@containers_only
def test_a_container_has_volumes_where_they_were_wanted(bench: Bench, make: Make, tmp_path: Path) -> None:
    volumes = []
    for name in ("first", "later"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "told").write_text(name)
        volumes.append(MachineVolume(id=new_id(), path=str(tmp_path / name), device=name, target=f"/mnt/{name}"))
    machine_id = started(bench, make(volumes=(volumes[0],)))
    for _ in range(2):
        bench.driver.attach_volume(machine_id, volumes[1])
    for _ in range(2):
        assert observed(bench.driver, machine_id).volumes == (volumes[0].id, volumes[1].id)
        assert inside(bench, machine_id, "/mnt/first/told") in ("first", None)
        assert inside(bench, machine_id, "/mnt/later/told") in ("later", None)
        bench.driver.stop(machine_id, 0)
        defined(bench, machine_id, volumes=tuple(volumes))
        bench.driver.start(machine_id)
    for _ in range(2):
        bench.driver.detach_volume(machine_id, volumes[0].id)
        bench.driver.detach_volume(machine_id, volumes[1].id)
    assert observed(bench.driver, machine_id).volumes == ()
    assert not inside(bench, machine_id, "/mnt/first/told")
    assert not inside(bench, machine_id, "/mnt/later/told")
    bench.driver.stop(machine_id, 0)
    defined(bench, machine_id)
    bench.driver.start(machine_id)
    assert not inside(bench, machine_id, "/mnt/first/told")
    bench.driver.remove(machine_id)
    assert (tmp_path / "first" / "told").read_text() == "first"


@containers_only
def test_a_volume_needs_a_directory_in_a_container(bench: Bench, make: Make, tmp_path: Path) -> None:
    volume = MachineVolume(id=new_id(), path=str(tmp_path), device="vdb")
    with pytest.raises(SpecError):
        make(volumes=(volume,))
    machine_id = started(bench, make())
    with pytest.raises(SpecError):
        bench.driver.attach_volume(machine_id, volume)


def inside(bench: Bench, machine_id: str, path: str) -> str | None:
    """A file's content as a container sees it; empty when it is not there, None for a container that is none."""
    if isinstance(getattr(bench, "engine", None), MemoryEngine):
        return None
    try:
        return Path(f"/proc/{observed(bench.driver, machine_id).pid}/root{path}").read_text()
    except FileNotFoundError:
        return ""


@machines_only
def test_what_was_plugged_in_is_there_after_a_suspension(bench: Bench, make: Make, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    volume = MachineVolume(id=new_id(), path=str(tmp_path / "disk"), device="vdb")
    machine_id = started(bench, make())
    bench.driver.attach_volume(machine_id, volume)
    bench.driver.suspend(machine_id)
    assert observed(bench.driver, machine_id).volumes == (volume.id,)
    bench.driver.start(machine_id)
    found = observed(bench.driver, machine_id)
    assert (found.state, found.volumes) == ("running", (volume.id,))
    bench.driver.detach_volume(machine_id, volume.id)
    assert observed(bench.driver, machine_id).volumes == ()


def test_the_cards_and_volumes_of_a_stopped_server_are_its_spec_s(bench: Bench, make: Make) -> None:
    nic = bench.nic()
    machine_id = make()
    assert observed(bench.driver, machine_id).ports == ()
    defined(bench, machine_id, nics=(nic,))
    assert observed(bench.driver, machine_id).ports == (nic.port_id,)


# -------------------------------------------------------------------------------------------------- looking at it


def test_console_output_is_cut(bench: Bench, make: Make) -> None:
    machine_id = started(bench, make())
    assert bench.greetings(machine_id) == 1
    bench.driver.reboot(machine_id)
    greeted(bench, machine_id, 2)
    wait_until(lambda: bench.driver.console_output(machine_id).endswith("\n"), "the line ends")
    assert len(bench.driver.console_output(machine_id, 1).splitlines()) == 1
    assert bench.driver.console_output(machine_id, 0) == ""
    bench.driver.stop(machine_id, 0)
    assert bench.greetings(machine_id) == 2


@machines_only
def test_consoles_are_those_of_a_running_server(bench: Bench, make: Make) -> None:
    machine_id = make()
    with pytest.raises(ConflictError):
        bench.driver.console(machine_id, "vnc")
    bench.driver.start(machine_id)
    for kind in ("vnc", "serial"):
        found = bench.driver.console(machine_id, kind)
        assert found.kind == kind
        assert found.path.startswith("/")
    with pytest.raises(SpecError):
        bench.driver.console(machine_id, "spice")


def test_diagnostics_are_of_a_running_server(bench: Bench, make: Make) -> None:
    machine_id = make(vcpus=2)
    with pytest.raises(ConflictError):
        bench.driver.diagnostics(machine_id)
    started(bench, machine_id)
    seen = bench.driver.diagnostics(machine_id)
    assert (seen.state, seen.memory, len(seen.cpu_nanoseconds)) == ("running", 32, 2)
    bench.driver.pause(machine_id)
    assert bench.driver.diagnostics(machine_id).state == "paused"


@machines_only
def test_a_kernel_can_be_made_to_crash(bench: Bench, make: Make) -> None:
    machine_id = started(bench, make())
    bench.driver.crash_dump(machine_id)
    assert observed(bench.driver, machine_id).state == "running"


# ---------------------------------------------------------------------------------------------------------- events


@pytest.fixture
def events(bench: Bench) -> Iterator[Callable[[], MachineEvent]]:
    """The next event."""
    seen: queue.Queue[MachineEvent] = queue.Queue()

    def watch() -> None:
        for event in bench.driver.events():
            seen.put(event)

    thread = threading.Thread(target=watch)
    thread.start()
    yield lambda: seen.get(timeout=20)
    bench.driver.close()
    thread.join(20)
    assert not thread.is_alive()


def test_a_system_that_ends_is_noticed(bench: Bench, make: Make, events: Callable[[], MachineEvent]) -> None:
    machine_id = started(bench, make())
    bench.power_off(machine_id)
    assert events() == MachineEvent(machine_id=machine_id, action="stopped")
    assert observed(bench.driver, machine_id).state == "stopped"
    bench.driver.start(machine_id)
    greeted(bench, machine_id, 2)


def test_a_crash_is_noticed(bench: Bench, make: Make, events: Callable[[], MachineEvent]) -> None:
    machine_id = started(bench, make())
    bench.break_down(machine_id)
    assert events() == MachineEvent(machine_id=machine_id, action="crashed")
    found = observed(bench.driver, machine_id)
    assert (found.state, found.pid) == ("crashed", 0)
    assert found.error
    bench.driver.start(machine_id)
    found = observed(bench.driver, machine_id)
    assert (found.state, found.error) == ("running", "")


def test_what_it_is_told_to_do_is_no_event(bench: Bench, make: Make, events: Callable[[], MachineEvent]) -> None:
    quiet, loud = started(bench, make()), started(bench, make())
    bench.driver.reboot(quiet)
    if "suspend" in bench.driver.abilities:
        bench.driver.suspend(quiet)
        bench.driver.start(quiet)
    bench.driver.stop(quiet, 20)
    bench.driver.remove(quiet)
    bench.break_down(loud)
    assert events().machine_id == loud


def test_an_end_while_nobody_looked_is_found(bench: Bench, make: Make) -> None:
    off, broken = started(bench, make()), started(bench, make())
    bench.power_off(off)
    bench.break_down(broken)
    bench.restart()
    wait_until(lambda: observed(bench.driver, off).state == "stopped", "it is off")
    wait_until(lambda: observed(bench.driver, broken).state == "crashed", "it is broken")


# ------------------------------------------------------------------------------------------------------- refusals

CALLS: dict[str, Callable[[Bench, str, Path], object]] = {
    "start": lambda bench, one, path: bench.driver.start(one),
    "stop": lambda bench, one, path: bench.driver.stop(one, 0),
    "reboot": lambda bench, one, path: bench.driver.reboot(one),
    "pause": lambda bench, one, path: bench.driver.pause(one),
    "unpause": lambda bench, one, path: bench.driver.unpause(one),
    "suspend": lambda bench, one, path: bench.driver.suspend(one),
    "attach_port": lambda bench, one, path: bench.driver.attach_port(one, MachineNic(port_id=new_id(), mac=new_mac())),
    "detach_port": lambda bench, one, path: bench.driver.detach_port(one, new_id()),
    "attach_volume": lambda bench, one, path: bench.driver.attach_volume(
        one, MachineVolume(id=new_id(), path=str(path), device="vdb")
    ),
    "detach_volume": lambda bench, one, path: bench.driver.detach_volume(one, new_id()),
    "extend_volume": lambda bench, one, path: bench.driver.extend_volume(one, new_id()),
    "snapshot": lambda bench, one, path: bench.driver.snapshot(one, path),
    "set_password": lambda bench, one, path: bench.driver.set_password(one, "root", "x"),
    "crash_dump": lambda bench, one, path: bench.driver.crash_dump(one),
    "console_output": lambda bench, one, path: bench.driver.console_output(one),
    "console": lambda bench, one, path: bench.driver.console(one, "vnc"),
    "diagnostics": lambda bench, one, path: bench.driver.diagnostics(one),
}
NEEDS_RUNNING = sorted(CALLS.keys() - {"start", "stop", "snapshot", "console_output"})


@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_there_is_not_found(bench: Bench, tmp_path: Path, call: str) -> None:
    with pytest.raises(NotFoundError):
        CALLS[call](bench, str(uuid.uuid4()), tmp_path / "x")
    assert bench.driver.inspect(str(uuid.uuid4())) is None


@pytest.mark.parametrize("call", NEEDS_RUNNING)
def test_a_server_that_does_not_run_refuses(bench: Bench, make: Make, tmp_path: Path, call: str) -> None:
    with pytest.raises(ConflictError):
        CALLS[call](bench, make(), tmp_path / "x")


ABILITIES: dict[str, Callable[[Bench, str, Path], object]] = {
    "suspend": CALLS["suspend"],
    "vnc": CALLS["console"],
    "serial": lambda bench, one, path: bench.driver.console(one, "serial"),
    "password": CALLS["set_password"],
    "crash_dump": CALLS["crash_dump"],
    "rescue": lambda bench, one, path: defined(bench, one, rescue=MachineRescue(image=bench.image)),
}


@pytest.mark.parametrize("bench", ["memory-container", "memory-system"], indirect=True)
@pytest.mark.parametrize("ability", ABILITIES)
def test_what_a_driver_is_not_able_to_do_it_refuses(bench: Bench, make: Make, tmp_path: Path, ability: str) -> None:
    assert ability not in bench.driver.abilities
    machine_id = started(bench, make())
    with pytest.raises(SpecError):
        ABILITIES[ability](bench, machine_id, tmp_path / "x")
