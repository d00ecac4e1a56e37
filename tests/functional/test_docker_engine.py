"""What only a real engine can show: names, namespaces, restarts, and that nothing of others is touched."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine_fixture import FOREVER, DockerDaemon, Make, busybox_archive, docker_daemon, making, wait_until

from stackyard.host.containers import namespaces
from stackyard.host.containers.docker import DockerEngine
from stackyard.host.containers.docker_http import DockerHTTP
from stackyard.host.containers.dockerd import Dockerd, FoundEngine, find_engine, running_engine, stop_engine
from stackyard.host.errors import EngineUnavailableError, HostError, SpecError
from stackyard.host.specs import ContainerObservation, ContainerSpec, HealthCheck

__all__ = ["docker_daemon"]

pytestmark = [pytest.mark.docker, pytest.mark.root]

IMAGE = "functional/busybox:1"
CAP_SYS_ADMIN = 21


@pytest.fixture(scope="module", params=["runtime", "pause"])
def engine(request: pytest.FixtureRequest, docker_daemon: DockerDaemon) -> Iterator[DockerEngine]:
    foreign = f"{docker_daemon.cloud_id}-f"
    made = docker_daemon.engine() if request.param == "runtime" else docker_daemon.foreign_engine(foreign)
    made.load_image(busybox_archive(IMAGE), IMAGE)
    yield made
    made.purge()
    made.close()


@pytest.fixture
def make(engine: DockerEngine) -> Iterator[Make]:
    """Create a container in its sandbox; removed afterwards."""
    yield from making(engine, IMAGE)


def pid_of(engine: DockerEngine, container_id: str) -> int:
    found = engine.inspect(container_id)
    return found.pid if found is not None and found.state == "running" else 0


def inside(engine: DockerEngine, container_id: str, command: str) -> str:
    done = engine.execute(container_id, ("sh", "-c", command))
    assert done.exit_code == 0, done.output
    return done.output.decode()


def test_it_sees_the_names_it_was_given(engine: DockerEngine, make: Make) -> None:
    container_id = make(hostname="web", dns_servers=("10.9.8.7",), dns_search=("a.test",), hosts={"db": "10.0.0.9"})
    engine.start(container_id)
    seen = inside(engine, container_id, "hostname; cat /etc/hostname /etc/resolv.conf; tail -n 2 /etc/hosts")
    assert seen.split("\n")[:-1] == [
        "web",
        "web",
        "nameserver 10.9.8.7",
        "search a.test",
        "127.0.1.1\tweb",
        "10.0.0.9\tdb",
    ]


def test_one_without_a_name_never_has_the_hosts(engine: DockerEngine, make: Make) -> None:
    container_id = make(command=("sh", "-c", "hostname; exec sleep 1000"))
    engine.start(container_id)
    wait_until(lambda: engine.logs(container_id), "the container prints its name")
    assert engine.logs(container_id).decode().strip() == container_id.replace("-", "")[:12]


def test_it_runs_in_its_sandbox_and_nowhere_else(engine: DockerEngine, make: Make) -> None:
    container_id = make()
    sandbox = Path(engine.ensure_sandbox(container_id))
    engine.start(container_id)
    own = Path(f"/proc/{pid_of(engine, container_id)}/ns/net").stat().st_ino
    assert own == sandbox.stat().st_ino
    assert own != Path("/proc/self/ns/net").stat().st_ino
    assert inside(engine, container_id, "ls /sys/class/net").split() == ["lo"]


def test_any_process_may_listen_on_port_80_and_loopback_works(engine: DockerEngine, make: Make) -> None:
    container_id = make(hostname="web")
    engine.start(container_id)
    script = (
        "httpd -p 80 -h /etc; wget -qO- http://127.0.0.1/hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
    )
    assert inside(engine, container_id, script).split() == ["web", "0"]


def test_without_its_sandbox_it_does_not_start(engine: DockerEngine, make: Make) -> None:
    container_id = make()
    engine.remove_sandbox(container_id)
    with pytest.raises(HostError, match="gone"):
        engine.start(container_id)
    found = engine.inspect(container_id)
    assert found is not None
    assert (found.state, found.pid) == ("created", 0)


def test_the_engines_own_restart_joins_the_same_sandbox(engine: DockerEngine, make: Make) -> None:
    container_id = make(restart_policy="always", hostname="again")
    sandbox = Path(engine.ensure_sandbox(container_id))
    engine.start(container_id)
    first = pid_of(engine, container_id)
    os.kill(first, signal.SIGKILL)
    second = wait_until(lambda: (new := pid_of(engine, container_id)) != first and new, "the engine restarts it")
    assert Path(f"/proc/{second}/ns/net").stat().st_ino == sandbox.stat().st_ino


def test_limits_apply_and_those_the_host_cannot_set_do_no_harm(engine: DockerEngine, make: Make) -> None:
    container_id = make(memory=64, cpus=0.5, disk=64)
    engine.start(container_id)
    assert int(inside(engine, container_id, "ulimit -Hn")) == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert engine.stats(container_id).memory_limit == 64 << 20


def test_a_working_directory_that_is_a_file_is_named(engine: DockerEngine, make: Make) -> None:
    with pytest.raises(SpecError, match="/bin/busybox"):
        make(workdir="/bin/busybox")


def test_a_terminals_output_is_not_framed(engine: DockerEngine, make: Make) -> None:
    container_id = make(command=("sh", "-c", "echo shown"), tty=True)
    engine.start(container_id)
    assert wait_until(lambda: engine.logs(container_id), "the container prints") == b"shown\r\n"


def test_killed_between_create_and_record_it_still_starts(engine: DockerEngine, make: Make) -> None:
    container_id = make()
    for record in engine._runtime.records.glob("*"):
        record.unlink()
    engine.start(container_id)
    assert pid_of(engine, container_id)


def test_the_traffic_of_its_ports_is_counted(engine: DockerEngine, make: Make) -> None:
    container_id = make()
    engine.start(container_id)
    stats = engine.stats(container_id)
    assert (stats.network_received, stats.network_sent) == (0, 0)


def test_purge_leaves_what_is_not_ours(engine: DockerEngine, make: Make) -> None:
    http_client = DockerHTTP(engine._http.socket_path)
    http_client.call("POST", f"/images/{IMAGE}/tag", {"repo": "functional/others", "tag": "1"})
    labels = {"stackyard.cloud": "somebody-else"}
    body = {"Image": "functional/others:1", "HostConfig": {"NetworkMode": "none"}, "Labels": labels}
    http_client.call("POST", "/containers/create", {"name": f"zun-{(other := uuid.uuid4())}"}, body)
    try:
        container_id = make()
        engine.start(container_id)
        engine.purge()
        assert engine.list() == []
        assert engine.sandboxes() == frozenset()
        assert http_client.request("GET", f"/containers/zun-{other}/json").status == 200
        assert engine.find_image(IMAGE) is None
    finally:
        http_client.call("DELETE", f"/containers/zun-{other}", {"force": True})
        http_client.call("DELETE", "/images/functional/others:1")
        http_client.close()
        engine.load_image(busybox_archive(IMAGE), IMAGE)


def test_an_image_that_was_there_outlives_us(engine: DockerEngine) -> None:
    client = DockerHTTP(engine._http.socket_path)
    client.call("POST", f"/images/{IMAGE}/tag", {"repo": "functional/before", "tag": "1"})
    try:
        engine.load_image(busybox_archive("x"), "functional/before:1")
        engine.purge()
        assert engine.find_image("functional/before:1") is not None
    finally:
        client.call("DELETE", "/images/functional/before:1")
        client.close()
        engine.load_image(busybox_archive(IMAGE), IMAGE)


def test_a_health_check_is_run(engine: DockerEngine, make: Make) -> None:
    check = HealthCheck(command="test -e /tmp/ready", interval=0.2, timeout=2, retries=1)
    container_id = make(health_check=check)
    engine.start(container_id)

    def health() -> str | None:
        found = engine.inspect(container_id)
        return found.health if found is not None else None

    wait_until(lambda: health() == "unhealthy", "the check fails")
    inside(engine, container_id, "touch /tmp/ready")
    wait_until(lambda: health() == "healthy", "the check succeeds")


def test_too_much_memory_ends_it(engine: DockerEngine, make: Make) -> None:
    container_id = make(command=("tail", "/dev/zero"), memory=16)
    engine.start(container_id)

    def ended() -> ContainerObservation | None:
        found = engine.inspect(container_id)
        return found if found is not None and found.state == "exited" else None

    found = wait_until(ended, "the kernel ends it")
    assert found is not None
    assert (found.oom_killed, found.exit_code) == (True, 137)


def test_a_privileged_container_starts_whatever_the_machine_withholds(docker_daemon: DockerDaemon) -> None:
    engine = docker_daemon.engine()
    engine.load_image(busybox_archive(IMAGE), IMAGE)
    container_id = str(uuid.uuid4())
    engine.ensure_sandbox(container_id)
    try:
        engine.create(ContainerSpec(id=container_id, image=IMAGE, command=FOREVER, privileged=True))
        engine.start(container_id)
        held = int(inside(engine, container_id, "grep CapEff /proc/self/status").split()[1], 16)
        assert held >> CAP_SYS_ADMIN & 1
    finally:
        engine.remove(container_id, force=True)
        engine.remove_sandbox(container_id)
        engine.close()


# ------------------------------------------------------------------------------------------------------ the daemon


def test_a_container_outlives_the_daemon_and_is_adopted(docker_daemon: DockerDaemon) -> None:
    engine = docker_daemon.engine()
    engine.load_image(busybox_archive(IMAGE), IMAGE)
    container_id = str(uuid.uuid4())
    sandbox = Path(engine.ensure_sandbox(container_id))
    engine.create(ContainerSpec(id=container_id, image=IMAGE, command=FOREVER))
    engine.start(container_id)
    pid = pid_of(engine, container_id)
    told = engine.events()
    try:
        docker_daemon.daemon.stop()
        assert list(told) == []
        with pytest.raises(EngineUnavailableError, match="does not answer"):
            engine.inspect(container_id)
        assert Path(f"/proc/{pid}/ns/net").stat().st_ino == sandbox.stat().st_ino
        docker_daemon.daemon.start()
        docker_daemon.daemon.wait_ready()
        assert pid_of(engine, container_id) == pid
        engine.stop(container_id, 0)
        engine.start(container_id)
        assert Path(f"/proc/{pid_of(engine, container_id)}/ns/net").stat().st_ino == sandbox.stat().st_ino
    finally:
        docker_daemon.daemon.start()
        docker_daemon.daemon.wait_ready()
        engine.remove(container_id, force=True)
        engine.remove_sandbox(container_id)
        engine.close()


def test_a_daemon_of_ours_that_was_killed_is_started_again(docker_daemon: DockerDaemon) -> None:
    found = FoundEngine(str(docker_daemon.daemon.socket_path), docker_daemon.daemon)
    engine = DockerEngine(found.socket_path, docker_daemon.cloud_id, docker_daemon.state_dir, revive=found.revive)
    engine.load_image(busybox_archive(IMAGE), IMAGE)
    version = engine.info().version
    container_id = str(uuid.uuid4())
    engine.ensure_sandbox(container_id)
    engine.create(ContainerSpec(id=container_id, image=IMAGE, command=FOREVER))
    engine.start(container_id)
    process = pid_of(engine, container_id)
    pid = docker_daemon.daemon.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    def answers() -> bool:
        try:
            return engine.info().version == version
        except EngineUnavailableError:
            return False

    try:
        wait_until(lambda: not answers(), "the engine is gone")
        wait_until(answers, "the engine is started again")
        assert docker_daemon.daemon.pid() not in {None, pid}
        assert pid_of(engine, container_id) == process
    finally:
        docker_daemon.daemon.start()
        docker_daemon.daemon.wait_ready()
        engine.remove(container_id, force=True)
        engine.remove_sandbox(container_id)
        engine.close()


def test_our_own_daemon_is_found_again(docker_daemon: DockerDaemon) -> None:
    found = find_engine(None, docker_daemon.state_dir, docker_daemon.cloud_id)
    found.wait_ready()
    assert found.socket_path == str(docker_daemon.daemon.socket_path)
    assert found.daemon is not None
    assert found.daemon.pid() == docker_daemon.daemon.pid()
    assert running_engine(None, docker_daemon.state_dir, docker_daemon.cloud_id) == found.socket_path


def test_a_configured_engine_is_taken_as_it_is(docker_daemon: DockerDaemon, tmp_path: Path) -> None:
    socket_path = f"unix://{docker_daemon.daemon.socket_path}"
    found = find_engine(socket_path, tmp_path, "other")
    found.wait_ready()
    assert found == FoundEngine(str(docker_daemon.daemon.socket_path))
    absent = find_engine(str(tmp_path / "none.sock"), tmp_path, "other")
    with pytest.raises(EngineUnavailableError, match=r"none\.sock"):
        absent.wait_ready()
    assert running_engine(str(tmp_path / "none.sock"), tmp_path, "other") is None
    stop_engine(tmp_path, "other", remove_data=True)


def test_a_daemon_that_ends_at_once_says_why() -> None:
    state_dir = Path(tempfile.mkdtemp(prefix="stackyard-"))
    daemon = Dockerd(state_dir, f"test-{uuid.uuid4().hex[:8]}")
    try:
        (daemon.socket_path / "in-the-way").mkdir(parents=True)
        daemon.start()
        with pytest.raises(EngineUnavailableError, match=r"dockerd\.log") as caught:
            daemon.wait_ready(timeout=20)
        assert str(daemon.socket_path) in str(caught.value)
    finally:
        daemon.stop(remove_data=True)
        shutil.rmtree(state_dir)
    assert not daemon._run_dir.exists()


# ------------------------------------------------------------------------------------------------------- namespaces


def test_a_namespace_left_half_made_is_made_whole(tmp_path: Path) -> None:
    path = tmp_path / "ns" / "one"
    path.parent.mkdir()
    path.touch()
    try:
        assert not namespaces.is_namespace(path)
        namespaces.make_namespace(path)
        inode = path.stat().st_ino
        namespaces.make_namespace(path)
        assert (namespaces.is_namespace(path), path.stat().st_ino) == (True, inode)
    finally:
        namespaces.remove_namespace(path)
    namespaces.remove_namespace(path)
    assert not path.exists()
