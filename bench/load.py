"""Requests a second of one read call, by wrk."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).with_name("headers.lua")


def requests_per_second(url: str, headers: dict[str, str], *, clients: int, seconds: int) -> float:
    """Runs wrk with one thread and `clients` connections. Raises RuntimeError when a request failed or was refused."""
    # wrk takes headers as arguments, but a token there would show in the process list: the script reads them instead.
    environment = {**os.environ, "WRK_HEADERS": "\n".join(f"{name}={value}" for name, value in headers.items())}
    argv = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", str(SCRIPT), url]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    if done.returncode or rate is None or refused:
        reason = refused[0] if refused else (done.stdout + done.stderr)[-300:]
        raise RuntimeError(f"wrk on {url}: {reason}")
    return float(rate[1])
