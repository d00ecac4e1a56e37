"""From a state directory and settings to a cloud with this machine's real drivers, seeded, ready to start."""

from __future__ import annotations

import logging
import secrets
import socket
import time
from collections.abc import Mapping
from functools import partial
from itertools import pairwise

from stackyard.app import Cloud, Host
from stackyard.core.config import Settings
from stackyard.core.db import Database
from stackyard.host.containers.docker import DockerEngine
from stackyard.host.containers.dockerd import find_engine
from stackyard.host.disks.drivers import volume_drivers
from stackyard.host.machines.capacity import host_capacity
from stackyard.host.machines.drivers import machine_drivers
from stackyard.host.network.kernel import KernelNetworkDriver, Reach
from stackyard.migrations.apply import bring_up_to_date
from stackyard.services.network import api as network_api
from stackyard.state import StateDirectory, client_files

log = logging.getLogger("stackyard.launch")

SEEDED_USERS = ("admin", "demo")


def assemble(state: StateDirectory, settings: Settings, passwords: Mapping[str, str]) -> tuple[Cloud, bool]:
    """The cloud, and whether it was seeded just now. Starts the container engine without waiting for it."""
    marks = [("begin", time.perf_counter())]
    cloud_id = state.create("").id
    configured = settings.engine.docker_socket or None
    found = find_engine(configured, state.path, cloud_id, own_only=settings.engine.own_engine)
    marks.append(("engine", time.perf_counter()))
    url = settings.database.url or state.sqlite_url()
    database = Database(url, pool_size=settings.database.pool_size)
    bring_up_to_date(database)
    marks.append(("database", time.perf_counter()))
    network = network_driver(state, settings)
    network.start()
    marks.append(("network", time.perf_counter()))
    engine = DockerEngine(found.socket_path, cloud_id, state.path, revive=found.revive)
    cloud = Cloud(
        settings,
        database,
        Host(
            name=host_name(settings),
            state_dir=state.path,
            engine=engine,
            network=network,
            machines=machine_drivers(state.path, cloud_id, settings, network, engine),
            volumes=volume_drivers(state.path, settings),
            capacity=partial(host_capacity, state.path),
        ),
    )
    new = not cloud.is_seeded()
    if new:
        # First the files, then the rows: killed in between, the next start seeds with the passwords of the files.
        cloud.seed(write_client_files(state, settings, passwords))
    state.refresh_urls(server_url(settings))
    marks.append(("cloud", time.perf_counter()))
    steps = {name: round(at - before, 3) for (_, before), (name, at) in pairwise(marks)}
    log.info("assembled", extra={"steps": steps})
    return cloud, new


def host_name(settings: Settings) -> str:
    """What this host is called among the cloud's hosts."""
    return settings.server.host_name or socket.gethostname()


def network_driver(state: StateDirectory, settings: Settings) -> KernelNetworkDriver:
    """The network side of this host, as its settings describe it; not started."""
    chosen = settings.network
    reach = Reach(
        tunnel_address=chosen.tunnel_address,
        interfaces=network_api.physical_networks(chosen),
        take_used=chosen.take_used_interfaces,
    )
    return KernelNetworkDriver(state.read().id, state.path / "network", host_ports=chosen.host_ports, reach=reach)


def server_url(settings: Settings) -> str:
    """The address that clients on this machine reach the cloud by."""
    host = settings.server.host
    if host in ("0.0.0.0", "::"):  # noqa: S104  compared, not listened on
        host = "127.0.0.1"
    shown = f"[{host}]" if ":" in host else host
    return settings.server.public_url or f"http://{shown}:{settings.server.port}"


def write_client_files(state: StateDirectory, settings: Settings, passwords: Mapping[str, str]) -> Mapping[str, str]:
    """Write what clients sign in with, and return the passwords in it: given, kept from a start cut short, or new."""
    kept = state.client_passwords()
    chosen = {user: passwords.get(user) or kept.get(user) or secrets.token_urlsafe(15) for user in SEEDED_USERS}
    users = {
        "stackyard": ("demo", "demo", chosen["demo"]),
        "stackyard-admin": ("admin", "admin", chosen["admin"]),
    }
    clouds, openrc = client_files(server_url(settings), users, settings.server.region)
    state.write_private("clouds.yaml", clouds)
    state.write_private("openrc", openrc)
    return chosen
