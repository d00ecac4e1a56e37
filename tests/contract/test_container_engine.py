"""What every container engine promises, the in-memory one included."""

from __future__ import annotations

import io
import queue
import re
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from tests.contract.conftest import IMAGE
from tests.engine_fixture import FOREVER, Make, busybox_archive, making, wait_until

from stackyard.host.containers import ContainerEngine
from stackyard.host.errors import ConflictError, NotFoundError, SpecError
from stackyard.host.specs import BindMount, ContainerObservation, ContainerSpec, EngineEvent, HealthCheck


@pytest.fixture
def make(engine: ContainerEngine) -> Iterator[Make]:
    """Create a container in a sandbox of its own, and return its id; all are removed afterwards."""
    yield from making(engine, IMAGE)


def observed(engine: ContainerEngine, container_id: str) -> ContainerObservation:
    found = engine.inspect(container_id)
    assert found is not None
    return found


def ended(engine: ContainerEngine, container_id: str) -> ContainerObservation:
    def look() -> ContainerObservation | None:
        found = observed(engine, container_id)
        return found if found.state == "exited" else None

    return cast("ContainerObservation", wait_until(look, "the container ends"))


# ---------------------------------------------------------------------------------------------- engine, sandboxes


def test_info_says_what_it_is(engine: ContainerEngine) -> None:
    info = engine.info()
    assert info.name
    assert info.version
    assert info.cpus > 0
    assert info.memory > 0


def test_a_sandbox_is_made_once_and_removed_once(engine: ContainerEngine) -> None:
    container_id = str(uuid.uuid4())
    path = engine.ensure_sandbox(container_id)
    assert path.startswith("/")
    assert engine.ensure_sandbox(container_id) == path
    assert container_id in engine.sandboxes()
    engine.remove_sandbox(container_id)
    engine.remove_sandbox(container_id)
    assert container_id not in engine.sandboxes()


def test_a_sandbox_outlives_its_container(engine: ContainerEngine, make: Make) -> None:
    container_id = make()
    engine.start(container_id)
    engine.remove(container_id, force=True)
    assert container_id in engine.sandboxes()


@pytest.mark.parametrize("hostile", ["../x", "a/b", "", "-x", "a\nb"])
def test_a_sandbox_needs_an_id(engine: ContainerEngine, hostile: str) -> None:
    with pytest.raises(SpecError):
        engine.ensure_sandbox(hostile)


# --------------------------------------------------------------------------------------------- create and inspect


def test_a_container_needs_its_sandbox(engine: ContainerEngine) -> None:
    container_id = str(uuid.uuid4())
    with pytest.raises(NotFoundError, match="sandbox"):
        engine.create(ContainerSpec(id=container_id, image=IMAGE))
    assert engine.inspect(container_id) is None


def test_a_container_needs_its_image(engine: ContainerEngine, make: Make) -> None:
    with pytest.raises(NotFoundError, match="contract/missing"):
        make(image="contract/missing")


