"""`stackyard bake`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen, database_of, settings_of
from stackyard.host.errors import HostError
from stackyard.state import StateDirectory

if TYPE_CHECKING:
    from stackyard.bake.guest import GuestFiles
    from stackyard.core.runtime import Runtime


@click.command()
@state_dir_option
@click.argument("names", nargs=-1)
@click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where built images are kept.  [default: in the state directory]",
)
@click.option(
    "--register/--no-register",
    "register_guest",
    default=True,
    help="Whether guest and system become public images; without, their files are only built.",
)
def command(state_dir: Path | None, names: tuple[str, ...], cache_dir: Path | None, *, register_guest: bool) -> None:
    """Build images (all, or NAMES) from packages, load them into the engine, and make them public images.

    Two more NAMES are for servers. "guest" is a small system: a disk that boots, its root file system for system
    containers, and kernel, ramdisk and root as three images. "system" is a Debian for system containers.
    """
    from stackyard.bake import bake, recipes
    from stackyard.host.containers.docker import DockerEngine
    from stackyard.host.containers.dockerd import find_engine

    systems = {"guest": bake_guest, "system": bake_system}
    known = sorted(recipes())
    images = [name for name in names if name not in systems]
    unknown = [name for name in images if name not in known]
    if unknown:
        there = ", ".join((*known, *systems))
        raise click.UsageError(f"no recipe for {', '.join(unknown)}; there are {there}.")
    for name in dict.fromkeys(name for name in names if name in systems):
        systems[name](chosen(state_dir), cache_dir, register=register_guest)
    if names and not images:
        return
    state = chosen(state_dir)
    cloud = state.read()
    settings = settings_of(state)
    with database_of(state):
        pass  # a cloud that was never up is told before an engine is started for it
    found = find_engine(settings.engine.docker_socket or None, state.path, cloud.id)
    found.wait_ready()
    engine = DockerEngine(found.socket_path, cloud.id, state.path)
    started = time.perf_counter()
    archives = bake(images or known, engine, cache_dir or state.path / "bake", click.echo)
    engine.close()
    register(state, archives)
    click.echo(f"Done in {time.perf_counter() - started:.1f} s.")


@contextmanager
def runtime_of(state: StateDirectory) -> Iterator[Runtime]:
    """What the image service needs to work on a cloud's state, running or not."""
    from stackyard.app import quota_defaults
    from stackyard.core.policy import PolicySet
    from stackyard.core.quota import Quotas
    from stackyard.core.runtime import Runtime
    from stackyard.services import keys
    from stackyard.services.identity.api import authenticate

    settings = settings_of(state)
    with database_of(state) as database:
        runtime = Runtime(settings, database, PolicySet([]), Quotas(quota_defaults(settings)), authenticate)
        runtime.provide(keys.STATE_DIR, state.path)
        yield runtime


def register(state: StateDirectory, archives: Mapping[str, Path]) -> None:
    """Make the archives public images of the image service too, so that every project finds them."""
    from stackyard.services.image.api import register_file

    with runtime_of(state) as runtime:
        for name, path in archives.items():
            click.echo(f"{name}: registering as a public image")
            register_file(runtime, path, name=name)


def bake_guest(state: StateDirectory, cache_dir: Path | None, *, register: bool) -> None:
    """Build the guest, and make it public images in each of its forms."""
    from stackyard.bake.guest import build

    started = time.perf_counter()
    try:
        files = build(cache_dir or state.path / "bake", lambda text: click.echo(f"guest: {text}"))
    except HostError as error:
        raise click.ClickException(str(error)) from error
    if register:
        with runtime_of(state) as runtime:
            click.echo("guest: registering as public images")
            register_guest_images(runtime, files)
    else:
        for path in files:
            click.echo(str(path))
    click.echo(f"Done in {time.perf_counter() - started:.1f} s.")


def bake_system(state: StateDirectory, cache_dir: Path | None, *, register: bool) -> None:
    """Build the Debian for system containers, and make it a public image."""
    from stackyard.bake.system import NAME, build
    from stackyard.services.image.api import register_file

    started = time.perf_counter()
    try:
        path = build(cache_dir or state.path / "bake", lambda text: click.echo(f"system: {text}"))
    except HostError as error:
        raise click.ClickException(str(error)) from error
    if register:
        with runtime_of(state) as runtime:
            click.echo(f"system: registering as the public image {NAME}")
            register_file(runtime, path, name=NAME, container_format="rootfs", disk_format="raw")
    else:
        click.echo(str(path))
    click.echo(f"Done in {time.perf_counter() - started:.1f} s.")


def register_guest_images(runtime: Runtime, files: GuestFiles) -> dict[str, str]:
    """Make them public images of the image service; their ids by form."""
    from stackyard.bake.guest import NAME
    from stackyard.services.image.api import register_file

    forms = {
        "disk": (NAME, "bare", "qcow2"),
        "root": (f"{NAME}-rootfs", "rootfs", "raw"),
        "kernel": (f"{NAME}-kernel", "aki", "aki"),
        "ramdisk": (f"{NAME}-ramdisk", "ari", "ari"),
    }
    # Inside listens what sets passwords.
    heard = {"hw_qemu_guest_agent": "yes", "os_admin_user": "cirros"}
    found: dict[str, str] = {}
    for form, (name, container_format, disk_format) in forms.items():
        found[form] = register_file(
            runtime, getattr(files, form), name=name, container_format=container_format, disk_format=disk_format,
            properties=heard if form == "disk" else None,
        )  # fmt: skip
    parts = {"kernel_id": found["kernel"], "ramdisk_id": found["ramdisk"], **heard}
    found["filesystem"] = register_file(
        runtime, files.filesystem, name=f"{NAME}-uec", container_format="ami", disk_format="ami", properties=parts
    )
    return found
