"""`stackyard bake`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import click

from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen, database_of, settings_of
from stackyard.state import StateDirectory


@click.command()
@state_dir_option
@click.argument("names", nargs=-1)
@click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where built images are kept.  [default: in the state directory]",
)
def command(state_dir: Path | None, names: tuple[str, ...], cache_dir: Path | None) -> None:
    """Build images (all, or NAMES) from packages, load them into the engine, and make them public images."""
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
    with database_of(state):
        pass  # a cloud that was never up is told before an engine is started for it
    found = find_engine(settings.engine.docker_socket or None, state.path, cloud.id)
    found.wait_ready()
    engine = DockerEngine(found.socket_path, cloud.id, state.path)
    started = time.perf_counter()
    archives = bake(names or known, engine, cache_dir or state.path / "bake", click.echo)
    engine.close()
    register(state, archives)
    click.echo(f"Done in {time.perf_counter() - started:.1f} s.")


def register(state: StateDirectory, archives: Mapping[str, Path]) -> None:
    """Make the archives public images of the image service too, so that every project finds them."""
    from stackyard.app import quota_defaults
    from stackyard.core.policy import PolicySet
    from stackyard.core.quota import Quotas
    from stackyard.core.runtime import Runtime
    from stackyard.services import keys
    from stackyard.services.identity.api import authenticate
    from stackyard.services.image.api import register_file

    settings = settings_of(state)
    with database_of(state) as database:
        runtime = Runtime(settings, database, PolicySet([]), Quotas(quota_defaults(settings)), authenticate)
        runtime.provide(keys.STATE_DIR, state.path)
        for name, path in archives.items():
            click.echo(f"{name}: registering as a public image")
            register_file(runtime, path, name=name)
