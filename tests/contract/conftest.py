"""The engines that the contract is tried on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest
from tests.engine_fixture import DockerDaemon, busybox_archive, docker_daemon

from stackyard.host.containers import ContainerEngine
from stackyard.host.containers.memory import MemoryEngine, MemoryImage, Outcome

__all__ = ["docker_daemon"]

IMAGE = "contract/busybox:1"
PROGRAMS = frozenset({"sh", "sleep", "true", "false", "cat"})


def shell(words: Sequence[str]) -> Outcome:
    """What the commands of the contract's tests do, for the engine that runs none."""
    if words[0] == "sleep":
        return Outcome()
    streams = {1: b"", 2: b""}
    for command in words[2].split("; ") if words[:2] == ("sh", "-c") else ():
        if match := re.fullmatch(r"echo (.*?)( >&2)?", command):
            streams[2 if match[2] else 1] += f"{match[1]}\n".encode()
        elif command.startswith("sleep"):
            return Outcome(streams[1], streams[2])
        elif match := re.fullmatch(r"exit (\d+)", command):
            return Outcome(streams[1], streams[2], int(match[1]))
    return Outcome(streams[1], streams[2], 0)


@pytest.fixture(
    scope="session",
    params=[
        "memory",
        pytest.param("runtime", marks=[pytest.mark.docker, pytest.mark.root]),
        pytest.param("pause", marks=[pytest.mark.docker, pytest.mark.root]),
    ],
)
def engine(request: pytest.FixtureRequest) -> Iterator[ContainerEngine]:
    """An engine with the image `contract/busybox:1`, whose ways of joining a sandbox are the parameter."""
    made: ContainerEngine
    if request.param == "memory":
        image = MemoryImage(command=("sh",), environment={"PATH": "/bin"}, ports=("80/tcp",), programs=PROGRAMS)
        made = MemoryEngine(images={IMAGE: image}, run=shell)
    else:
        daemon: DockerDaemon = request.getfixturevalue("docker_daemon")
        made = daemon.engine() if request.param == "runtime" else daemon.foreign_engine(f"{daemon.cloud_id}-pause")
        made.load_image(busybox_archive(IMAGE), IMAGE)
        assert made.info().sandbox_mode == request.param
    yield made
    made.purge()
    made.close()
