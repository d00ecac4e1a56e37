"""Starts, watches, weighs and ends the peers' daemons. Each is a session of its own, known by its leader's pid."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.client import answers, wait_for
from bench.peers.settings import HOST, Settings

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
QUEUE_CHECK = Path(__file__).with_name("queue_ready.py")
INFRASTRUCTURE = ("mariadb", "memcached", "rabbitmq")
NOVA = ("nova-api", "nova-conductor", "nova-scheduler", "nova-compute")
SERVICES = (
    "keystone",
    "glance",
    "placement",
    "neutron-api",
    "neutron-rpc",
    "neutron-periodic",
    *NOVA,
    "zun-api",
)
ALL = INFRASTRUCTURE + SERVICES
STARTUP_LIMIT = 180.0  # seconds


@dataclasses.dataclass(frozen=True)
class Daemon:
    """How one daemon is started and how it shows that it serves; `ready` is None where nothing can be asked."""

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], bool] | None
    environment: dict[str, str] = dataclasses.field(default_factory=dict)


def table(settings: Settings) -> dict[str, Daemon]:
    """Every daemon, by name, in the order of starting."""
    neutron = _config_files(settings, "neutron", "neutron.conf", "ml2_conf.ini")
    nova = _config_files(settings, "nova", "nova.conf")
    binaries = settings.venv / "bin"
    daemons = [
        Daemon("mariadb", _mariadb(settings), _accepts(settings.port("mariadb"))),
        Daemon("memcached", _memcached(settings), _accepts(settings.port("memcached"))),
        Daemon("rabbitmq", (str(RABBITMQ),), _accepts(settings.port("rabbitmq")), _rabbitmq_environment(settings)),
        Daemon("keystone", _uwsgi(settings, "keystone"), lambda: answers(settings.url("keystone") + "/v3")),
        Daemon("glance", _uwsgi(settings, "glance"), lambda: answers(settings.url("glance") + "/versions")),
        Daemon("placement", _uwsgi(settings, "placement"), lambda: answers(settings.url("placement") + "/")),
        Daemon("neutron-api", _uwsgi(settings, "neutron"), lambda: answers(settings.url("neutron") + "/")),
        Daemon("neutron-rpc", (f"{binaries}/neutron-rpc-server", *neutron), _consumes(settings, "q-plugin")),
        Daemon("neutron-periodic", (f"{binaries}/neutron-periodic-workers", *neutron), None),
        Daemon("nova-api", _uwsgi(settings, "nova"), lambda: answers(settings.url("nova") + "/")),
        Daemon("nova-conductor", (f"{binaries}/nova-conductor", *nova), _consumes(settings, "conductor")),
        Daemon("nova-scheduler", (f"{binaries}/nova-scheduler", *nova), _consumes(settings, "scheduler")),
        Daemon("nova-compute", (f"{binaries}/nova-compute", *nova), _consumes(settings, "compute.peerhost")),
        Daemon("zun-api", _uwsgi(settings, "zun"), lambda: answers(settings.url("zun") + "/")),
    ]
    return {daemon.name: daemon for daemon in daemons}


def start(settings: Settings, names: Iterable[str] = ALL) -> float:
    """Starts what does not run yet, infrastructure first, the rest at once; returns the seconds until all are ready.

    Raises TimeoutError or RuntimeError, naming the daemon that did not come up and its log.
    """
    daemons = table(settings)
    chosen = [daemons[name] for name in ALL if name in set(names)]
    started = time.perf_counter()
    for group in (INFRASTRUCTURE, SERVICES):
        fresh = [daemon for daemon in chosen if daemon.name in group and not processes(settings, daemon.name)]
        for daemon in fresh:
            _launch(settings, daemon)
        for daemon in fresh:
            _wait_ready(settings, daemon)
    return time.perf_counter() - started


def stop(settings: Settings, names: Iterable[str] = ALL) -> None:
    """Ends the daemons in reverse order: a polite signal to the leader, then force for what is left of its session."""
    chosen = set(names)
    for name in reversed(ALL):
        if name in chosen and processes(settings, name):
            _stop(settings, name)


def processes(settings: Settings, name: str) -> list[int]:
    """The live processes of a daemon: all that belong to the session which its leader began."""
    try:
        leader = int(_pid_file(settings, name).read_text())
    except (OSError, ValueError):
        return []
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if _session(pid) == leader]


def resident_mebibytes(pids: Iterable[int]) -> float:
    """The sum of the processes' resident memory, in MiB; those that have ended count nothing."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
    return total / 1024


