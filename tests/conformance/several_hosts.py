"""A cloud of two hosts on one machine, on one PostgreSQL: the second is a process in a network namespace of its own.

Both run real machines on real networks, joined by tunnels over a veth pair. The suites talk to the first host, so that
routers, and with them floating addresses, are where they can be reached. Needs root.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.conformance.cloud import STORES, Cloud, CloudError, free_port, settings
from tests.postgres import PostgresServer

ADDRESSES = ("192.0.2.1", "192.0.2.2")
"""Of the tunnel's ends (RFC 5737: nobody's)."""

ONE, TWO = "host-one", "host-two"
SECOND_HAS = 6144
"""MiB of memory that the second host may give away, less than the first: what may be anywhere is on the first one."""


class SeveralHosts(Cloud):
    """Two hosts that were started for the run, or a cloud of as many as there are that runs already."""

    def __init__(self, state_dir: Path | None) -> None:
        super().__init__(state_dir)
        self._run = f"sy-judge-{secrets.token_hex(3)}"
        self._own: Path | None = None
        self._database: PostgresServer | None = None
        self._plugged = False
        self._two: dict[str, str] = {}

    def __enter__(self) -> SeveralHosts:
        if self.owned:
            try:
                self._start()
            except BaseException:
                self.remove()
                raise
        return self

    def _start(self) -> None:
        self._database = PostgresServer(Path(tempfile.mkdtemp(prefix="stackyard-judged-database-")))
        self._database.start()
        self._own = Path(tempfile.mkdtemp(prefix="stackyard-judged-host-"))
        key = self._own / "credential-key"
        key.write_text(secrets.token_hex(32))
        key.chmod(0o600)
        port = str(free_port())
        pool = self._own / "volumes"
        pool.mkdir()
        common = {
            "STACKYARD_VOLUME_POOL": str(pool),
            "STACKYARD_VOLUME_SHARED": "true",
            "STACKYARD_DATABASE_URL": self._database.create(),
            "STACKYARD_CREDENTIAL_KEY_FILE": str(key),
            "STACKYARD_NETWORK_PUBLIC_CIDR": "198.51.100.0/24",
        }
        self._plug()
        one = {"STACKYARD_SERVER_HOST_NAME": ONE, "STACKYARD_NETWORK_TUNNEL_ADDRESS": ADDRESSES[0]}
        self._settings = settings(self.state_dir, secure_hash=True) | common | one
        self._stackyard("up", "--port", port)
        shared = STORES[0].format(fast=self.state_dir / "fast"), f"file path={self.state_dir / 'images'}", *STORES[2:]
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        two = {
            "STACKYARD_SERVER_HOST_NAME": TWO,
            "STACKYARD_NETWORK_TUNNEL_ADDRESS": ADDRESSES[1],
            "STACKYARD_IMAGE_STORES": ",".join(shared),
            "STACKYARD_ENGINE_DOCKER_SOCKET": str(self.engine_socket()),
            "STACKYARD_KURYR_ENABLED": "false",
            "STACKYARD_COMPUTE_RESERVED_HOST_MEMORY": str(max(512, memory - SECOND_HAS)),
        }
        self._two = self._settings | two
        self._on_second("up", "--port", port)

    def remove(self) -> None:
        """Ends both hosts and everything that they made."""
        try:
            if self._two:
                self._on_second("down", "--purge")
        finally:
            try:
                super().remove()
            finally:
                if self._own is not None:
                    shutil.rmtree(self._own, ignore_errors=True)
                if self._database is not None:
                    self._database.stop()
                if self._plugged:
                    self._ip("netns", "delete", self._run)  # the veth pair goes with it

    def logs(self) -> tuple[Path, ...]:
        """Of both hosts."""
        there = (self._own / "state" / "log" / "stackyard.log",) if self._own is not None else ()
        return (*super().logs(), *there)

    def _on_second(self, command: str, *arguments: str) -> None:
        assert self._own is not None
        enter = ("nsenter", f"--net=/run/netns/{self._run}")
        self._stackyard(command, *arguments, enter=enter, state_dir=self._own / "state", environment=self._two)

    def _plug(self) -> None:
        """A namespace for the second host, and a wire to it."""
        near, far = f"{self._run[-6:]}-1", f"{self._run[-6:]}-2"
        self._ip("netns", "add", self._run)
        self._plugged = True
        self._ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", self._run)
        self._ip("address", "add", f"{ADDRESSES[0]}/24", "dev", near)
        self._ip("link", "set", near, "up")
        self._ip("-n", self._run, "address", "add", f"{ADDRESSES[1]}/24", "dev", far)
        for device in ("lo", far):
            self._ip("-n", self._run, "link", "set", device, "up")

    @staticmethod
    def _ip(*words: str) -> None:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CloudError(f"ip {' '.join(words)}: {done.stderr.strip()}")
