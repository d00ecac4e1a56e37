"""A whole cloud in process for tests: every service, on any database, with in-memory twins for engine and network.

```
def test_it(cloud):                      # runs on SQLite and on PostgreSQL
    demo = cloud.client("demo")
    assert demo.get("/network/v2.0/networks").status_code == 200
    cloud.settle()                       # all reconciling done
```
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests import seeded
from tests.pooled import SharedDatabase

from stackyard.app import Cloud, Host
from stackyard.core.config import Settings
from stackyard.core.reconcile import depth, work
from stackyard.host.containers.memory import MemoryEngine
from stackyard.host.disks.memory import MemoryVolumes
from stackyard.host.machines.memory import MemoryMachines, in_memory_host
from stackyard.host.network.memory import MemoryNetworkDriver
from stackyard.services.network import marks

# New ports' names may wait half a second for others; a test that waits for the names need not.
marks.SOON = 0.02

PASSWORDS = {"admin": "admin-secret", "demo": "demo-secret"}


_ENGINES: dict[str, sa.Engine] = {}


class TestCloud:
    """The cloud under test, its twins, and clients signed in to it."""

    __test__ = False

    def __init__(self, url: str, state_dir: Path, settings: Settings | None = None, *, blank: bool = False) -> None:
        """On an empty database: a copy of a seeded one, or made here for other settings or when it must be `blank`."""
        state_dir.mkdir(parents=True, exist_ok=True)
        if settings is not None:
            seeded.tables(url)
        elif not blank:
            seeded.copy(url, state_dir, _seed)
        self.engine = MemoryEngine()
        self.network = MemoryNetworkDriver()
        self.database = SharedDatabase(url)
        _share_compiled(self.database.engine)
        if blank:
            self.database.create_all()
        twins = in_memory_host()
        self.machines: dict[str, MemoryMachines] = twins["machines"]
        self.volumes: dict[str, MemoryVolumes] = twins["volumes"]
        host = Host(
            name="testhost",
            state_dir=state_dir,
            engine=self.engine,
            network=self.network,
            **twins,
        )
        self.cloud = Cloud(settings or Settings(), self.database, host)
        self.runtime = self.cloud.runtime
        if not self.cloud.is_seeded():
            self.cloud.seed(PASSWORDS)
        self.http = TestClient(self.cloud, base_url="http://127.0.0.1:5000", raise_server_exceptions=False)
        self._signed_in = state_dir / "signed-in.json"
        self._tokens: dict[str, str] = json.loads(self._signed_in.read_text()) if self._signed_in.exists() else {}

    def start(self) -> None:
        """Begin reconciling."""
        self.cloud.start()

    def token(self, user: str, project: str | None = None) -> str:
        """A token of a seeded user on a project (of the same name when not given)."""
        key = f"{user} on {project or user}"
        if key not in self._tokens:
            self._tokens[key] = self.sign_in(user, PASSWORDS[user], project or user)
        return self._tokens[key]

    def keep_tokens(self) -> None:
        """Leave tokens of both users in the state directory: a copy of this cloud need not hash passwords again."""
        for user in PASSWORDS:
            self.token(user)
        self._signed_in.write_text(json.dumps(self._tokens))

    def sign_in(self, user: str, password: str, project: str) -> str:
        """Sign in by password, and return the token."""
        domain = {"id": "default"}
        body = {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": user, "domain": domain, "password": password}},
            },
            "scope": {"project": {"name": project, "domain": domain}},
        }
        response = self.http.post("/identity/v3/auth/tokens", json={"auth": body})
        assert response.status_code == 201, response.text
        return str(response.headers["x-subject-token"])

    def client(self, user: str, project: str | None = None, **headers: str) -> TestClient:
        """An HTTP client that sends a user's token."""
        given = {"X-Auth-Token": self.token(user, project), **headers}
        return TestClient(self.cloud, base_url="http://127.0.0.1:5000", headers=given, raise_server_exceptions=False)

    def settle(self, timeout: float = 20) -> None:
        """Wait until nothing is marked as due any more."""

        def due(tx: Any) -> list[Any]:
            soon = time.time() + 2
            return [row for row in tx.all(work.select()) if row.due_at < soon or row.owner]

        until = time.monotonic() + timeout
        while self.database.read("settle", due):
            if time.monotonic() > until:
                waiting = self.database.read("settle", lambda tx: [row._asdict() for row in tx.all(work.select())])
                raise AssertionError(f"work is still waiting after {timeout} s: {waiting}")
            self.cloud.reconcile.wake()
            time.sleep(0.005)  # polls the condition above; there is no event that spans all kinds of work

    def depth(self) -> dict[str, int]:
        """How many marks wait, by kind."""
        return self.database.read("depth", depth)

    def close(self) -> None:
        """End it all."""
        self.cloud.stop()


def _share_compiled(engine: sa.Engine) -> None:
    """Have the statements of all databases of one kind be compiled once: that is a third of what most tests do."""
    first = _ENGINES.setdefault(engine.dialect.name, engine)
    engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache


def _seed(url: str, state_dir: Path) -> None:
    cloud = TestCloud(url, state_dir, blank=True)
    cloud.cloud.prepare()
    cloud.keep_tokens()
    cloud.close()


@pytest.fixture
def cloud(database_url: str, tmp_path: Path) -> Iterator[TestCloud]:
    """A seeded cloud whose reconcilers run, on each kind of database."""
    made = TestCloud(database_url, tmp_path / "state")
    made.start()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def still_cloud(database_url: str, tmp_path: Path) -> Iterator[TestCloud]:
    """A seeded cloud in which nothing reconciles by itself."""
    made = TestCloud(database_url, tmp_path / "state")
    try:
        yield made
    finally:
        made.close()