def _stop(settings: Settings, name: str) -> None:
    def gone() -> bool:
        return not processes(settings, name)

    _signal(int(_pid_file(settings, name).read_text()), signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        wait_for(gone, seconds=30.0 if name in INFRASTRUCTURE else 6.0, what=name)
    for pid in processes(settings, name):
        _signal(pid, signal.SIGKILL)
    wait_for(gone, seconds=10, what=f"the end of {name}")
    _pid_file(settings, name).unlink(missing_ok=True)


def _launch(settings: Settings, daemon: Daemon) -> None:
    environment = {**settings.environment(), **daemon.environment}
    with (settings.log / f"{daemon.name}.out").open("ab") as log:
        process = subprocess.Popen(
            daemon.argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=settings.state,
        )
    _pid_file(settings, daemon.name).write_text(str(process.pid))


def _wait_ready(settings: Settings, daemon: Daemon) -> None:
    if daemon.ready is None:
        return

    def ready() -> bool:
        if not processes(settings, daemon.name):
            raise RuntimeError(f"{daemon.name} ended at its start; see {settings.log}/{daemon.name}.out")
        assert daemon.ready is not None
        return daemon.ready()

    wait_for(ready, seconds=STARTUP_LIMIT, what=f"{daemon.name} to serve", interval=0.1)


def _session(pid: int) -> int | None:
    """The session of a process that is not a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, _parent, _group, session = text[text.rindex(")") + 2 :].split()[:4]
    return None if state == "Z" else int(session)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _pid_file(settings: Settings, name: str) -> Path:
    return settings.run / f"{name}.pid"


def _accepts(port: int) -> Callable[[], bool]:
    def check() -> bool:
        try:
            socket.create_connection((HOST, port), 0.5).close()
        except OSError:
            return False
        return True

    return check


def _consumes(settings: Settings, queue: str) -> Callable[[], bool]:
    """Ready when someone reads the daemon's queue; asked by the peers' own Python, which has an AMQP client."""
    argv = [str(settings.venv / "bin" / "python"), str(QUEUE_CHECK), str(settings.port("rabbitmq")), queue]
    return lambda: subprocess.run(argv, capture_output=True, check=False, env=settings.environment()).returncode == 0


def _config_files(settings: Settings, service: str, *names: str) -> tuple[str, ...]:
    return tuple(word for name in names for word in ("--config-file", str(settings.etc / service / name)))


def _uwsgi(settings: Settings, service: str) -> tuple[str, ...]:
    return (f"{settings.venv}/bin/uwsgi", "--ini", f"{settings.etc}/uwsgi-{service}.ini")


def _mariadb(settings: Settings) -> tuple[str, ...]:
    return (
        "/usr/sbin/mariadbd",
        "--no-defaults",
        "--user=root",
        f"--datadir={settings.var}/mysql",
        f"--socket={settings.database_socket}",
        f"--port={settings.port('mariadb')}",
        f"--bind-address={HOST}",
        "--max-connections=1000",
        "--innodb-buffer-pool-size=256M",
        f"--pid-file={settings.run}/mysqld.pid",
        f"--tmpdir={settings.var}/tmp",
    )


def _memcached(settings: Settings) -> tuple[str, ...]:
    return ("/usr/bin/memcached", "-u", "root", "-l", HOST, "-p", str(settings.port("memcached")), "-m", "128")


def _rabbitmq_environment(settings: Settings) -> dict[str, str]:
    return {
        "HOME": f"{settings.var}/rabbitmq",
        "RABBITMQ_NODENAME": "peer@localhost",
        "RABBITMQ_MNESIA_BASE": f"{settings.var}/rabbitmq",
        "RABBITMQ_LOG_BASE": str(settings.log),
        "RABBITMQ_CONFIG_FILE": f"{settings.etc}/rabbitmq/rabbitmq.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{settings.etc}/rabbitmq/plugins",
        "RABBITMQ_DIST_PORT": str(settings.port("rabbitmq-distribution")),
        "RABBITMQ_PID_FILE": f"{settings.run}/rabbit.pid",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_PORT": str(settings.port("epmd")),
        "ERL_EPMD_ADDRESS": HOST,
        "ERL_MAX_PORTS": "65536",
    }
