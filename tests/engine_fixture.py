"""A Docker Engine of the tests' own, in a temporary directory, and a small image for it that needs no network."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from stackyard.host.containers import ContainerEngine
from stackyard.host.containers.archive import add_bytes, entry, write_archive
from stackyard.host.containers.docker import DockerEngine
from stackyard.host.containers.dockerd import Dockerd
from stackyard.host.specs import ContainerSpec

Found = TypeVar("Found")
Make = Callable[..., str]
FOREVER = ("sleep", "1000")


class DockerDaemon(NamedTuple):
    """The engine's daemon, and what made it."""

    daemon: Dockerd
    state_dir: Path
    cloud_id: str

    def engine(self) -> DockerEngine:
        """The driver as the cloud that started the daemon has it: our runtime is registered."""
        return DockerEngine(str(self.daemon.socket_path), self.cloud_id, self.state_dir)

    def foreign_engine(self, cloud_id: str) -> DockerEngine:
        """The driver of another cloud, to which this daemon is one that it found."""
        return DockerEngine(str(self.daemon.socket_path), cloud_id, self.state_dir / cloud_id)


@pytest.fixture(scope="session")
def docker_daemon() -> Iterator[DockerDaemon]:
    """A dockerd that is gone after the tests, with all that it made."""
    state_dir = Path(tempfile.mkdtemp(prefix="stackyard-"))
    cloud_id = f"test-{uuid.uuid4().hex[:8]}"
    made = DockerDaemon(Dockerd(state_dir, cloud_id), state_dir, cloud_id)
    try:
        made.daemon.start()
        made.daemon.wait_ready()
        yield made
        engine = made.engine()
        engine.purge()
        engine.close()
    finally:
        made.daemon.stop(remove_data=True)
        shutil.rmtree(state_dir, ignore_errors=True)


def making(engine: ContainerEngine, image: str) -> Iterator[Make]:
    """For a fixture: a function that creates a container in its sandbox and returns its id; all go at the end."""
    made: list[str] = []

    def create(**fields: Any) -> str:
        container_id = str(uuid.uuid4())
        made.append(container_id)
        engine.ensure_sandbox(container_id)
        engine.create(ContainerSpec(**{"id": container_id, "image": image, "command": FOREVER, **fields}))
        return container_id

    yield create
    for container_id in made:
        engine.remove(container_id, force=True)
        engine.remove_sandbox(container_id)


def busybox_archive(name: str) -> io.BytesIO:
    """An image of the host's static busybox, as `docker save` writes it."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "the tests need the package busybox-static"
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    archive = io.BytesIO()
    with tempfile.NamedTemporaryFile(suffix=".tar") as layer:
        with tarfile.open(fileobj=layer, mode="w") as content:
            add_bytes(content, "bin/busybox", Path(busybox).read_bytes(), mode=0o755)
            for applet in applets:
                link = entry(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                if applet != "busybox":
                    content.addfile(link)
            for path in ("tmp", "etc", "root"):
                directory = entry(path, mode=0o755)
                directory.type = tarfile.DIRTYPE
                content.addfile(directory)
        layer.flush()
        config = {"Cmd": ["sh"], "Env": ["PATH=/bin"], "ExposedPorts": {"80/tcp": {}}}
        write_archive(archive, (name,), Path(layer.name), config)
    archive.seek(0)
    return archive


def wait_until(look: Callable[[], Found], what: str, timeout: float = 20) -> Found:
    """The first true answer of `look`."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.02)
    return found
