"""What drivers promise of servers that move between two hosts, stopped or running."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.contract.test_machine_driver import DOCKER
from tests.dataplane.lab import new_id
from tests.engine_fixture import wait_until
from tests.machine_bench import (
    Bench,
    EngineBench,
    MemoryBench,
    QemuBench,
    defined,
    greeting,
    observed,
    started,
)

from stackyard.host.containers.memory import MemoryEngine
from stackyard.host.errors import ConflictError, HostError, NotFoundError, SpecError
from stackyard.host.machines.moving import LiveMoving, MoveAbortedError, Moving, Order, Progress, live_mover, mover
from stackyard.host.specs import MachineSpec

ALL = [
    "memory", pytest.param("qemu", marks=pytest.mark.root), "memory-container", "memory-system",
    pytest.param("docker-container", marks=DOCKER), pytest.param("docker-system", marks=DOCKER),
]  # fmt: skip
live_only = pytest.mark.parametrize("pair", ["memory", pytest.param("qemu", marks=pytest.mark.root)], indirect=True)


@dataclass
class Pair:
    """Two hosts with the same image."""

    one: Bench
    two: Bench

    @property
    def source(self) -> Moving:
        return mover(self.one.driver)

    @property
    def target(self) -> Moving:
        return mover(self.two.driver)

    @property
    def live_source(self) -> LiveMoving:
        return live_mover(self.one.driver)

    @property
    def live_target(self) -> LiveMoving:
        return live_mover(self.two.driver)

    def spec(self, machine_id: str, **fields: Any) -> MachineSpec:
        given = {"id": machine_id, "name": "instance-00000001", "kind": "machine", "image": self.one.image}
        return MachineSpec(**{**given, "memory": 32, "vcpus": 1, **self.one.fields, **fields})

    def carry(self, machine_id: str, **fields: Any) -> None:
        """What the hosts do together with a stopped server."""
        parcel = self.source.pack(machine_id)
        for part in parcel.parts:
            with self.source.open_part(machine_id, part.name) as data:
                self.target.arriving(machine_id, part.name).write_bytes(data.read())
        spec = self.spec(machine_id, **fields)
        self.target.unpack(spec, parcel)
        self.two.driver.define(spec)


def benches(which: str, request: pytest.FixtureRequest) -> tuple[Bench, Bench]:
    if which == "memory":
        return MemoryBench(), MemoryBench()
    if which == "qemu":
        return QemuBench(), QemuBench()
    engine, _, kind = which.partition("-")
    if engine == "memory":
        return EngineBench(kind, MemoryEngine(run=greeting)), EngineBench(kind, MemoryEngine(run=greeting))
    daemon = request.getfixturevalue("docker_daemon").engine()
    return EngineBench(kind, daemon), EngineBench(kind, daemon, "other")


@pytest.fixture(params=ALL)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    one, two = benches(request.param, request)
    try:
        two.driver.load_image(one.image, two.upload())
        yield Pair(one, two)
    finally:
        one.close()
        two.close()


# --------------------------------------------------------------------------------------------------------- stopped


def test_a_stopped_server_goes_on_at_the_other_host(pair: Pair) -> None:
    machine_id = started(pair.one, defined(pair.one, new_id()))
    with pytest.raises(ConflictError):
        pair.source.pack(machine_id)
    pair.one.driver.stop(machine_id, 0)
    pair.carry(machine_id)
    assert observed(pair.two.driver, machine_id).state in ("stopped", "defined")
    before = pair.two.greetings(machine_id)
    pair.two.driver.start(machine_id)
    wait_until(lambda: pair.two.greetings(machine_id) > before, "it comes up at the other host")
    pair.one.driver.remove(machine_id)
    assert observed(pair.two.driver, machine_id).state == "running"
    pair.two.driver.remove(machine_id)
    assert pair.two.driver.inspect(machine_id) is None


def test_a_server_that_was_packed_may_go_on_where_it_was(pair: Pair) -> None:
    machine_id = started(pair.one, defined(pair.one, new_id()))
    pair.one.driver.stop(machine_id, 0)
    pair.carry(machine_id)
    pair.two.driver.remove(machine_id)
    pair.one.driver.start(machine_id)
    assert observed(pair.one.driver, machine_id).state == "running"
    assert pair.two.driver.inspect(machine_id) is None


def test_every_step_may_be_done_again(pair: Pair) -> None:
    machine_id = defined(pair.one, new_id())
    pair.carry(machine_id)
    parcel = pair.source.pack(machine_id)
    assert pair.source.pack(machine_id) == parcel
    pair.target.unpack(pair.spec(machine_id), parcel)
    pair.two.driver.define(pair.spec(machine_id))
    pair.two.driver.start(machine_id)
    assert observed(pair.two.driver, machine_id).state == "running"


def test_what_has_not_arrived_whole_is_refused(pair: Pair) -> None:
    machine_id = started(pair.one, defined(pair.one, new_id()))
    pair.one.driver.stop(machine_id, 0)
    parcel = pair.source.pack(machine_id)
    with pytest.raises(HostError, match="arrived"):
        pair.target.unpack(pair.spec(machine_id), parcel)
    pair.target.arriving(machine_id, parcel.parts[0].name).write_bytes(b"x")
    with pytest.raises(HostError, match="arrived"):
        pair.target.unpack(pair.spec(machine_id), parcel)
    assert pair.two.driver.inspect(machine_id) is None


@pytest.mark.parametrize("name", ["../record.json", "record.json", "/etc/shadow", "", "spec.json"])
def test_a_part_is_one_of_those_and_nothing_else(pair: Pair, name: str) -> None:
    machine_id = defined(pair.one, new_id())
    with pytest.raises(NotFoundError):
        pair.source.open_part(machine_id, name)
    with pytest.raises(HostError):
        pair.target.arriving(machine_id, name)


# --------------------------------------------------------------------------------------------------------- running


def join(outer: socket.socket, inner: socket.socket) -> None:
    """Carry bytes both ways, until either side ends."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with source.makefile("rb", buffering=0) as data, target.makefile("wb", buffering=0) as to:
            try:
                shutil.copyfileobj(data, to)
            except OSError:
                return
            finally:
                for one in (source, target):
                    try:
                        one.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        continue

    for ends in ((outer, inner), (inner, outer)):
        threading.Thread(target=copy, args=ends, daemon=True).start()


