"""Knocks on a container's door, from inside a network namespace too: connected or refused, or a page that is served."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
import time
from collections.abc import Callable

_CLONE_NEWNET = 0x40000000
_PORT = 9  # discard: nothing listens there in the benchmark's containers
_libc = ctypes.CDLL(None, use_errno=True)


def reach(address: str, *, seconds: float = 10.0) -> float:
    """Seconds until the address answered a TCP connect. Raises TimeoutError."""
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        try:
            socket.create_connection((address, _PORT), timeout=1.0).close()
        except ConnectionRefusedError:
            pass
        except OSError:
            continue
        return time.perf_counter() - started
    raise TimeoutError(f"{address} is not reachable after {seconds:.0f} s")


def fetch(address: str, *, seconds: float = 10.0) -> float:
    """Seconds until the address answered a GET of its page. Raises TimeoutError."""
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        try:
            with socket.create_connection((address, 80), timeout=1.0) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                if b" 200 " in connection.recv(64):
                    return time.perf_counter() - started
        except ConnectionRefusedError:
            time.sleep(0.001)  # its server is not there yet
        except OSError:
            continue
    raise TimeoutError(f"{address} does not answer HTTP after {seconds:.0f} s")


class Namespace:
    """The network namespace of a process, for connections made from there."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def reach(self, address: str, knock: Callable[[str], float] = reach) -> float:
        """As the function `knock`, from inside. A thread goes there and ends there; the process stays where it is."""
        outcome: list[float | Exception] = []

        def enter() -> None:
            try:
                if _libc.setns(self._descriptor, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
                outcome.append(knock(address))
            except OSError as error:  # TimeoutError is one
                outcome.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        result = outcome[0]
        if isinstance(result, Exception):
            raise result
        return result

    def close(self) -> None:
        """Lets the namespace go."""
        os.close(self._descriptor)
