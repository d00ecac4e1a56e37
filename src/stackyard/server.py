"""The cloud's process: `python -m stackyard.server STATE_DIR`, started by `stackyard up`.

It reads its launch order (one JSON line, which may hold passwords for the seed) from standard input, says on standard
output when every API answers (one JSON line), and serves until SIGTERM or SIGINT.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from stackyard.core.config import Settings
from stackyard.state import CloudFile, StateDirectory

log = logging.getLogger("stackyard.server")


GARBAGE_THRESHOLD = 20_000
"""Objects made before the collector looks at the young ones: a request makes hundreds that end with it."""


WEBSOCKET_BYTES = 1 << 20
"""What one message of a websocket may have."""


class LaunchOrder(msgspec.Struct, kw_only=True):
    """How `stackyard up` wants the cloud: settings by section, and passwords to seed users with."""

    settings: dict[str, dict[str, Any]]
    config_file: str = ""
    passwords: dict[str, str] = {}
    log_to_stderr: bool = False


class Ready(msgspec.Struct, kw_only=True):
    """What is told when the cloud serves, or why it does not."""

    error: str = ""
    url: str = ""
    seeded: bool = False


def load_settings(config_file: str, given: dict[str, dict[str, Any]]) -> Settings:
    """Settings from the file and the environment, with what the command line gave on top."""
    from stackyard.core.config import load, overlay

    return overlay(load(Path(config_file) if config_file else None, os.environ), given)


def serve(state: StateDirectory, order: LaunchOrder) -> int:
    """Run the cloud; returns the exit status."""
    from stackyard.core.log import set_up

    settings = load_settings(order.config_file, order.settings)
    stream = sys.stderr if order.log_to_stderr else state.log_file.open("a", buffering=1)
    set_up(settings.log, stream)
    if not state.acquire():
        _tell(Ready(error=f"a cloud already runs on {state.path} (process {state.running_pid()})"))
        return 1
    try:
        sockets = [_listen(settings.server.host, settings.server.port)]
    except OSError as error:
        where = f"{settings.server.host}:{settings.server.port}"
        _tell(Ready(error=f"cannot listen on {where}: {error.strerror}; choose another with --port"))
        return 1
    try:
        return _run(state, settings, order, sockets[0])
    except Exception as error:
        log.exception("the cloud could not start")
        _tell(Ready(error=f"{type(error).__name__}: {error} (log: {state.log_file})"))
        return 1


def _run(state: StateDirectory, settings: Settings, order: LaunchOrder, main: socket.socket) -> int:
    gc.disable()  # what start-up makes stays, modules too: looking through it for garbage would only take time
    import uvloop

    from stackyard.launch import assemble
    from stackyard.plugins.serving import Plugins

    started = time.perf_counter()
    cloud, seeded = assemble(state, settings, order.passwords)
    cloud.start()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)
    gc.enable()
    listeners = [(_application(cloud, ""), main)]
    if settings.server.classic_ports:
        listeners += [
            (_application(cloud, s.mount), _listen(settings.server.host, s.classic_port)) for s in _classic(settings)
        ]
    plugins = Plugins(cloud.runtime)
    plugins.start()
    listeners += plugins.listeners
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(listeners, _announcement(state, settings, order, started, seeded=seeded)))
    plugins.stop()
    cloud.stop()
    log.info("the cloud has stopped; workloads go on")
    return 0


def _classic(settings: Settings) -> list[Any]:
    from stackyard.app import SERVICES

    return [service for service in SERVICES if service.classic_port != settings.server.port]


def _announcement(
    state: StateDirectory, settings: Settings, order: LaunchOrder, started: float, *, seeded: bool
) -> Any:
    from stackyard.launch import server_url

    url = server_url(settings)

    def announce() -> None:
        cloud = state.read()
        cloud = CloudFile(
            id=cloud.id,
            created=cloud.created,
            host=settings.server.host,
            port=settings.server.port,
            classic_ports=settings.server.classic_ports,
            docker_socket=settings.engine.docker_socket,
            config_file=order.config_file,
            settings=order.settings,
        )
        state.write(cloud)
        log.info("the cloud serves", extra={"url": url, "seconds": round(time.perf_counter() - started, 3)})
        _tell(Ready(url=url, seeded=seeded))

    return announce


def _application(cloud: Any, mount: str) -> Any:
    """The cloud as one listener serves it: all of it, or (on a classic port) the service of that mount."""
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    service = {"stackyard.service": mount} if mount else {}
    behind_proxies = ProxyHeadersMiddleware(cloud, os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1"))

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        scope.update(service)
        # Who is at the other end of the connection, before X-Forwarded-For says whom a proxy speaks for.
        scope["stackyard.peer"] = scope.get("client")
        await behind_proxies(scope, receive, send)

    return serve


async def _serve(listeners: list[tuple[Any, socket.socket]], announce: Any) -> None:
    import uvicorn

    # It tells the whole address of each websocket, and the token of a console is in its query.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)

    class Server(uvicorn.Server):
        """One listener of several: signals are the process's business, and all are waited for."""

        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            self.listening = asyncio.Event()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            self.listening.set()

        def capture_signals(self) -> Any:
            return contextlib.nullcontext()

    servers = [
        Server(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                lifespan="off",
                http="httptools",
                loop="uvloop",
                ws="wsproto",
                ws_max_size=WEBSOCKET_BYTES,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=5,
                server_header=False,
                proxy_headers=False,  # done above
            )
        )
        for application, _ in listeners
    ]
    loop = asyncio.get_running_loop()

    def end() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    tasks = [
        asyncio.ensure_future(server.serve(sockets=[listener]))
        for server, (_, listener) in zip(servers, listeners, strict=True)
    ]
    await asyncio.gather(*(server.listening.wait() for server in servers))
    announce()
    await asyncio.gather(*tasks)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Inherited by connections: an answer goes out in two writes, and must not wait for the client's ACK in between.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((host, port))
    listener.listen(1024)
    listener.set_inheritable(False)
    return listener


def _tell(ready: Ready) -> None:
    """Say it to whoever started us, who may be gone."""
    with contextlib.suppress(OSError):
        os.write(1, msgspec.json.encode(ready) + b"\n")


def main() -> int:
    """Entry point."""
    state = StateDirectory(Path(sys.argv[1]))
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=LaunchOrder)
    return serve(state, order)


if __name__ == "__main__":
    sys.exit(main())
