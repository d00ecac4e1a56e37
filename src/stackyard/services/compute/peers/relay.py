"""Carrying bytes both ways between a connection to another host and a socket here, until either ends."""

from __future__ import annotations

import select
import socket
import ssl
import threading

_CHUNK = 256 << 10
"""So much at most waits in each direction: whoever is faster is held up."""


class _Way:
    """One direction: what was read and is not written yet."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.waiting = memoryview(b"")
        self.ended = False

    @property
    def reads(self) -> bool:
        return not self.waiting and not self.ended

    def read(self) -> None:
        try:
            data = self.source.recv(_CHUNK)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return
        except OSError:
            data = b""
        self.waiting, self.ended = memoryview(data), not data

    def write(self) -> None:
        try:
            sent = self.target.send(self.waiting)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return
        except OSError:
            self.ended, self.waiting = True, memoryview(b"")
            return
        self.waiting = self.waiting[sent:]


def relay(outer: socket.socket, inner: socket.socket) -> None:
    """Until one side ends and all that it sent is passed on; both are closed then. Raises nothing."""
    ways = (_Way(outer, inner), _Way(inner, outer))
    poll = select.poll()
    try:
        for one in (outer, inner):
            one.settimeout(0)
        while not any(way.ended and not way.waiting for way in ways):
            _turn(poll, ways)
    except (OSError, ValueError):
        pass  # closed by whoever began it
    finally:
        for one in (outer, inner):
            one.close()


def _turn(poll: select.poll, ways: tuple[_Way, _Way]) -> None:
    wanted: dict[int, int] = {}
    ready = False
    for way in ways:
        if way.waiting:
            wanted[way.target.fileno()] = wanted.get(way.target.fileno(), 0) | select.POLLOUT
        elif way.reads:
            wanted[way.source.fileno()] = wanted.get(way.source.fileno(), 0) | select.POLLIN
            # What the TLS layer has decrypted already is seen by nobody who polls.
            ready = ready or (isinstance(way.source, ssl.SSLSocket) and way.source.pending() > 0)
    for descriptor, events in wanted.items():
        poll.register(descriptor, events)
    try:
        poll.poll(0 if ready else None)
    finally:
        for descriptor in wanted:
            poll.unregister(descriptor)
    for way in ways:
        if way.waiting:
            way.write()
        elif way.reads:
            way.read()


def in_background(outer: socket.socket, inner: socket.socket, name: str) -> None:
    """The same in a thread of its own, that no end of the process waits for."""
    threading.Thread(target=relay, args=(outer, inner), name=name, daemon=True).start()
