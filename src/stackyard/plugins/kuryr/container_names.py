"""Names of Docker's containers, for the DNS of their networks: the one thing that Docker does not tell its drivers.

So it is asked for, on its own API, once the container is on the network; until then, and when it does not answer, the
container has no name in our DNS. Docker's own DNS, which its containers ask first, knows them all.
"""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.plugins.kuryr.session import open_session
from stackyard.services import keys
from stackyard.services.network import api as network_api

log = logging.getLogger("stackyard.kuryr")

_TRIES = 10
_PAUSE = 0.3
_SECONDS = 5.0
_LARGEST = 8 * 1024 * 1024


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(self._path)


def engines(runtime: Runtime) -> list[str]:
    """Sockets of engines that may be the one that asks: the one that is set, else the machine's, and our own."""
    settings = runtime.settings
    if settings.kuryr.docker_socket:
        return [settings.kuryr.docker_socket]
    own = runtime[keys.STATE_DIR] / "docker" / "docker.sock"
    found = [settings.engine.docker_socket.removeprefix("unix://"), "/var/run/docker.sock", str(own)]
    return [path for path in dict.fromkeys(found) if path and Path(path).is_socket()]


def learn(runtime: Runtime, network_id: str, endpoint_id: str) -> None:
    """Give an endpoint's port the name of its container, which Docker may need a moment to know itself."""
    pause = threading.Event()
    for _ in range(_TRIES):
        name = _find(engines(runtime), network_id, endpoint_id)
        if name:
            runtime.database.write("kuryr.name", _rename, runtime, network_id, endpoint_id, name)
            return
        pause.wait(_PAUSE)


def _find(paths: Iterable[str], network_id: str, endpoint_id: str) -> str:
    for path in paths:
        try:
            name = name_in(_ask(path, f"/networks/{network_id}"), endpoint_id)
        except (OSError, ValueError, http.client.HTTPException) as error:
            log.debug("an engine does not tell names", extra={"path": path, "reason": str(error)})
            continue
        if name:
            return name
    return ""


def _ask(path: str, address: str) -> Any:
    connection = _UnixConnection(path)
    try:
        connection.request("GET", address)
        answer = connection.getresponse()
        body = answer.read(_LARGEST)
        return json.loads(body) if answer.status == 200 else {}
    finally:
        connection.close()


def name_in(network: Any, endpoint_id: str) -> str:
    """The name of the container with this endpoint, in what Docker says of a network; empty when it is not there."""
    containers = network.get("Containers") if isinstance(network, dict) else None
    for found in (containers or {}).values():
        if found.get("EndpointID") == endpoint_id:
            return str(found.get("Name", ""))
    return ""


def _rename(tx: Transaction, runtime: Runtime, network_id: str, endpoint_id: str, name: str) -> None:
    session = open_session(tx, runtime)
    network = session.network(network_id)
    port = session.port(network, endpoint_id) if network is not None else None
    if port is not None and not port["dns_name"]:
        network_api.rename_port(tx, runtime, port["id"], name)
