"""Where the peers live: directories, ports and the password of their accounts (they listen on loopback only)."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from bench.client import Target

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
PASSWORD = "peersecret"  # of a throw-away database and cloud on loopback
CLASSIC_PORTS = {
    "mariadb": 3306,
    "rabbitmq": 5672,
    "rabbitmq-distribution": 5673,
    "epmd": 4369,
    "memcached": 11211,
    "keystone": 5000,
    "glance": 9292,
    "neutron": 9696,
    "placement": 8778,
    "nova": 8774,
    "zun": 9517,
    "zun-websocket": 6784,
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything else is derived from the home directory, the first port and the number of workers of an API."""

    home: Path
    port_base: int = 20000
    workers: int = 2

    @classmethod
    def from_environment(cls) -> Settings:
        """PEER_DIR (default: .cache/peers in the project), PEER_PORT_BASE (20000) and PEER_WORKERS (2)."""
        return cls(
            home=Path(os.environ.get("PEER_DIR", ROOT / ".cache" / "peers")),
            port_base=int(os.environ.get("PEER_PORT_BASE", "20000")),
            workers=int(os.environ.get("PEER_WORKERS", "2")),
        )

    @property
    def venv(self) -> Path:
        """The Python environment with the services."""
        return self.home / "venv"

    @property
    def state(self) -> Path:
        """Configuration, databases and logs; removed and made again by a fresh start."""
        return self.home / "state"

    @property
    def etc(self) -> Path:
        """Configuration files."""
        return self.state / "etc"

    @property
    def var(self) -> Path:
        """Databases and stored images."""
        return self.state / "var"

    @property
    def log(self) -> Path:
        """Log files."""
        return self.state / "log"

    @property
    def run(self) -> Path:
        """Sockets and process ids."""
        return self.state / "run"

    @property
    def database_socket(self) -> Path:
        """MariaDB's Unix socket."""
        return self.run / "mysql.sock"

    def port(self, name: str) -> int:
        """The port of a daemon: the usual one, moved up by port_base."""
        return self.port_base + CLASSIC_PORTS[name]

    def url(self, name: str) -> str:
        """http://HOST:PORT of a service."""
        return f"http://{HOST}:{self.port(name)}"

    def target(self) -> Target:
        """How the benchmark's client reaches these services."""
        return Target(
            identity=self.url("keystone") + "/v3",
            image=self.url("glance") + "/v2",
            network=self.url("neutron") + "/v2.0",
            container=self.url("zun") + "/v1",
            compute=self.url("nova") + "/v2.1",
            placement=self.url("placement"),
            password=PASSWORD,
        )

    def environment(self) -> dict[str, str]:
        """The process environment of every peer: no more than they need."""
        return {
            "PATH": f"{self.venv}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.var),
            "LANG": "C.UTF-8",
            "OS_NEUTRON_CONFIG_DIR": str(self.etc / "neutron"),
        }

    def is_installed(self) -> bool:
        """True when the packages are there (see install.py)."""
        programs = [
            self.venv / "bin" / "uwsgi",
            self.venv / "bin" / "neutron-rpc-server",
            self.venv / "bin" / "nova-compute",
            Path("/usr/sbin/mariadbd"),
        ]
        return all(program.exists() for program in programs)

    def is_initialised(self) -> bool:
        """True when init finished: its last step writes this file."""
        return (self.state / "initialised").exists()
