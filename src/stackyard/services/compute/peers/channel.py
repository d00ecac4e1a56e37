"""Listening for other hosts, and calling them.

Who calls shows a ticket first; what it may ask of is the server of that ticket's move, and nothing else. A ticket for
looking at a server opens what shows it, and nothing that changes it.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from stackyard.core.runtime import Key, Runtime
from stackyard.host.errors import HostError
from stackyard.services import keys
from stackyard.services.compute import hosts
from stackyard.services.compute.peers import certificate, tickets
from stackyard.services.compute.peers.stream import FIRST_BYTES, Stream

log = logging.getLogger("stackyard.compute")

CONNECT_SECONDS = 10.0
QUIET_SECONDS = 600.0
"""How long an answer may take: a host fetches an image before it says that it is prepared."""
MOST_AT_ONCE = 64

_ALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
_UNACKNOWLEDGED_MS = 30_000


class Call(msgspec.Struct):
    """What another host asks: the row of the move, or of the server that is looked at, who asks, and what with."""

    move: Any
    caller: str
    arguments: dict[str, Any]
    server: Any = None


Handler = Callable[[Runtime, Call, Stream], None]
"""Answers a call, and sends or carries what follows; raises HostError before it has answered."""


class Peers:
    """`handlers` are by the verb of the call, `lookers` those of calls that look at a server of this host.

    Nothing listens in a cloud that can have no second host.
    """

    def __init__(self, runtime: Runtime, handlers: dict[str, Handler], lookers: dict[str, Handler]) -> None:
        self._runtime = runtime
        self._handlers = handlers
        self._lookers = lookers
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._listener: socket.socket | None = None
        self._context: ssl.SSLContext | None = None
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self.port: int | None = None
        self.digest: str | None = None

    def start(self) -> None:
        """Listen, where other hosts reach this one."""
        port = self._runtime.settings.compute.migration_port
        if self._listener is not None or (self._runtime.database.is_sqlite and not port):
            return
        address = hosts.address(self._runtime)
        try:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._listener = socket.create_server((address, port), family=family, backlog=64)
        except OSError as error:
            log.warning("servers cannot move to or from this host", extra={"at": address, "reason": str(error)})
            return
        self._context, self.digest = certificate.of_host(self._runtime[keys.STATE_DIR] / "compute")
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), name="peers", daemon=True).start()

    def close(self) -> None:
        """Listen no more, and let go of whoever is connected."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        with self._guard:
            connected = list(self._open)
        for one in connected:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    # -- calling

    def call(self, host: str, about: str, verb: str, /, **arguments: Any) -> tuple[Any, Stream]:
        """Ask another host about a move or a server; its answer, and the connection for what follows.

        Raises HostError, SpecError.
        """
        row, secret = self._runtime.database.write("peer.ticket", self._ticket, host, about)
        try:
            plain = socket.create_connection((row.address, row.peer_port), CONNECT_SECONDS)
        except OSError as error:
            raise HostError(f"host {host} cannot be reached at {row.address}:{row.peer_port}: {error}") from error
        stream = Stream(self._secured(plain, row))
        try:
            stream.send({"ticket": secret})
            stream.send({"verb": verb, "arguments": arguments})
            stream.socket.settimeout(QUIET_SECONDS)
            return stream.answered(), stream
        except BaseException:
            stream.socket.close()
            raise

    def _ticket(self, tx: Any, host: str, about: str) -> tuple[Any, str]:
        row = hosts.find(tx, host)
        if row is None or row.peer_port is None or row.peer_certificate is None:
            raise HostError(f"host {host} does not say where it is reached by others")
        return row, tickets.issue(tx, about, asked_by=self._runtime[keys.HOST_NAME], asked_of=host)

    @staticmethod
    def _secured(plain: socket.socket, row: Any) -> ssl.SSLSocket:
        _watch_over(plain)
        try:
            made = certificate.for_calls().wrap_socket(plain)
        except OSError as error:
            plain.close()
            raise HostError(f"host {row.host} does not speak with us: {error}") from error
        if not certificate.is_of(made, row.peer_certificate):
            made.close()
            raise HostError(f"what answers at {row.address}:{row.peer_port} is not host {row.host}")
        return made

    @contextlib.contextmanager
    def asking(self, host: str, about: str, verb: str, /, **arguments: Any) -> Iterator[tuple[Any, Stream]]:
        """The same, closed at the end of the block."""
        answer, stream = self.call(host, about, verb, **arguments)
        try:
            yield answer, stream
        finally:
            stream.socket.close()

    def ask(self, host: str, about: str, verb: str, /, **arguments: Any) -> Any:
        """The same, for an answer alone."""
        with self.asking(host, about, verb, **arguments) as (answer, _):
            return answer

    # -- answering

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if not self._slots.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), name="peer", daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with self._guard:
            self._open.add(plain)
        made: socket.socket = plain
        try:
            plain.settimeout(CONNECT_SECONDS)
            _watch_over(plain)
            if self._context is not None:
                made = self._context.wrap_socket(plain, server_side=True)
                with self._guard:
                    self._open.add(made)
                self._answer(Stream(made))
        except (HostError, OSError) as error:
            log.info("a call of another host ended", extra={"reason": str(error)})
        except Exception:
            log.exception("a call of another host failed")
        finally:
            with self._guard:
                self._open -= {plain, made}
            made.close()
            self._slots.release()

    def _answer(self, stream: Stream) -> None:
        shown = stream.receive(FIRST_BYTES)
        secret = shown.get("ticket") if isinstance(shown, dict) else None
        host = self._runtime[keys.HOST_NAME]
        good = None
        if isinstance(secret, str):
            good = self._runtime.database.write("peer.redeem", tickets.redeem, secret, host)
        if good is None:
            raise HostError("no good ticket was shown")
        asked = stream.receive()
        known = self._handlers if good.server is None else self._lookers
        handler = known.get(str(asked.get("verb"))) if isinstance(asked, dict) else None
        try:
            if handler is None:
                raise HostError("this host does not know what is asked of it: it runs another version")
            stream.socket.settimeout(QUIET_SECONDS)
            asking = Call(good.move, good.asked_by, dict(asked.get("arguments") or {}), good.server)
            handler(self._runtime, asking, stream)
        except HostError as error:
            with contextlib.suppress(HostError):
                stream.refuse(error)


def _watch_over(connection: socket.socket) -> None:
    """Notice a host that is gone without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _ALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


PEERS: Key[Peers] = Key("channel to other hosts")
