"""An unmodified client signs in with two factors: at once, and in two steps with a receipt in between."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from scripts.clients import PYTHON, install_clients
from tests.api.identity.factors import BOTH, Authenticator, stop_time
from tests.api.identity.people import PASSWORD, People
from tests.cloud import TestCloud

SCRIPT = Path(__file__).with_name("multi_factor_client.py")


@contextmanager
def _served(cloud: TestCloud) -> Iterator[str]:
    """The cloud on a port of loopback; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(cloud.cloud, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def test_keystoneauths_multi_factor_plug_in_and_a_receipt(tmp_path: Path) -> None:
    install_clients()
    cloud = TestCloud(f"sqlite:///{tmp_path / 'cloud.sqlite'}", tmp_path / "state")
    try:
        people = People(cloud)
        user = people.user(options={"multi_factor_auth_rules": BOTH})
        device = Authenticator(people, user)
        with _served(cloud) as url:
            now = stop_time(people).time()
            given = {
                "auth_url": f"{url}/identity/v3",
                "user_id": user["id"],
                "password": PASSWORD,
                # A passcode is good once: the one before is taken first, while it is still accepted.
                "passcodes": [device.passcode(now - 30), device.passcode(now)],
            }
            done = subprocess.run(
                [PYTHON, str(SCRIPT)], input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False
            )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {
            "user_id": user["id"],
            "methods": ["password"],
            "required": BOTH,
            "completed_user_id": user["id"],
        }
    finally:
        cloud.close()
