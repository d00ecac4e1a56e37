"""`stackyard bake`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen, settings_of


@click.command()
@state_dir_option
@click.argument("names", nargs=-1)
@click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where built images are kept.  [default: in the state directory]",
)
def command(state_dir: Path | None, names: tuple[str, ...], cache_dir: Path | None) -> None:
    """Build images (all, or NAMES) from the distribution's packages, and load them into the cloud's engine."""
    from stackyard.bake import bake, recipes
    from stackyard.host.containers.docker import DockerEngine
    from stackyard.host.containers.dockerd import find_engine

    known = sorted(recipes())
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.UsageError(f"no recipe for {', '.join(unknown)}; there are {', '.join(known)}.")
    state = chosen(state_dir)
    cloud = state.read()
    settings = settings_of(state)
    found = find_engine(settings.engine.docker_socket or None, state.path, cloud.id)
    found.wait_ready()
    engine = DockerEngine(found.socket_path, cloud.id, state.path)
    started = time.perf_counter()
    bake(names or known, engine, cache_dir or state.path / "bake", click.echo)
    click.echo(f"Done in {time.perf_counter() - started:.1f} s.")
