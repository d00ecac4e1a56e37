"""The baked images behave as the well-known ones do."""

from __future__ import annotations

import ctypes
import http.client
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.engine_fixture import DockerDaemon, docker_daemon, wait_until

from stackyard.bake import bake
from stackyard.host.containers.docker import DockerEngine
from stackyard.host.containers.namespaces import in_thread
from stackyard.host.specs import ContainerSpec

__all__ = ["docker_daemon"]

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(600)]

CACHE = Path(tempfile.gettempdir()) / "stackyard-test-images"
Run = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def engine(docker_daemon: DockerDaemon) -> Iterator[DockerEngine]:
    made = docker_daemon.engine()
    bake(["busybox", "cirros", "nginx"], made, CACHE, print)
    yield made
    made.purge()
    made.close()


@pytest.fixture
def run(engine: DockerEngine) -> Iterator[Run]:
    """Create and start a container; its id and its namespace."""
    made: list[str] = []

    def start(image: str, *command: str) -> tuple[str, str]:
        container_id = str(uuid.uuid4())
        made.append(container_id)
        sandbox = engine.ensure_sandbox(container_id)
        engine.create(ContainerSpec(id=container_id, image=image, command=command or None))
        engine.start(container_id)
        return container_id, sandbox

    yield start
    for container_id in made:
        engine.remove(container_id, force=True)
        engine.remove_sandbox(container_id)


def fetch(sandbox: str) -> tuple[int, bytes]:
    """The page on port 80, asked for from within the namespace."""

    def within() -> tuple[int, bytes]:
        descriptor = os.open(sandbox, os.O_RDONLY)
        try:
            assert ctypes.CDLL(None).setns(descriptor, 0x40000000) == 0
        finally:
            os.close(descriptor)
        connection = http.client.HTTPConnection("127.0.0.1", timeout=5)
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    return in_thread(within)


def page(sandbox: str) -> tuple[int, bytes] | None:
    try:
        return fetch(sandbox)
    except ConnectionRefusedError:
        return None


def test_nginx_serves_its_page_logs_and_stops(engine: DockerEngine, run: Run) -> None:
    container_id, sandbox = run("nginx")
    answer = wait_until(lambda: page(sandbox), "nginx listens")
    assert answer is not None
    status, body = answer
    assert status == 200
    assert b"Welcome to nginx!" in body
    found = engine.inspect(container_id)
    assert found is not None
    assert found.ports == ("80/tcp",)
    # The engine takes what is written a little later than it is written.
    wait_until(lambda: b'"GET / HTTP/1.1" 200' in engine.logs(container_id, stderr=False), "the request is in the log")
    assert b"start worker processes" in engine.logs(container_id, stdout=False)
    engine.stop(container_id, 10)
    stopped = engine.inspect(container_id)
    assert stopped is not None
    assert (stopped.state, stopped.exit_code) == ("exited", 0)


@pytest.mark.parametrize("image", ["busybox", "cirros"])
def test_busybox_has_its_applets(engine: DockerEngine, run: Run, image: str) -> None:
    container_id, _ = run(image, "sleep", "1000")
    done = engine.execute(container_id, ("/bin/sh", "-c", "which wget nc ip ping vi && id -un && echo $PATH"))
    assert done.exit_code == 0, done.output
    assert done.output.decode().split()[-2] == "root"


def test_the_archives_are_the_same_each_time(tmp_path: Path, engine: DockerEngine) -> None:
    (tmp_path / "apt").symlink_to(CACHE / "apt")
    again = bake(["busybox"], None, tmp_path, print)["busybox"]
    first = CACHE / again.name
    assert again.read_bytes() == first.read_bytes()
