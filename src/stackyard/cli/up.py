"""`stackyard up`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen
from stackyard.server import LaunchOrder, Ready, load_settings, serve
from stackyard.state import StateDirectory, StateError


@click.command()
@state_dir_option
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Settings, in TOML.")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="The one port of every API.  [default: 5000]")
@click.option("--classic-ports", is_flag=True, help="Also listen on the well-known ports (9292, 9696, 9517, ...).")
@click.option(
    "--password",
    envvar="STACKYARD_PASSWORD",
    help="Password of the users admin and demo of a new cloud; better given by the environment, STACKYARD_PASSWORD, "
    "where other users of this machine do not see it.  [default: generated]",
)
@click.option("--docker-socket", help="Socket of the container engine to use.  [default: one that runs, or our own]")
@click.option("--public-cidr", help="IPv4 subnet of the public network.  [default: 172.24.4.0/24]")
@click.option("--foreground", is_flag=True, help="Stay in the terminal, and log to it.")
def command(state_dir: Path | None, config: Path | None, foreground: bool, **given: Any) -> None:
    """Start the cloud. The first start in a state directory also seeds it."""
    if os.geteuid() != 0:
        raise StateError("Bridges, namespaces and rules need root: run it with sudo.")
    state = chosen(state_dir)
    kept = state.read().config_file if state.exists() else ""
    config_file = str(config.absolute()) if config else kept
    load_settings(config_file, _settings(given))  # what is wrong is told before anything is made
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    new = not state.exists()
    cloud = state.create(created)
    if not new and not given["port"]:
        given["port"] = cloud.port
    order = LaunchOrder(
        settings=_settings(given),
        config_file=config_file,
        passwords=dict.fromkeys(("admin", "demo"), given["password"]) if given["password"] else {},
        log_to_stderr=foreground,
    )
    if foreground:
        sys.exit(serve(state, order))
    running = state.running_pid()
    if running is not None:
        click.echo(f"The cloud already runs (process {running}); its state is in {state.path}.")
        return
    started = time.perf_counter()
    ready = _spawn(state, order)
    if ready.error:
        raise StateError(f"The cloud did not start: {ready.error}")
    _say(state, ready, time.perf_counter() - started)


def _settings(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    places = {
        "host": ("server", "host"),
        "port": ("server", "port"),
        "classic_ports": ("server", "classic_ports"),
        "docker_socket": ("engine", "docker_socket"),
        "public_cidr": ("network", "public_cidr"),
    }
    found: dict[str, dict[str, Any]] = {}
    for option, (section, key) in places.items():
        if given[option]:
            found.setdefault(section, {})[key] = given[option]
    return found


def _spawn(state: StateDirectory, order: LaunchOrder) -> Ready:
    """Start the process, and wait until it says that it serves or why not."""
    environment = {name: value for name, value in os.environ.items() if name != "STACKYARD_PASSWORD"}
    # Many threads that allocate little: without this the C library keeps a heap for each of them.
    environment.setdefault("MALLOC_ARENA_MAX", "2")
    with state.log_file.open("a") as log_file:
        process = subprocess.Popen(
            [sys.executable, "-m", "stackyard.server", str(state.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    # By the pipe, not by arguments: the order may hold passwords.
    process.stdin.write(msgspec.json.encode(order) + b"\n")
    process.stdin.close()
    line = process.stdout.readline()
    if not line:
        return Ready(error=f"its process ended; the end of {state.log_file} says why:\n{_tail(state.log_file)}")
    return msgspec.json.decode(line, type=Ready)


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _say(state: StateDirectory, ready: Ready, seconds: float) -> None:
    click.echo(f"The cloud is up at {ready.url} ({'seeded, ' if ready.seeded else ''}{seconds:.2f} s).")
    click.echo(f"  export OS_CLIENT_CONFIG_FILE={state.clouds_yaml} OS_CLOUD=stackyard")
    click.echo("  openstack appcontainer run --name web --net network=private nginx")
    option = f" --state-dir {state.path}" if state.path != chosen(None).path else ""
    click.echo(f"  stackyard status{option} · stackyard down{option} · stackyard down{option} --purge")
