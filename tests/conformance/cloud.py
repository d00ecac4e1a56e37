"""The cloud that is judged: one started for the run and removed after it, or one that runs already."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tests import machine_guest

ROOT = Path(__file__).resolve().parents[2]
STACKYARD = ROOT / ".venv" / "bin" / "stackyard"
ADMINISTRATOR = "stackyard-admin"
IMAGES = ("nginx",)
BAKED = ROOT / ".cache" / "bake"
_COMMAND_LIMIT = 600  # seconds; baking images unpacks packages


class CloudError(Exception):
    """The cloud could not be started or asked; the text says what was tried and what came back."""


@dataclasses.dataclass(frozen=True)
class Access:
    """The administrator's sign-in, as the cloud's clouds.yaml has it."""

    auth_url: str
    username: str
    password: str
    project: str
    region: str

    @classmethod
    def read(cls, state_dir: Path) -> Access:
        """From the state directory of a cloud. Raises CloudError when there is none."""
        path = state_dir / "clouds.yaml"
        try:
            entry = yaml.safe_load(path.read_text())["clouds"][ADMINISTRATOR]
            auth = entry["auth"]
            return cls(
                auth_url=auth["auth_url"].rstrip("/"),
                username=auth["username"],
                password=auth["password"],
                project=auth["project_name"],
                region=entry.get("region_name", "RegionOne"),
            )
        except (OSError, KeyError, TypeError) as error:
            raise CloudError(f"{path} does not tell how to reach a cloud: {error!r}") from error


STORES = ("fast path={fast} weight=30", "file weight=20", "web type=http weight=10")
"""Heavier ones first in the alphabet too: Tempest expects stores in both orders."""

REMOTE = "image_remote"
"""The image service of a second host, by which Tempest tries what was begun at the first."""

SECOND_HOST = Path(__file__).with_name("second_host.py")


def settings(state_dir: Path, *, secure_hash: bool) -> dict[str, str]:
    """The settings, as environment variables, that the suites' configuration speaks of."""
    hosts = ",".join(sorted({"127.0.0.1", outward_address()}))
    return {
        "STACKYARD_PASSWORD_LOCKOUT_FAILURE_ATTEMPTS": "2",
        "STACKYARD_PASSWORD_LOCKOUT_DURATION": "5",
        "STACKYARD_PASSWORD_UNIQUE_LAST_PASSWORD_COUNT": "2",
        "STACKYARD_IMAGE_STORES": ",".join(STORES).format(fast=state_dir / "fast"),
        "STACKYARD_IMAGE_DEFAULT_STORE": "file",
        "STACKYARD_IMAGE_ALLOWED_HOSTS": hosts,
        "STACKYARD_IMAGE_ALLOWED_PORTS": "",
        "STACKYARD_IMAGE_SHOW_MULTIPLE_LOCATIONS": "true",
        "STACKYARD_IMAGE_SHOW_IMAGE_DIRECT_URL": "true",
        "STACKYARD_IMAGE_DO_SECURE_HASH": str(secure_hash).lower(),
        # Several tests at a time have more servers than a small host has processors for; they compute nothing.
        "STACKYARD_COMPUTE_CPU_ALLOCATION_RATIO": "16",
        # Tempest uploads random bytes under every format there is.
        "STACKYARD_IMAGE_REQUIRE_FORMAT_MATCH": "false",
    }