def go(pair: Pair, machine_id: str, order: Order = "", **fields: Any) -> list[Progress]:
    told: list[Progress] = []

    def watch(progress: Progress) -> Order:
        told.append(progress)
        return order

    def connect(stream: str) -> socket.socket:
        ours, its = socket.socketpair()
        join(its, pair.live_target.receive(machine_id, stream))
        return ours

    streams = pair.live_target.expect(pair.spec(machine_id, **fields), pair.live_source.describe(machine_id))
    pair.live_source.send(machine_id, streams, connect, watch)
    return told


@live_only
def test_a_running_server_goes_over_and_goes_on(pair: Pair) -> None:
    machine_id = started(pair.one, defined(pair.one, new_id(), root_disk=1, ephemeral=(1,), swap=8))
    before = pair.one.greetings(machine_id)
    assert not pair.live_source.sent(machine_id)
    go(pair, machine_id)
    assert pair.live_source.sent(machine_id)
    assert pair.live_target.arrived(machine_id)
    assert observed(pair.one.driver, machine_id).state == "paused"
    assert observed(pair.two.driver, machine_id).state == "paused"
    pair.live_target.land(machine_id)
    pair.live_target.land(machine_id)
    assert observed(pair.two.driver, machine_id).state == "running"
    pair.one.driver.remove(machine_id)
    pair.two.driver.reboot(machine_id)
    wait_until(lambda: pair.two.greetings(machine_id) >= 1, "it is the same system, and heeds its button")
    assert before == 1
    pair.two.driver.stop(machine_id, 20)
    pair.two.driver.define(pair.spec(machine_id, root_disk=1, ephemeral=(1,), swap=8))
    pair.two.driver.start(machine_id)
    assert observed(pair.two.driver, machine_id).state == "running"


@live_only
def test_what_it_wrote_to_its_disk_goes_with_it(pair: Pair, tmp_path: Path) -> None:
    machine_id = started(pair.one, defined(pair.one, new_id()))
    if isinstance(pair.one, QemuBench):
        say(pair.one, machine_id, b"w", b"!")
    go(pair, machine_id)
    pair.live_target.land(machine_id)
    pair.two.driver.stop(machine_id, 0)
    target = Path(pair.two.driver.snapshot(machine_id, tmp_path / "disk").path)
    assert target.stat().st_size > 0
    if isinstance(pair.one, QemuBench):
        words = ["qemu-img", "convert", "-O", "raw", str(target), str(tmp_path / "raw")]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
        assert (tmp_path / "raw").read_bytes()[512:1024] == b"W" * 512


