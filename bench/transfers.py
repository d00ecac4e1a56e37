"""Rows of an image's data: 1 GiB in and out, against copying the same file with checksums on the same disk."""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.client import Client
from bench.context import Context
from bench.rows import Goal, Row

GOAL = Goal("ratio", ">=", 0.8)
UPLOAD = "image upload of 1 GiB"
DOWNLOAD = "image download of 1 GiB"
BLOCK = 1 << 20
# What a person would type: the copy and both sums, one after another, and the data on the disk before it counts.
COPY = 'cp "$1" "$2" && sync "$2" && sha512sum "$2" >/dev/null && md5sum "$2" >/dev/null'


def transfers(context: Context) -> Iterator[Row]:
    """Upload and download through the API, and the copy between them, in turns; MiB a second."""
    size, rounds = (64 << 20, 1) if context.quick else (1 << 30, 3)
    folder = context.cloud.state_dir / "bench-transfers"
    folder.mkdir(exist_ok=True)
    source, copy = folder / "source", folder / "copy"
    _make(source, size)
    rates: tuple[list[float], list[float], list[float]] = ([], [], [])
    memory = [context.cloud.memory()[0]]
    for _ in range(rounds):
        image = _queued(context.client)
        url = f"{context.client.target.image}/images/{image}/file"
        rates[0].append(_rate(size, lambda url=url: _upload(context.client, url, source)))  # type: ignore[misc]
        memory.append(context.cloud.memory()[0])
        rates[1].append(_rate(size, lambda url=url: _download(context.client, url, copy)))  # type: ignore[misc]
        memory.append(context.cloud.memory()[0])
        context.client.delete(f"{context.client.target.image}/images/{image}")
        copy.unlink()
        rates[2].append(_rate(size, lambda: _copy(source, copy)))
        copy.unlink()
    source.unlink()
    folder.rmdir()
    note = f"memory of the cloud grew by {max(memory) - memory[0]:.0f} MiB at most; reference: {_shown()}"
    reference = statistics.median(rates[2])
    yield Row(UPLOAD, "MiB/s", GOAL, statistics.median(rates[0]), reference, note)
    yield Row(DOWNLOAD, "MiB/s", GOAL, statistics.median(rates[1]), reference)


def _shown() -> str:
    return COPY.replace('"$1"', "SOURCE").replace('"$2"', "COPY").replace(" >/dev/null", "")


def _make(path: Path, size: int) -> None:
    """Random bytes: nothing about them can be left out."""
    with path.open("wb") as file:
        for _ in range(size // BLOCK):
            file.write(os.urandom(BLOCK))
        file.flush()
        os.fsync(file.fileno())


def _queued(client: Client) -> str:
    body = {"name": "bench-transfer", "disk_format": "raw", "container_format": "bare"}
    return str(client.post(f"{client.target.image}/images", body)["id"])


def _rate(size: int, action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return size / (1 << 20) / (time.perf_counter() - started)


def _upload(client: Client, url: str, source: Path) -> None:
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=300, blocksize=BLOCK)
    size = str(source.stat().st_size)
    headers = {**client.headers, "Content-Type": "application/octet-stream", "Content-Length": size}
    with source.open("rb") as file:
        connection.request("PUT", parts.path, file, headers)
        answer = connection.getresponse()
        text = answer.read()
    connection.close()
    if answer.status != 204:
        raise RuntimeError(f"the upload answered {answer.status}: {text[:200]!r}")


def _download(client: Client, url: str, target: Path) -> None:
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=300)
    connection.request("GET", parts.path, headers=client.headers)
    answer = connection.getresponse()
    buffer = memoryview(bytearray(BLOCK))
    with target.open("wb") as file:
        while count := answer.readinto(buffer):
            file.write(buffer[:count])
        file.flush()
        os.fsync(file.fileno())
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"the download answered {answer.status}")


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["sh", "-c", COPY, "copy", str(source), str(target)], check=True)
