"""The plug-ins of a running cloud: what listens where, from the start of the process to its end.

A cloud is as good without a plug-in: what cannot be listened on is told in the log, and nothing else.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

from stackyard.core.runtime import Runtime
from stackyard.plugins import cni, doctor, listening
from stackyard.plugins.cni.app import CniServer
from stackyard.plugins.kuryr.app import Plugin
from stackyard.services import keys

log = logging.getLogger("stackyard.plugins")

KURYR_CLASSIC = ("127.0.0.1", 23750)
"""Where Kuryr listens by default."""


class Plugins:
    """`listeners` are ASGI applications, each with a socket that listens for it."""

    def __init__(self, runtime: Runtime) -> None:
        self.listeners: list[tuple[Any, socket.socket]] = []
        self._paths: list[tuple[Path, socket.socket]] = []
        self._kuryr: Plugin | None = None
        settings = runtime.settings
        if settings.kuryr.enabled:
            self._kuryr = Plugin(runtime)
            self._add_path(self._kuryr, Path(settings.kuryr.socket))
            if settings.server.classic_ports:
                self._add_port(self._kuryr, KURYR_CLASSIC)
        if settings.cni.enabled:
            self._add_path(CniServer(runtime), runtime[keys.STATE_DIR] / cni.SOCKET_NAME)
        self._add_path(doctor.DoctorServer(runtime), runtime[keys.STATE_DIR] / doctor.SOCKET_NAME)

    def _add_path(self, application: Any, path: Path) -> None:
        listener = listening.listen(path)
        if listener is not None:
            self._paths.append((path, listener))
            self.listeners.append((application, listener))

    def _add_port(self, application: Any, address: tuple[str, int]) -> None:
        try:
            self.listeners.append((application, socket.create_server(address)))
        except OSError as error:
            log.warning("a port is not served", extra={"port": address[1], "reason": error.strerror})

    def start(self) -> None:
        """Take up what was being done when the last process ended."""
        if self._kuryr is not None:
            self._kuryr.start()

    def stop(self) -> None:
        """Give back the names of sockets, and end what is being done."""
        for path, listener in self._paths:
            listening.leave(path, listener)
        if self._kuryr is not None:
            self._kuryr.stop()