def say(bench: QemuBench, machine_id: str, told: bytes, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as serial:
        serial.settimeout(20)
        serial.connect(bench.driver.console(machine_id, "serial").path)
        serial.sendall(told)
        assert serial.recv(1) == answer


@live_only
def test_a_paused_server_stays_paused(pair: Pair) -> None:
    machine_id = started(pair.one, defined(pair.one, new_id()))
    pair.one.driver.pause(machine_id)
    go(pair, machine_id)
    pair.live_target.land(machine_id)
    assert observed(pair.two.driver, machine_id).state == "paused"
    pair.two.driver.unpause(machine_id)
    assert observed(pair.two.driver, machine_id).state == "running"


@live_only
def test_a_server_with_cards_goes_over_with_them(pair: Pair) -> None:
    cards = pair.one.nic(), pair.one.nic()
    machine_id = started(pair.one, defined(pair.one, new_id(), nics=cards[:1]))
    pair.one.driver.attach_port(machine_id, cards[1])
    if isinstance(pair.two, QemuBench):
        assert isinstance(pair.one, QemuBench)
        pair.two._lab = pair.one._lab  # one host stands for both: a tap has one reader at a time
        for nic in cards:
            pair.one.unwire(nic)
        pair.two._lab = None
        pair.two.nic()
        for nic in cards:
            rewire(pair.two, nic.port_id, nic.mac)
    go(pair, machine_id, nics=cards)
    pair.live_target.land(machine_id)
    assert observed(pair.two.driver, machine_id).state == "running"
    assert set(observed(pair.two.driver, machine_id).ports) == {nic.port_id for nic in cards}
    pair.two.driver.detach_port(machine_id, cards[1].port_id)
    assert observed(pair.two.driver, machine_id).ports == (cards[0].port_id,)


def rewire(bench: QemuBench, port_id: str, mac: str) -> None:
    from stackyard.host.specs import PortSpec

    port = PortSpec(id=port_id, network_id=bench._network.id, mac=mac, kind="tap", security_groups=(bench._group.id,))
    bench.lab.driver.apply_port(port)


@live_only
def test_one_that_is_told_to_stay_goes_on(pair: Pair) -> None:
    machine_id = started(pair.one, defined(pair.one, new_id()))
    if isinstance(pair.one, MemoryBench):
        pair.one.twin.hold.clear()
    try:
        with pytest.raises(MoveAbortedError):
            go_slowly(pair, machine_id, "abort")
    finally:
        if isinstance(pair.one, MemoryBench):
            pair.one.twin.hold.set()
    assert observed(pair.one.driver, machine_id).state == "running"
    assert not pair.live_source.sent(machine_id)
    go(pair, machine_id)
    pair.live_target.land(machine_id)
    assert observed(pair.two.driver, machine_id).state == "running"


def go_slowly(pair: Pair, machine_id: str, order: Order) -> None:
    """Streams that take nothing, so that there is time for an order."""
    held: list[socket.socket] = []

    def connect(stream: str) -> socket.socket:
        ours, its = socket.socketpair()
        if stream == "memory":
            held.extend((its, pair.live_target.receive(machine_id, stream)))
        else:
            join(its, pair.live_target.receive(machine_id, stream))
        return ours

    streams = pair.live_target.expect(pair.spec(machine_id), pair.live_source.describe(machine_id))
    try:
        pair.live_source.send(machine_id, streams, connect, lambda _progress: order)
    finally:
        for one in held:
            one.close()


@live_only
def test_one_whose_way_breaks_goes_on(pair: Pair) -> None:
    machine_id = started(pair.one, defined(pair.one, new_id()))

    def connect(_stream: str) -> socket.socket:
        ours, its = socket.socketpair()
        its.close()
        return ours

    streams = pair.live_target.expect(pair.spec(machine_id), pair.live_source.describe(machine_id))
    with pytest.raises((HostError, OSError)):
        pair.live_source.send(machine_id, streams, connect, lambda _progress: "")
    assert observed(pair.one.driver, machine_id).state == "running"
    assert not pair.live_target.arrived(machine_id)
    with pytest.raises(ConflictError):
        pair.live_target.land(machine_id)
    pair.two.driver.remove(machine_id)
    assert pair.two.driver.inspect(machine_id) is None


@live_only
def test_one_that_went_over_may_still_be_taken_back(pair: Pair) -> None:
    machine_id = started(pair.one, defined(pair.one, new_id()))
    go(pair, machine_id)
    pair.two.driver.remove(machine_id)
    pair.live_source.stay(machine_id)
    assert observed(pair.one.driver, machine_id).state == "running"
    assert not pair.live_source.sent(machine_id)


@live_only
def test_only_what_runs_goes(pair: Pair) -> None:
    machine_id = defined(pair.one, new_id())
    with pytest.raises(ConflictError):
        pair.live_source.describe(machine_id)


def test_containers_do_not_go_while_they_run() -> None:
    bench = EngineBench("container", MemoryEngine(run=greeting))
    try:
        with pytest.raises(SpecError, match="while they run"):
            live_mover(bench.driver)
    finally:
        bench.close()


@pytest.mark.root
def test_another_kind_of_host_refuses() -> None:
    one, two = QemuBench(), QemuBench()
    try:
        two.driver.load_image(one.image, two.upload())
        machine_id = started(one, defined(one, new_id()))
        about = msgspec.json.decode(live_mover(one.driver).describe(machine_id))
        spec = Pair(one, two).spec(machine_id)
        for field, value, text in (
            ("accelerator", "other", "runs by"), ("version", [99, 0, 0], "older"),
            ("sizes", [{"node": "x", "file": "../x", "driver": "raw", "size": 1}], "does not go over"),
        ):  # fmt: skip
            with pytest.raises(SpecError, match=text):
                live_mover(two.driver).expect(spec, msgspec.json.encode(about | {field: value}).decode())
        with pytest.raises(HostError, match="cannot be read"):
            live_mover(two.driver).expect(spec, "{}")
        assert two.driver.list() == []
    finally:
        one.close()
        two.close()
