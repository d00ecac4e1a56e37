"""`stackyard up --classic-ports`: every API also at the port that it is known by.

In a network namespace of its own, since another service of this host may have those ports.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from tests.functional.real_cloud import RealCloud

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(120)]


@pytest.fixture
def apart() -> Iterator[RealCloud]:
    """A cloud that runs in a network namespace of its own."""
    name = "stackyard-classic"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        cloud = RealCloud(enter=("nsenter", f"--net=/run/netns/{name}"))
        try:
            cloud.up("--classic-ports")
            yield cloud
        finally:
            cloud.close()
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def ask(cloud: RealCloud, port: int, path: str) -> dict[str, object]:
    """What is answered at a port inside the namespace."""
    program = (
        "import sys, urllib.error, urllib.request\n"
        "try: print(urllib.request.urlopen(sys.argv[1]).read().decode())\n"
        "except urllib.error.HTTPError as error: print(error.read().decode())"
    )
    argv = [*cloud.enter, "python3", "-c", program, f"http://127.0.0.1:{port}{path}"]
    answer: dict[str, object] = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    return answer


def test_every_service_answers_at_its_own_port(apart: RealCloud) -> None:
    for port, path, key in ((9292, "/", "versions"), (9696, "/", "versions"), (9517, "/", "versions")):
        assert key in ask(apart, port, path), f"port {port}"
    assert "networks" not in ask(apart, 9696, "/v2.0/networks"), "without a token"
    status = json.loads(apart.succeed("status", "--json"))
    assert status["running"]
