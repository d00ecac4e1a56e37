"""A cloud of two hosts in one process: the one of every test, and another with twins of its own, on one PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from tests.api.compute import booted, rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

from stackyard.app import Cloud, Host
from stackyard.core.config import Settings
from stackyard.core.db import Database
from stackyard.host.containers.memory import MemoryEngine
from stackyard.host.machines.memory import MemoryMachines, in_memory_host
from stackyard.host.network.memory import MemoryNetworkDriver

ONE, TWO = "testhost", "otherhost"


class Second:
    """The other host; `stop` and `start` again are a restart of its process, what it runs goes on meanwhile."""

    def __init__(self, url: str, directory: Path, settings: Settings | None = None) -> None:
        self._url, self._directory, self._settings = url, directory, settings or Settings()
        self.network = MemoryNetworkDriver()
        self._twins = in_memory_host()
        self.machines: dict[str, MemoryMachines] = self._twins["machines"]
        directory.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        """A process begins."""
        self.database = Database(self._url)
        host = Host(name=TWO, state_dir=self._directory, engine=MemoryEngine(), network=self.network, **self._twins)
        self.cloud = Cloud(self._settings, self.database, host)
        self.cloud.start()

    def stop(self) -> None:
        """It ends."""
        self.cloud.stop()


class Both:
    """The two, and who may do what with servers."""

    def __init__(self, one: TestCloud, two: Second) -> None:
        self.one, self.two = one, two
        self.admin, self.demo = Nova(one, "admin"), Nova(one, "demo")

    def machines(self, host: str, kind: str = "machine") -> MemoryMachines:
        """A host's twin."""
        return (self.one.machines if host == ONE else self.two.machines)[kind]

    def has(self, host: str, server: str, kind: str = "machine") -> str | None:
        """What a host shows of a server."""
        seen = self.machines(host, kind).inspect(server)
        return None if seen is None else seen.state

    def server(self, **fields: object) -> str:
        """One that runs on the first host."""
        booted.put_down(self.one, TWO)
        try:
            server = booted.server(self.one, self.demo, **fields)  # type: ignore[arg-type]
        finally:
            booted.put_down(self.one, TWO, down=False)
        assert rows.row(self.one, server).host == ONE
        return server

    def becomes(self, server: str, status: str, host: str | None = None) -> None:
        """Wait until a server is shown so, on that host."""

        def there() -> bool:
            row = rows.row(self.one, server)
            shown = booted.status(self.demo, server)
            return shown == status and row.task is None and host in (None, row.host)

        try:
            booted.until(there, 20)
        except AssertionError:
            raise AssertionError(f"{rows.row(self.one, server)._asdict()}\n{booted.move(self.one, server)}") from None