@pytest.mark.parametrize(
    "fields",
    [
        {"image": "not an image"},
        {"image": "../../containers"},
        {"hostname": "a b"},
        {"hostname": "a\n10.0.0.1 evil"},
        {"restart_policy": "sometimes"},
        {"memory": -1},
        {"environment": {"A=B": "1"}},
        {"environment": {"A": "1\0"}},
        {"command": ("echo", "a\0b")},
        {"workdir": "relative"},
        {"dns_servers": ("1.1.1.1\nnameserver 2.2.2.2",)},
        {"dns_search": ("a b",)},
        {"hosts": {"name\nevil": "10.0.0.1"}},
        {"mounts": (BindMount(source="relative", target="/x"),)},
        {"capabilities": ("net_admin; x",)},
        {"tmpfs": ("relative",)},
        {"tmpfs": ("/x:exec",)},
    ],
)
def test_what_can_never_be_is_refused(engine: ContainerEngine, make: Make, fields: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        make(**fields)


def test_a_created_container_is_as_asked(engine: ContainerEngine, make: Make) -> None:
    fields = {
        "environment": {"COLOUR": "blue", "EMPTY": ""},
        "labels": {"tier": "front"},
        "hostname": "web-1",
        "workdir": "/tmp",
        "entrypoint": ("sh", "-c"),
        "command": ("sleep 1000",),
        "memory": 64,
        "cpus": 0.5,
        "disk": 1024,
        "health_check": HealthCheck(command="true", interval=1),
    }
    found = observed(engine, make(**fields))
    assert found.state == "created"
    assert found.pid == 0
    assert found.exit_code is None
    assert found.started_at is None
    assert found.finished_at is None
    assert found.environment.items() >= {"COLOUR": "blue", "EMPTY": "", "PATH": "/bin"}.items()
    assert found.labels == {"tier": "front"}
    assert (found.hostname, found.workdir, found.image) == ("web-1", "/tmp", IMAGE)
    assert (found.entrypoint, found.command) == (("sh", "-c"), ("sleep 1000",))
    assert found.ports == ("80/tcp",)


def test_creating_twice_is_creating_once(engine: ContainerEngine, make: Make) -> None:
    container_id = make(labels={"a": "1"})
    engine.create(ContainerSpec(id=container_id, image=IMAGE, command=FOREVER, labels={"a": "1"}))
    engine.start(container_id)
    engine.create(ContainerSpec(id=container_id, image=IMAGE, command=FOREVER, labels={"a": "1"}))
    assert observed(engine, container_id).state == "running"
    assert [found.id for found in engine.list()].count(container_id) == 1


def test_labels_of_ours_cannot_be_forged(engine: ContainerEngine, make: Make) -> None:
    container_id = make(labels={"stackyard.cloud": "other", "stackyard.id": "other"})
    assert container_id in [found.id for found in engine.list()]


def test_a_listing_tells_id_state_image_and_labels(engine: ContainerEngine, make: Make) -> None:
    container_id = make(labels={"tier": "back"})
    found = next(found for found in engine.list() if found.id == container_id)
    assert (found.state, found.image, found.labels) == ("created", IMAGE, {"tier": "back"})


# ------------------------------------------------------------------------------------------------------ life cycle


def test_start_and_stop(engine: ContainerEngine, make: Make) -> None:
    container_id = make()
    engine.start(container_id)
    engine.start(container_id)
    running = observed(engine, container_id)
    assert running.state == "running"
    assert running.pid > 0
    assert running.started_at is not None
    engine.stop(container_id, 0)
    engine.stop(container_id, 0)
    stopped = observed(engine, container_id)
    assert stopped.state == "exited"
    assert stopped.exit_code is not None
    assert stopped.finished_at is not None
    engine.start(container_id)
    assert observed(engine, container_id).state == "running"


def test_a_process_that_ends_leaves_its_code(engine: ContainerEngine, make: Make) -> None:
    container_id = make(command=("sh", "-c", "exit 3"))
    engine.start(container_id)
    assert ended(engine, container_id).exit_code == 3


def test_a_missing_command_is_named_and_nothing_runs(engine: ContainerEngine, make: Make) -> None:
    container_id = make(command=("no-such-command", "x"))
    with pytest.raises(SpecError, match="'no-such-command' is not in the image"):
        engine.start(container_id)
    found = observed(engine, container_id)
    assert (found.state, found.pid) == ("created", 0)
    assert "no-such-command" in found.error


def test_pause_and_unpause(engine: ContainerEngine, make: Make) -> None:
    container_id = make()
    engine.start(container_id)
    engine.pause(container_id)
    assert observed(engine, container_id).state == "paused"
    engine.unpause(container_id)
    assert observed(engine, container_id).state == "running"


def test_a_signal_reaches_the_process(engine: ContainerEngine, make: Make) -> None:
    container_id = make()
    engine.start(container_id)
    engine.kill(container_id, "SIGKILL")
    assert ended(engine, container_id).exit_code == 137


def test_a_running_container_is_removed_by_force_only(engine: ContainerEngine, make: Make) -> None:
    container_id = make()
    engine.start(container_id)
    with pytest.raises(ConflictError):
        engine.remove(container_id)
    engine.remove(container_id, force=True)
    engine.remove(container_id)
    assert engine.inspect(container_id) is None


CALLS: dict[str, Callable[[ContainerEngine, str], object]] = {
    "start": lambda engine, container_id: engine.start(container_id),
    "stop": lambda engine, container_id: engine.stop(container_id, 0),
    "kill": lambda engine, container_id: engine.kill(container_id, "SIGHUP"),
    "pause": lambda engine, container_id: engine.pause(container_id),
    "unpause": lambda engine, container_id: engine.unpause(container_id),
    "update": lambda engine, container_id: engine.update(container_id, memory=64),
    "execute": lambda engine, container_id: engine.execute(container_id, ("true",)),
    "stats": lambda engine, container_id: engine.stats(container_id),
    "top": lambda engine, container_id: engine.top(container_id),
    "logs": lambda engine, container_id: engine.logs(container_id),
    "get_archive": lambda engine, container_id: engine.get_archive(container_id, "/etc"),
    "put_archive": lambda engine, container_id: engine.put_archive(container_id, "/tmp", tar_of("x", b"")),
    "commit": lambda engine, container_id: engine.commit(container_id, "contract/none"),
    "export": lambda engine, container_id: list(engine.export(container_id)),
}
NEEDS_RUNNING = ("kill", "pause", "unpause", "execute", "stats", "top")


@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_there_is_not_found(engine: ContainerEngine, call: str) -> None:
    with pytest.raises(NotFoundError):
        CALLS[call](engine, str(uuid.uuid4()))


@pytest.mark.parametrize("call", NEEDS_RUNNING)
def test_a_container_that_does_not_run_refuses(engine: ContainerEngine, make: Make, call: str) -> None:
    with pytest.raises(ConflictError):
        CALLS[call](engine, make())


@pytest.mark.parametrize("call", ["start", "execute", "pause"])
def test_a_paused_container_refuses(engine: ContainerEngine, make: Make, call: str) -> None:
    container_id = make()
    engine.start(container_id)
    engine.pause(container_id)
    with pytest.raises(ConflictError):
        CALLS[call](engine, container_id)


def test_limits_change_while_it_runs(engine: ContainerEngine, make: Make) -> None:
    container_id = make(memory=64, cpus=0.5)
    engine.start(container_id)
    engine.update(container_id, memory=256, cpus=1.0)
    assert engine.stats(container_id).memory_limit == 256 << 20


def test_a_policy_of_no_restart_leaves_it_ended(engine: ContainerEngine, make: Make) -> None:
    container_id = make(command=("sh", "-c", "exit 1"), restart_policy="no")
    engine.start(container_id)
    assert ended(engine, container_id).exit_code == 1


# ---------------------------------------------------------------------------------------------------- what it does


def test_logs_are_told_apart_and_cut(engine: ContainerEngine, make: Make) -> None:
    container_id = make(command=("sh", "-c", "echo one; echo two; echo three >&2"))
    engine.start(container_id)
    ended(engine, container_id)
    assert sorted(engine.logs(container_id).split()) == [b"one", b"three", b"two"]
    assert engine.logs(container_id, stderr=False) == b"one\ntwo\n"
    assert engine.logs(container_id, stdout=False) == b"three\n"
    assert engine.logs(container_id, stdout=False, stderr=False) == b""
    assert engine.logs(container_id, stderr=False, tail=1) == b"two\n"
    assert engine.logs(container_id, since=time.time() + 60) == b""
    timed = engine.logs(container_id, stderr=False, timestamps=True)
    assert re.match(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*Z one\n", timed)


def test_a_command_run_inside_answers(engine: ContainerEngine, make: Make) -> None:
    container_id = make()
    engine.start(container_id)
    done = engine.execute(container_id, ("sh", "-c", "echo out; echo err >&2; exit 7"))
    assert sorted(done.output.split()) == [b"err", b"out"]
    assert done.exit_code == 7


def test_a_missing_command_run_inside_has_its_code(engine: ContainerEngine, make: Make) -> None:
    container_id = make()
    engine.start(container_id)
    done = engine.execute(container_id, ("no-such-command",))
    assert done.exit_code in {126, 127}
    assert b"no-such-command" in done.output


def test_stats_and_processes(engine: ContainerEngine, make: Make) -> None:
    container_id = make(memory=64)
    engine.start(container_id)
    stats = engine.stats(container_id)
    assert stats.cpu_percent >= 0
    assert 0 < stats.memory_used < stats.memory_limit == 64 << 20
    table = engine.top(container_id)
    assert any("sleep 1000" in " ".join(row) for row in table.processes)
    assert all(len(row) == len(table.titles) for row in table.processes)


def tar_of(name: str, data: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as content:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        content.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


def test_files_go_in_and_come_out(engine: ContainerEngine, make: Make) -> None:
    container_id = make()
    engine.put_archive(container_id, "/tmp", tar_of("note", b"hello"))
    archive, stat = engine.get_archive(container_id, "/tmp/note")
    assert (stat["name"], stat["size"]) == ("note", 5)
    with tarfile.open(fileobj=io.BytesIO(archive)) as content:
        member = content.extractfile("note")
        assert member is not None
        assert member.read() == b"hello"
    with pytest.raises(NotFoundError):
        engine.get_archive(container_id, "/tmp/missing")


# ---------------------------------------------------------------------------------------------------------- images


def test_an_image_is_made_of_a_container(engine: ContainerEngine, make: Make) -> None:
    made = engine.commit(make(), "contract/made:2")
    found = engine.find_image("contract/made:2")
    assert found is not None
    assert found.id == made
    engine.remove_image("contract/made:2")
    engine.remove_image("contract/made:2")
    assert engine.find_image("contract/made:2") is None


def test_an_archive_is_loaded_under_the_name_given(engine: ContainerEngine) -> None:
    found = engine.load_image(busybox_archive("contract/own-name:1"), "contract/given-name")
    assert "contract/given-name:latest" in found.names
    assert engine.find_image("contract/own-name:1") is None
    assert found.size > 0
    known = engine.find_image("contract/given-name")
    assert known is not None
    assert known.id == found.id
    assert engine.find_image(found.id) is not None
    assert found.id in [image.id for image in engine.images()]
    with tarfile.open(fileobj=io.BytesIO(b"".join(engine.save_image("contract/given-name")))) as archive:
        assert "manifest.json" in archive.getnames()
    engine.remove_image("contract/given-name")
    assert engine.find_image("contract/given-name") is None


@pytest.mark.parametrize("data", [b"", b"not a tar at all" * 100, tar_of("other.txt", b"x")])
def test_what_is_no_image_is_refused(engine: ContainerEngine, data: bytes) -> None:
    with pytest.raises(SpecError):
        engine.load_image(io.BytesIO(data), "contract/bad")
    assert engine.find_image("contract/bad") is None


@pytest.mark.parametrize("name", ["contract/missing", "../containers/json", "a b", "", "sha256:00"])
def test_an_image_that_is_not_there_is_none(engine: ContainerEngine, name: str) -> None:
    assert engine.find_image(name) is None


def test_an_image_that_is_not_there_cannot_be_saved(engine: ContainerEngine) -> None:
    with pytest.raises(NotFoundError):
        engine.save_image("contract/missing")


# ---------------------------------------------------------------------------------------------------------- events


def test_events_tell_of_starts_and_ends(engine: ContainerEngine, make: Make) -> None:
    seen: queue.SimpleQueue[EngineEvent] = queue.SimpleQueue()
    watched = engine.events()
    threading.Thread(target=lambda: [seen.put(event) for event in watched], daemon=True).start()
    container_id = make(command=("sh", "-c", "exit 1"))
    engine.start(container_id)
    actions: list[str] = []
    deadline = time.monotonic() + 20
    while actions[-1:] != ["destroy"]:
        event = seen.get(timeout=max(deadline - time.monotonic(), 0.01))
        if event.container_id == container_id:
            actions.append(event.action)
        if actions[-1:] == ["die"]:
            engine.remove(container_id)
    assert actions == ["start", "die", "destroy"]


# ----------------------------------------------------------------------------------------------------------- apart


def test_containers_apart_are_not_among_the_others(engine: ContainerEngine, make: Make) -> None:
    container_id, own = make(), str(uuid.uuid4())
    other = engine.apart("contract", "nova")
    try:
        other.ensure_sandbox(own)
        other.create(ContainerSpec(id=own, image=IMAGE, command=FOREVER, tmpfs=("/run",), capabilities=("NET_ADMIN",)))
        other.start(own)
        assert [found.id for found in other.list()] == [own]
        assert own not in [found.id for found in engine.list()]
        assert own not in engine.sandboxes()
        assert engine.inspect(own) is None
        assert other.inspect(container_id) is None
        engine.start(container_id)
    finally:
        other.purge()
        other.close()
    assert observed(engine, container_id).state == "running"
    assert engine.find_image(IMAGE) is not None


def test_a_file_system_comes_as_a_tar(engine: ContainerEngine, make: Make) -> None:
    container_id = make()
    engine.put_archive(container_id, "/tmp", tar_of("note", b"hello"))
    with tarfile.open(fileobj=io.BytesIO(b"".join(engine.export(container_id)))) as archive:
        content = archive.extractfile("tmp/note")
        assert content is not None
        assert content.read() == b"hello"
