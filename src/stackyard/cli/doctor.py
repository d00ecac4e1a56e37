"""`stackyard doctor`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import click

from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen, database_of, settings_of
from stackyard.state import StateDirectory

ANSWER_SECONDS = 60.0


class Finding(Protocol):
    """What one look found: good or not, in words, and what to do about it."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def detail(self) -> str: ...
    @property
    def remedy(self) -> str: ...


@click.command()
@state_dir_option
def command(state_dir: Path | None) -> None:
    """What this machine offers and lacks, and whether kernel and engine match the database. Exits 1 when not."""
    from rich.console import Console

    from stackyard.host.containers.features import engine_features
    from stackyard.host.disks.features import volume_features
    from stackyard.host.machines.features import machine_features
    from stackyard.host.network.features import network_features

    console = Console()
    state = chosen(state_dir)
    socket_path = engine_socket(state)
    show(console, "Network", network_features())
    show(console, "Containers", engine_features(socket_path))
    show(console, "Machines", machine_features())
    show(console, "Volumes", volume_features(volume_place(state)))
    if not state.exists():
        console.print(f"\nThere is no cloud in {state.path}: nothing to compare with.")
        return
    problems = compare(state, socket_path)
    console.print("\n[bold]Kernel and engine against the database[/bold]")
    for problem in problems:
        console.print(f"  [red]differs[/red]  {problem}")
    if problems:
        console.print("  A running cloud repairs this within half a minute; `stackyard why ID` tells of each.")
        sys.exit(1)
    console.print("  [green]they match[/green]")


def volume_place(state: StateDirectory) -> Path:
    """Where the cloud keeps volumes, or would."""
    from stackyard.core.config import Settings
    from stackyard.host.disks.drivers import place_of

    return place_of(state.path, settings_of(state) if state.exists() else Settings())


def show(console: Any, title: str, findings: Iterable[Finding]) -> None:
    """One table of findings."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("", title, "", box=None, pad_edge=False)
    for found in findings:
        mark = "[green]yes[/green]" if found.ok else "[yellow]no[/yellow]"
        remedy = f"\n→ {found.remedy}" if found.remedy and not found.ok else ""
        table.add_row(mark, escape(found.name), escape(found.detail + remedy))
    console.print(table)


def engine_socket(state: StateDirectory) -> str | None:
    """The socket of the engine that the cloud uses (or would use), when one answers; none is started."""
    from stackyard.host.containers.dockerd import running_engine

    if not state.exists():
        return running_engine(None, state.path, "none")
    cloud = state.read()
    return running_engine(cloud.docker_socket or None, state.path, cloud.id)


def compare(state: StateDirectory, socket_path: str | None) -> list[str]:
    """Where kernel or engine and the database differ, one line each."""
    from stackyard.insight import expected
    from stackyard.launch import host_name
    from stackyard.services.network.api import use_name

    with database_of(state) as database:
        use_name(database, host_name(settings_of(state)))
        wanted = database.read("doctor", expected)
    told = told_by_the_cloud(state)
    lines = compare_network(state, wanted) + compare_machines(state, wanted) if told is None else told
    return lines + compare_containers(state, socket_path, wanted) + compare_volumes(state, wanted)


def told_by_the_cloud(state: StateDirectory) -> list[str] | None:
    """What a running cloud says of its own networks, compared to the last address and rule; None when none runs."""
    import http.client
    import json
    import socket

    from stackyard.plugins.doctor import SOCKET_NAME

    if state.running_pid() is None:
        return None
    connection = http.client.HTTPConnection("localhost")
    try:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(ANSWER_SECONDS)
        connection.sock.connect(str(state.path / SOCKET_NAME))
        connection.request("GET", "/")
        found: list[str] = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return found


def compare_network(state: StateDirectory, wanted: dict[str, set[str]]) -> list[str]:
    """The same for a cloud that does not run, as far as ids go."""
    from stackyard.host.network.kernel import KernelNetworkDriver

    driver = KernelNetworkDriver(state.read().id, state.path / "network")
    driver.start()
    seen = driver.observe()
    driver.close()
    found = {"network": seen.networks, "port": seen.ports, "router": seen.routers}
    lines = [line for kind, there in found.items() for line in by_id(kind, wanted, set(there))]
    return lines + [f"{one}: {problem}" for one, problem in sorted(seen.problems.items())]


def compare_machines(state: StateDirectory, wanted: dict[str, set[str]]) -> list[str]:
    """Where the machines of a cloud that does not run and the database differ."""
    from stackyard.host.machines.drivers import machines_in

    return by_id("machine", wanted, machines_in(state.path))


def compare_containers(state: StateDirectory, socket_path: str | None, wanted: dict[str, set[str]]) -> list[str]:
    """Where the engine and the database differ."""
    from stackyard.host.containers.docker import DockerEngine

    if socket_path is None:
        count = len(wanted["container"])
        return [f"no container engine answers; {count} containers are wanted"] if count else []
    engine = DockerEngine(socket_path, state.read().id, state.path)
    there = {container.id for container in engine.list()}
    engine.close()
    return by_id("container", wanted, there)


def compare_volumes(state: StateDirectory, wanted: dict[str, set[str]]) -> list[str]:
    """Where the files of volumes, snapshots and backups and the database differ."""
    from stackyard.host.disks.drivers import kept_in

    lines = []
    for kind, there in kept_in(state.path, settings_of(state)).items():
        lines += by_id(kind, wanted, there - wanted[f"{kind}?"])
    return lines


def by_id(kind: str, wanted: dict[str, set[str]], there: set[str]) -> list[str]:
    """What is missing and what is too much, but for what is being worked on."""
    missing, foreign = wanted[kind] - there - wanted["busy"], there - wanted[kind] - wanted["busy"]
    lines = [f"{kind} {one}: wanted, but not there" for one in sorted(missing)]
    return lines + [f"{kind} {one}: there, but not wanted" for one in sorted(foreign)]
