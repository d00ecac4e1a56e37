"""What the rows of one run share: our cloud, the peers and the container engine, started when first needed."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable

from bench import cloud as ours
from bench.client import Client
from bench.engine import Engine
from bench.peers import daemons, database, seed
from bench.peers.settings import Settings

PEER_PACKAGES = ("keystone", "glance", "neutron", "nova", "openstack_placement", "zun")


class UnavailableError(Exception):
    """One side of the comparison is not there; the text says what and how to get it."""


@dataclasses.dataclass
class Context:
    """Opened around a run: everything that it starts is ended when it closes."""

    quick: bool
    report: Callable[[str], None]
    peers: Settings = dataclasses.field(default_factory=Settings.from_environment)
    _first_start: float | None = None
    _cloud_failure: Exception | None = None
    _stack: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._stack.close()
        except Exception as error:  # noqa: BLE001 - the figures are not to be lost with it; everything else was ended
            self.report(f"clearing up failed: {type(error).__name__}: {error}")

    @functools.cached_property
    def engine(self) -> Engine:
        """A Docker Engine of the run's own, with its own bridge; both sides use it."""
        self.report("starting a Docker Engine")
        engine = Engine()
        self._stack.callback(engine.stop)
        engine.start()
        return engine

    @functools.cached_property
    def cloud(self) -> ours.Cloud:
        """A seeded, running cloud; its first start is timed."""
        if not ours.is_installed():
            raise UnavailableError("stackyard is not installed (make setup)")
        if self._cloud_failure:  # a cloud that did not start once is not tried again for every row
            raise self._cloud_failure
        cloud = ours.Cloud(self.engine.state_dir, docker_socket=self.engine.socket)
        self._stack.callback(cloud.remove)
        self.report("starting the cloud")
        try:
            self._first_start = cloud.start()
        except (ours.CloudError, TimeoutError) as error:
            self._cloud_failure = error
            raise
        return cloud

    def first_start(self) -> float:
        """The seconds that the cloud's first start took."""
        _ = self.cloud
        assert self._first_start is not None
        return self._first_start

    @functools.cached_property
    def client(self) -> Client:
        """The administrator's connection to our cloud."""
        return self._signed_in(Client(self.cloud.target()))

    @functools.cached_property
    def peer_client(self) -> Client:
        """The administrator's connection to the peers, which are started for it."""
        self.require_peers()
        if not self.peers.is_initialised():
            self.report("making the peers' databases (once)")
            database.initialise(self.peers, self.report)
        self._stack.callback(daemons.stop, self.peers)
        self.report(f"starting the peers: {daemons.start(self.peers):.1f} s")
        seed.seed_agent(self.peers)
        return self._signed_in(Client(self.peers.target()))

    def require_peers(self) -> None:
        """Raises UnavailableError when the peers are not installed."""
        if not self.peers.is_installed():
            raise UnavailableError("the peers are not installed (make bench-peers)")

    def own_peers(self) -> None:
        """From now on the peers' daemons are ended with the run, however they were started."""
        self._stack.callback(daemons.stop, self.peers)

    def rest(self, seconds: float = 2.0) -> None:
        """Lets what was just started come to rest, so that it does not run into the next figure."""
        time.sleep(0.5 if self.quick else seconds)

    def versions(self) -> dict[str, str]:
        """The versions of what was started."""
        found = {}
        if "engine" in self.__dict__:
            found["docker"] = self.engine.version()
        for package in PEER_PACKAGES if self.peers.is_installed() else ():
            for path in self.peers.venv.glob(f"lib/python3*/site-packages/{package}-*.dist-info"):
                found[package] = path.name.removeprefix(f"{package}-").removesuffix(".dist-info")
        return found

    def _signed_in(self, client: Client) -> Client:
        self._stack.callback(client.close)
        client.authenticate()
        return client
