"""A PostgreSQL of the tests' own: Debian's binaries, a directory and a socket of its own, gone when the session ends.

One server per test process (so one per xdist worker), started by the first test that asks. The server is told
to end with the process that started it, so that not even a killed test run leaves one behind.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import psycopg
import pytest
from tests.pooled import Pool

START_SECONDS = 30
# Durability is what a database of seconds does not need; the rest keeps many small servers out of each other's way.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "dynamic_shared_memory_type": "mmap",
    "log_min_messages": "warning",
}


class PostgresServer:
    """A running server; `create` gives the URL of a fresh database."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: psycopg.Connection[tuple[object, ...]] | None = None
        self._templates: dict[str, str] = {}
        self._count = 0

    def start(self) -> None:
        """Make the cluster and start the server; fails the test with the reason when it does not come up."""
        binaries = _binaries()
        data = self._directory / "data"
        _own(self._directory)
        made = subprocess.run(
            [
                *[*_as_postgres(), binaries / "initdb", "--pgdata", data, "--username", "postgres", "--no-sync"],
                *["--auth", "trust", "--locale", "C.UTF-8", "--encoding", "UTF8", "--no-instructions"],
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if made.returncode:
            pytest.fail(f"initdb failed: {made.stderr.strip()}")
        options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*_as_postgres(), binaries / "postgres", "-D", data, "-k", self._directory, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C reaches the tests first; they end the server when they are done
            )
        self._admin = self._connect()

    def stop(self) -> None:
        """End the server at once (nothing in it is worth a checkpoint) and remove its directory."""
        if self._admin is not None:
            self._admin.close()
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_SECONDS)
        shutil.rmtree(self._directory, ignore_errors=True)

    def create(self, template: str = "template0") -> str:
        """The SQLAlchemy URL of a new database, empty or a copy of `template` (a name from `prepared`)."""
        self._count += 1
        name = f"test_{self._count}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def prepared(self, key: str, prepare: Callable[[str], None]) -> str:
        """The name of a template that `prepare(url)` has filled, once per server and key: a schema is migrated once
        and copied for every test. `prepare` must close its connections."""
        if key not in self._templates:
            url = self.create()
            prepare(url)
            self._templates[key] = database_name(url)
        return self._templates[key]

    def drop(self, url: str) -> None:
        """Remove a database made by `create`, cutting connections that a failed test left open."""
        self._execute(f"DROP DATABASE {database_name(url)} WITH (FORCE)")

    def url(self, name: str) -> str:
        """The SQLAlchemy URL of the database `name`."""
        return f"postgresql+psycopg://postgres@/{name}?host={self._directory}"

    def _execute(self, statement: str) -> None:
        assert self._admin is not None, "the server is not started"
        self._admin.execute(statement)  # type: ignore[call-overload]

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        assert self._process is not None
        deadline = monotonic() + START_SECONDS
        while True:
            try:
                return psycopg.connect(
                    host=str(self._directory), user="postgres", dbname="postgres", autocommit=True, connect_timeout=5
                )
            except psycopg.OperationalError as error:
                try:
                    self._process.wait(0.02)
                except subprocess.TimeoutExpired:
                    if monotonic() < deadline:
                        continue
                log = (self._directory / "log").read_text(errors="replace").strip()
                pytest.fail(f"PostgreSQL did not come up: {error}\nits log: {log}")


def database_name(url: str) -> str:
    """The database's name in a URL made by `PostgresServer.create`."""
    found = re.search(r"@/(\w+)\?", url)
    assert found, f"{url} was not made by PostgresServer"
    return found[1]


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        pytest.fail("PostgreSQL is not installed: the tests need the distribution's package `postgresql` (make setup)")
    return found[-1].parent


def _as_postgres() -> list[str]:
    """PostgreSQL refuses to run as root. The death signal ends the server with the test process, however that ends."""
    drop = ["--reuid", "postgres", "--regid", "postgres", "--init-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *drop, "--pdeathsig", "QUIT", "--"]


def _memory() -> str:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"


def _own(directory: Path) -> None:
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(directory, user.pw_uid, user.pw_gid)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The test process's PostgreSQL."""
    # Not under pytest's own base directory: that is closed to the server's user, and a socket's path must be short.
    # In memory where there is such a place: a new database is hundreds of small files.
    server = PostgresServer(Path(tempfile.mkdtemp(prefix="stackyard-pg-", dir=_memory())))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres_pool(postgres_server: PostgresServer) -> Iterator[Pool]:
    """Databases of that server which are used again."""
    pool = Pool(postgres_server.create)
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture
def postgres_url(postgres_pool: Pool) -> Iterator[str]:
    """The SQLAlchemy URL of an empty PostgreSQL database."""
    with postgres_pool.lend() as url:
        yield url
