"""Requests a second and latencies of one call, by wrk."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRIPT = Path(__file__).with_name("headers.lua")
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclasses.dataclass(frozen=True)
class Load:
    """One call, again and again: `clients` connections, each with one request at a time. A body is posted as JSON."""

    url: str
    headers: dict[str, str]
    clients: int
    body: str | None = None

    def start(self, seconds: int) -> subprocess.Popen[str]:
        """wrk with one thread, for so long."""
        # wrk takes headers as arguments, but secrets there would show in the process list: the script reads them.
        environment = {
            **os.environ,
            "WRK_HEADERS": "\n".join(f"{name}={value}" for name, value in self.headers.items()),
        }
        if self.body is not None:
            environment["WRK_BODY"] = self.body
        argv = ["wrk", "-t1", f"-c{self.clients}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", str(SCRIPT)]
        return subprocess.Popen(
            [*argv, self.url], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, seconds: int) -> Measured:
        """Put the load on for so long. Raises RuntimeError when a request failed or was refused."""
        output, errors = self.start(seconds).communicate()
        rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
        slowest = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s|m)\s*$", output, re.MULTILINE)
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
        if rate is None or slowest is None or refused:
            reason = refused[0] if refused else (output + errors)[-300:]
            raise RuntimeError(f"wrk on {self.url}: {reason}")
        if float(rate[1]) == 0:  # nothing was answered in time: it takes longer than that
            return Measured(0.0, seconds * 1000.0)
        return Measured(float(rate[1]), float(slowest[1]) * _MILLISECONDS[slowest[2]])

    @contextmanager
    def meanwhile(self, seconds: int) -> Iterator[None]:
        """Put the load on while something else is measured, for at most so long."""
        running = self.start(seconds)
        try:
            yield
        finally:
            running.terminate()
            running.communicate()


@dataclasses.dataclass(frozen=True)
class Measured:
    """Requests a second, and the milliseconds within which 99 of 100 were answered."""

    rate: float
    p99: float


def requests_per_second(url: str, headers: dict[str, str], *, clients: int, seconds: int) -> float:
    """The rate of a GET. Raises RuntimeError when a request failed or was refused."""
    return Load(url, headers, clients).run(seconds).rate
