"""`stackyard status`."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from stackyard import __version__
from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen, database_of, settings_of
from stackyard.state import StateDirectory


@click.command()
@state_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(state_dir: Path | None, as_json: bool) -> None:
    """Services, host, counts and versions. Exits 3 when the cloud does not run."""
    state = chosen(state_dir)
    found = gather(state)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    else:
        show(found)
    if not found["running"]:
        sys.exit(3)


def gather(state: StateDirectory) -> dict[str, Any]:
    """All that status tells."""
    from stackyard.app import SERVICES
    from stackyard.insight import counts
    from stackyard.launch import server_url

    cloud = state.read()
    pid = state.running_pid()
    url = server_url(settings_of(state))
    with database_of(state) as database:
        counted = database.read("status", counts)
        kind = database.url.get_backend_name()
    return {
        "running": pid is not None,
        "pid": pid,
        "cloud_id": cloud.id,
        "created": cloud.created,
        "state_dir": str(state.path),
        "url": url,
        "memory_mib": _memory(pid),
        "services": [
            {"type": s.type, "name": s.name, "url": url + s.mount + s.catalog_path, "microversion": _version(s)}
            for s in SERVICES
        ],
        "host": {"name": platform.node(), "kernel": platform.release(), "engine": _engine(state)},
        "counts": counted,
        "versions": {"stackyard": __version__, "python": platform.python_version(), "database": kind},
    }


def _version(service: Any) -> str:
    return str(service.microversions.maximum) if service.microversions else ""


def _memory(pid: int | None) -> int | None:
    if pid is None:
        return None
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    return None


def _engine(state: StateDirectory) -> str:
    """The engine in words; nothing is started to find out."""
    from stackyard.host.containers.docker import DockerEngine
    from stackyard.host.containers.dockerd import running_engine
    from stackyard.host.errors import HostError

    cloud = state.read()
    try:
        socket_path = running_engine(cloud.docker_socket or None, state.path, cloud.id)
        if socket_path is None:
            return "none answers"
        engine = DockerEngine(socket_path, cloud.id, state.path)
        info = engine.info()
        engine.close()
    except HostError as error:
        return f"does not answer: {error}"
    return f"{info.name} {info.version}, sandbox mode {info.sandbox_mode}, {socket_path}"


def show(found: dict[str, Any]) -> None:
    """Print it for a person."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    state = f"runs (process {found['pid']}, {found['memory_mib']} MiB)" if found["running"] else "does not run"
    console.print(f"The cloud {found['cloud_id']} {state}; state in {found['state_dir']}")
    table = Table("Service", "Name", "URL", "Microversion", box=None, pad_edge=False)
    for service in found["services"]:
        table.add_row(service["type"], service["name"], service["url"], service["microversion"])
    console.print(table)
    host = found["host"]
    console.print(f"Host {host['name']}: Linux {host['kernel']}, container engine: {host['engine']}")
    table = Table("Count", "", box=None, pad_edge=False)
    for name, number in found["counts"].items():
        table.add_row(name, str(number))
    console.print(table)
    console.print(", ".join(f"{name} {version}" for name, version in found["versions"].items()))
