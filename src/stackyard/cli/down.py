"""`stackyard down`."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
from pathlib import Path

import click

from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen, database_of, settings_of
from stackyard.state import StateDirectory

STOP_SECONDS = 20


@click.command()
@state_dir_option
@click.option(
    "--purge", is_flag=True, help="Also remove every container, network, rule, process and file of the cloud."
)
def command(state_dir: Path | None, purge: bool) -> None:
    """Stop the cloud. Its containers and networks go on, and the next `stackyard up` adopts them."""
    state = chosen(state_dir)
    if not state.exists():
        click.echo(f"There is no cloud in {state.path}; nothing to do.")
        return
    pid = state.running_pid()
    if pid is not None:
        end(pid)
        click.echo("The cloud has stopped." + ("" if purge else " Its workloads go on; `stackyard up` adopts them."))
    elif not purge:
        click.echo("The cloud does not run; nothing to do.")
    if purge:
        remove_everything(state)
        click.echo(f"Everything that the cloud made is gone, {state.path} too.")


def end(pid: int) -> None:
    """Ask a process to end, and wait until it has."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], STOP_SECONDS)[0]:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], STOP_SECONDS)
    finally:
        os.close(handle)


def remove_everything(state: StateDirectory) -> None:
    """Undo all that the cloud of this directory ever did to the machine, and remove the directory."""
    from stackyard.host.containers.dockerd import stop_engine
    from stackyard.host.disks.drivers import remove_volumes
    from stackyard.host.machines.drivers import remove_machines
    from stackyard.host.network.kernel import KernelNetworkDriver
    from stackyard.migrations.apply import drop_schema
    from stackyard.plugins.listening import clear

    cloud_id = state.read().id
    settings = settings_of(state)
    remove_containers(state, cloud_id, settings.engine.docker_socket or None)
    network = KernelNetworkDriver(cloud_id, state.path / "network")
    remove_machines(state.path, network)
    remove_volumes(state.path, settings)
    network.purge()
    stop_engine(state.path, cloud_id, remove_data=True)
    if settings.database.url:
        with database_of(state, seeded=False) as database:
            drop_schema(database)
    with contextlib.suppress(OSError):  # another cloud's by now
        clear(Path(settings.kuryr.socket))
    shutil.rmtree(state.path)


def remove_containers(state: StateDirectory, cloud_id: str, configured: str | None) -> None:
    """Remove the cloud's containers; its own engine is started for that if need be, but not made for it."""
    from stackyard.host.containers.docker import DockerEngine
    from stackyard.host.containers.dockerd import Dockerd, find_engine, running_engine
    from stackyard.host.errors import EngineUnavailableError
    from stackyard.host.machines.engine.driver import PART, PREFIX

    try:
        if Dockerd(state.path, cloud_id).exists() and configured is None:
            found = find_engine(None, state.path, cloud_id)
            found.wait_ready()
            socket_path: str | None = found.socket_path
        else:
            socket_path = running_engine(configured, state.path, cloud_id)
        if socket_path is not None:
            engine = DockerEngine(socket_path, cloud_id, state.path)
            servers = engine.apart(PART, PREFIX)
            servers.purge()
            servers.close()
            engine.purge()
            engine.close()
        elif state.clouds_yaml.exists():  # it was up once, so it had one
            raise EngineUnavailableError("none answers")
    except EngineUnavailableError as error:
        click.echo(f"The container engine does not answer, so its containers of this cloud stay: {error}", err=True)