def outward_address() -> str:
    """The address that packets to other hosts carry, which Tempest serves data at; loopback when there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("1.1.1.1", 80))  # sends nothing
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


class Cloud:
    """One running cloud. Use as a context: what was started is removed at the end, whatever happened."""

    def __init__(self, state_dir: Path | None) -> None:
        self.owned = state_dir is None
        self.state_dir = state_dir or Path(tempfile.mkdtemp(prefix="stackyard-conformance-"))
        self._settings: dict[str, str] = {}
        self._second_host: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Cloud:
        if self.owned:
            try:
                self._settings = settings(self.state_dir, secure_hash=True)
                self._stackyard("up", "--port", str(free_port()))
                register_guests(Access.read(self.state_dir))
                register_remote(Access.read(self.state_dir), self._start_second_host())
            except BaseException:
                self.remove()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.owned:
            self.remove()

    def _start_second_host(self) -> str:
        """Start another process of the image service on the same database and stores; returns its URL."""
        port, own = free_port(), self.state_dir / "second-host"
        own.mkdir()
        shared = STORES[0].format(fast=self.state_dir / "fast"), f"file path={self.state_dir / 'images'}", *STORES[2:]
        environment = {**os.environ, **self._settings, "STACKYARD_IMAGE_STORES": ",".join(shared)}
        argv = [str(STACKYARD.with_name("python")), str(SECOND_HOST), str(self.state_dir), str(own), str(port)]
        with (own / "output").open("wb") as output:
            self._second_host = subprocess.Popen(argv, stdout=output, stderr=output, env=environment)
        url, until = f"http://127.0.0.1:{port}", time.monotonic() + 30
        while not _answers(f"{url}/healthz"):
            if self._second_host.poll() is not None or time.monotonic() > until:
                raise CloudError(f"the second host does not serve: {(own / 'output').read_text()[-1500:]}")
            time.sleep(0.05)  # polls the condition above: nothing tells when another process begins to serve
        return f"{url}/image"

    def restart(self, *, secure_hash: bool) -> None:
        """Ends the cloud and starts it with other settings on the same state; for one that was started here."""
        port = str(urllib.parse.urlsplit(Access.read(self.state_dir).auth_url).port)
        self._stackyard("down")
        self._settings = settings(self.state_dir, secure_hash=secure_hash)
        self._stackyard("up", "--port", port)

    def bake(self, namespace: Path | None, *images: str) -> None:
        """Builds (once) and loads images that tests run; in `namespace`, where packages are found."""
        enter = ("nsenter", f"--net={namespace}") if namespace else ()
        self._stackyard("bake", "--cache-dir", str(BAKED), *images, enter=enter)

    def remove(self) -> None:
        """Ends the cloud and everything that it made."""
        if self._second_host is not None:
            self._second_host.terminate()
            self._second_host.wait(timeout=30)
        try:
            self._stackyard("down", "--purge")
        finally:
            shutil.rmtree(self.state_dir, ignore_errors=True)

    def logs(self) -> tuple[Path, ...]:
        """What its processes have written."""
        return (self.state_dir / "log" / "stackyard.log",)

    def engine_socket(self) -> Path:
        """Where the cloud's container engine listens: its own one, or the system's."""
        own = self.state_dir / "docker" / "docker.sock"
        return own if own.exists() else Path("/var/run/docker.sock")

    def _stackyard(
        self,
        command: str,
        *arguments: str,
        enter: tuple[str, ...] = (),
        state_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        argv = [*enter, str(STACKYARD), command, "--state-dir", str(state_dir or self.state_dir), *arguments]
        with tempfile.TemporaryFile() as output:  # a pipe would stay open in the daemon that `up` leaves behind
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=_COMMAND_LIMIT,
                env={**os.environ, **(environment or self._settings)},
                check=False,
            )
            if done.returncode:
                output.seek(0)
                text = output.read().decode(errors="replace")[-1500:]
                raise CloudError(f"stackyard {command} exited {done.returncode}: {text}")


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the cloud says about itself, as far as the judges' configuration depends on it."""

    service_types: frozenset[str]
    public_network: str | None = None
    network_extensions: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    flavors: tuple[str, ...] = ()


