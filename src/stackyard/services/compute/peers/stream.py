"""What goes over a connection between hosts: messages (a length and JSON), then the bytes that they were about."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from stackyard.host.errors import HostError, SpecError

MOST_BYTES = 128 << 20
"""Of one message: a machine's description may hold its config drive."""
FIRST_BYTES = 1 << 16
"""Of a message of somebody who has not shown a ticket yet."""
CHUNK = 1 << 20

_LENGTH = struct.Struct(">I")
_PIECE = struct.Struct(">QI")


class Stream:
    """One end of a connection. Raises HostError when the other end goes away or talks nonsense."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

    def send(self, message: Any) -> None:
        """One message."""
        data = msgspec.json.encode(message)
        self.write(_LENGTH.pack(len(data)) + data)

    def receive(self, most: int = MOST_BYTES) -> Any:
        """The next message."""
        length = _LENGTH.unpack(self.read(_LENGTH.size))[0]
        if length > most:
            raise HostError("the other host sends more than a message has")
        try:
            return msgspec.json.decode(self.read(length))
        except msgspec.DecodeError as error:
            raise HostError(f"the other host sends no message: {error}") from error

    def answer(self, found: Any) -> None:
        """What the other end asked for."""
        self.send({"found": found})

    def refuse(self, error: HostError) -> None:
        """Why it is not to be had."""
        self.send({"error": str(error), "never": isinstance(error, SpecError)})

    def answered(self) -> Any:
        """What the other end says. Raises its error as ours: SpecError for what can never be."""
        said = self.receive()
        if not isinstance(said, dict) or not said.keys() & {"found", "error"}:
            raise HostError("the other host gives no answer")
        if "error" in said:
            raise (SpecError if said.get("never") else HostError)(str(said["error"])[:1000])
        return said["found"]

    def write(self, data: bytes | memoryview) -> None:
        """All of it; blocks while the other end is slow."""
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise HostError(f"the other host does not take what it asked for: {error}") from error

    def read(self, count: int) -> bytes:
        """Exactly so many bytes."""
        found = bytearray()
        while len(found) < count:
            try:
                chunk = self.socket.recv(min(count - len(found), CHUNK))
            except OSError as error:
                raise HostError(f"the other host does not go on: {error}") from error
            if not chunk:
                raise HostError("the other host went away")
            found += chunk
        return bytes(found)

    # -- files

    def send_file(self, source: BinaryIO, begin: int) -> None:
        """A file from an offset on, without its holes; then its end."""
        descriptor = source.fileno()
        size = os.fstat(descriptor).st_size
        at = begin
        while at < size:
            try:
                at = os.lseek(descriptor, at, os.SEEK_DATA)
            except OSError:
                break  # nothing but a hole up to the end
            hole = os.lseek(descriptor, at, os.SEEK_HOLE)
            while at < hole:
                data = os.pread(descriptor, min(CHUNK, hole - at), at)
                if not data:
                    raise HostError("a file grew shorter while it was sent")
                self.write(_PIECE.pack(at, len(data)) + data)
                at += len(data)
        self.write(_PIECE.pack(size, 0))

    def receive_file(self, target: Path) -> None:
        """Write what `send_file` sends. The file's length says how far it is, for who goes on after a crash."""
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            while True:
                at, length = _PIECE.unpack(self.read(_PIECE.size))
                if length == 0:
                    os.ftruncate(descriptor, at)
                    os.fsync(descriptor)
                    return
                if length > CHUNK:
                    raise HostError("the other host sends pieces that are too long")
                data = memoryview(self.read(length))
                while data:
                    written = os.pwrite(descriptor, data, at)
                    data, at = data[written:], at + written
        finally:
            os.close(descriptor)
