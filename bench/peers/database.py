"""Makes the peers' state from nothing: databases, schemas, keys, and the identity service's first administrator."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable

from bench.peers import daemons, seed
from bench.peers.configure import configure, database_url
from bench.peers.settings import PASSWORD, Settings

Report = Callable[[str], None]
DATABASES = {
    "keystone": ("keystone",),
    "glance": ("glance",),
    "placement": ("placement",),
    "neutron": ("neutron",),
    "nova": ("nova", "nova_api", "nova_cell0"),
    "zun": ("zun",),
}
"""Those of each service's user."""


def initialise(settings: Settings, report: Report) -> float:
    """Removes the old state, makes the new one, leaves every daemon running; returns the seconds it took.

    The packages must be installed. Raises RuntimeError with the output of the step that failed.
    """
    daemons.stop(settings)
    shutil.rmtree(settings.state, ignore_errors=True)
    configure(settings)
    started = time.perf_counter()
    install_database = ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={settings.var}/mysql"]
    run(settings, [*install_database, "--auth-root-authentication-method=normal"])
    daemons.start(settings, daemons.INFRASTRUCTURE)
    _create_databases(settings)
    for argv in _schema_commands(settings):
        step = time.perf_counter()
        run(settings, argv)
        report(f"peers: {argv[0]} {' '.join(argv[-2:])[-40:]}: {time.perf_counter() - step:.1f} s")
    daemons.start(settings, ["keystone"])
    seed.seed_identity(settings)
    daemons.start(settings)
    run(settings, ["nova-manage", f"--config-file={settings.etc}/nova/nova.conf", "cell_v2", "discover_hosts"])
    seconds = time.perf_counter() - started
    (settings.state / "initialised").touch()
    return seconds


def query(settings: Settings, database: str, statement: str) -> None:
    """Runs SQL as the database's administrator, over its Unix socket."""
    run(settings, ["mariadb", "-uroot", "-S", str(settings.database_socket), database, "-e", statement])


def run(settings: Settings, argv: list[str]) -> None:
    """Runs a program of the peers to its end. Raises RuntimeError with the end of its output."""
    done = subprocess.run(argv, env=settings.environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{argv[0]} failed ({done.returncode}): {(done.stdout + done.stderr)[-1500:]}")


def _create_databases(settings: Settings) -> None:
    query(settings, "mysql", "DELETE FROM global_priv WHERE User=''; FLUSH PRIVILEGES")
    for user, names in DATABASES.items():
        query(settings, "mysql", f"CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}'")
        for name in names:
            made = f"CREATE DATABASE {name} CHARACTER SET utf8mb3; GRANT ALL ON {name}.* TO '{user}'@'%'"
            query(settings, "mysql", made)


def _schema_commands(settings: Settings) -> list[list[str]]:
    etc = settings.etc
    keystone = ["keystone-manage", f"--config-file={etc}/keystone/keystone.conf"]
    owner = ["--keystone-user", "root", "--keystone-group", "root"]
    url = settings.url("keystone") + "/v3"
    urls = [word for kind in ("admin", "internal", "public") for word in (f"--bootstrap-{kind}-url", url)]
    nova = ["nova-manage", f"--config-file={etc}/nova/nova.conf"]
    neutron = [f"--config-file={etc}/neutron/neutron.conf", f"--config-file={etc}/neutron/ml2_conf.ini"]
    bootstrap = ["bootstrap", "--bootstrap-password", PASSWORD, *urls, "--bootstrap-region-id", "RegionOne"]
    return [
        [*keystone, "db_sync"],
        [*keystone, "fernet_setup", *owner],
        [*keystone, "credential_setup", *owner],
        [*keystone, *bootstrap],
        ["glance-manage", f"--config-file={etc}/glance/glance-api.conf", "db_sync"],
        ["placement-manage", f"--config-file={etc}/placement/placement.conf", "db", "sync"],
        ["neutron-db-manage", *neutron, "upgrade", "heads"],
        [*nova, "api_db", "sync"],
        [*nova, "cell_v2", "map_cell0", f"--database_connection={database_url(settings, 'nova_cell0', 'nova')}"],
        [*nova, "cell_v2", "create_cell", "--name=cell1"],
        [*nova, "db", "sync"],
        ["zun-db-manage", f"--config-file={etc}/zun/zun.conf", "upgrade"],
    ]