def facts(access: Access) -> Facts:
    """Asks the running cloud. Raises CloudError when a service of its catalog does not answer as it should."""
    token, endpoints = endpoints_of(access)
    public, extensions, images, flavors = None, [], [], []
    if network := endpoints.get("network"):
        base = _versioned(network, "/v2.0")
        external = get(f"{base}/networks?router:external=true", token)["networks"]
        public = external[0]["id"] if external else None
        extensions = [entry["alias"] for entry in get(f"{base}/extensions", token)["extensions"]]
    if image := endpoints.get("image"):
        listed = get(f"{_versioned(image, '/v2')}/images?status=active", token)["images"]
        guests = [entry for name in GUESTS for entry in listed if entry["name"] == name]
        images = [entry["id"] for entry in guests or listed]
    if compute := endpoints.get("compute"):
        there = [entry["id"] for entry in get(f"{_versioned(compute, '/v2.1')}/flavors", token)["flavors"]]
        flavors = [flavor for flavor in FLAVORS if flavor in there] or there
    return Facts(frozenset(endpoints), public, tuple(extensions), tuple(images), tuple(flavors))


def endpoints_of(access: Access) -> tuple[str, dict[str, str]]:
    """An administrator's token, and where each type of service is."""
    token, catalog = _sign_in(access)
    return token, {
        service["type"]: endpoint["url"].rstrip("/")
        for service in catalog
        for endpoint in service["endpoints"]
        if endpoint["interface"] == "public"
    }


def register_remote(access: Access, url: str) -> None:
    """Puts the image service of the second host into the catalog, as another type."""
    token, _ = _sign_in(access)
    service = {"service": {"type": REMOTE, "name": REMOTE}}
    service_id = post(f"{access.auth_url}/services", token, service)["service"]["id"]
    endpoint = {"interface": "public", "region_id": access.region, "service_id": service_id, "url": url}
    post(f"{access.auth_url}/endpoints", token, {"endpoint": endpoint})


GUESTS = ("tiny-guest", "tiny-guest-alt")
FLAVORS = ("42", "84")
"""DevStack's smallest, which its own Tempest configuration names."""


def register_guests(access: Access) -> None:
    """Gives the cloud the two images that servers boot: machines that are up at once and need no time after it."""
    token, catalog = _sign_in(access)
    image = next(s["endpoints"][0]["url"] for s in catalog if s["type"] == "image").rstrip("/")
    base = _versioned(image, "/v2")
    for name in GUESTS:
        body = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "public"}
        made = post(f"{base}/images", token, body)
        headers = {"X-Auth-Token": token, "Content-Type": "application/octet-stream"}
        upload = urllib.request.Request(
            f"{base}/images/{made['id']}/file", data=machine_guest.boot_disk(), headers=headers, method="PUT"
        )
        with urllib.request.urlopen(upload, timeout=60):
            pass


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def post(url: str, token: str, body: Any) -> Any:
    """The JSON that comes back for this one. Raises CloudError."""
    headers = {"X-Auth-Token": token, "Accept": "application/json", "Content-Type": "application/json"}
    return _open(url, headers, json.dumps(body).encode())[1]


def _sign_in(access: Access) -> tuple[str, list[dict[str, Any]]]:
    domain = {"id": "default"}
    user = {"name": access.username, "password": access.password, "domain": domain}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": access.project, "domain": domain}},
        }
    }
    answer = _open(f"{access.auth_url}/auth/tokens", {"Content-Type": "application/json"}, json.dumps(body).encode())
    return answer[0]["X-Subject-Token"], answer[1]["token"].get("catalog", [])


def get(url: str, token: str) -> Any:
    """The JSON at an address. Raises CloudError."""
    return _open(url, {"X-Auth-Token": token, "Accept": "application/json"})[1]


def _open(url: str, headers: dict[str, str], data: bytes | None = None) -> tuple[Mapping[str, str], Any]:
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.headers, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise CloudError(f"{url} answered {error.code}: {error.read()[:300]!r}") from error
    except (OSError, ValueError) as error:
        raise CloudError(f"{url} did not answer with JSON: {error}") from error


def _versioned(endpoint: str, version: str) -> str:
    """The endpoint with its API version, which some catalogs include and some leave to the client."""
    path = urllib.parse.urlsplit(endpoint).path
    return endpoint if path.endswith(version) else endpoint + version


def free_port() -> int:
    """A TCP port of loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
