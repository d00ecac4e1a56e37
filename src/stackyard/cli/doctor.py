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
    from stackyard.host.network.features import network_features

    console = Console()
    state = chosen(state_dir)
    socket_path = engine_socket(state)
    show(console, "Network", network_features())
    show(console, "Containers", engine_features(socket_path))
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
    from stackyard.host.containers.docker import DockerEngine
    from stackyard.host.network.kernel import KernelNetworkDriver
    from stackyard.insight import expected
    from stackyard.launch import host_name
    from stackyard.services.network.api import use_name

    cloud_id = state.read().id
    with database_of(state) as database:
        use_name(database, host_name(settings_of(state)))
        wanted = database.read("doctor", expected)
    driver = KernelNetworkDriver(cloud_id, state.path / "network")
    driver.start()
    seen = driver.observe()
    driver.close()
    found = {
        "network": set(seen.networks),
        "port": set(seen.ports),
        "router": set(seen.routers),
    }
    if socket_path is not None:
        engine = DockerEngine(socket_path, cloud_id, state.path)
        found["container"] = {container.id for container in engine.list()}
        engine.close()
    lines = []
    for kind, there in found.items():
        missing, foreign = wanted[kind] - there - wanted["busy"], there - wanted[kind] - wanted["busy"]
        lines += [f"{kind} {one}: wanted, but not there" for one in sorted(missing)]
        lines += [f"{kind} {one}: there, but not wanted" for one in sorted(foreign)]
    lines += [f"{one}: {problem}" for one, problem in sorted(seen.problems.items())]
    if socket_path is None and wanted["container"]:
        lines.append(f"no container engine answers; {len(wanted['container'])} containers are wanted")
    return lines
