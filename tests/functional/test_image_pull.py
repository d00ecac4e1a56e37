"""Images from a registry, which is one of the tests' own on loopback."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import json
import socketserver
import tarfile
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.engine_fixture import DockerDaemon, busybox_archive, docker_daemon

from stackyard.host.containers.docker import DockerEngine
from stackyard.host.errors import HostError, SpecError

__all__ = ["docker_daemon"]

pytestmark = [pytest.mark.docker, pytest.mark.root]


@pytest.fixture(scope="module")
def engine(docker_daemon: DockerDaemon) -> Iterator[DockerEngine]:
    made = docker_daemon.engine()
    yield made
    made.purge()
    made.close()


class Registry(http.server.BaseHTTPRequestHandler):
    """Just enough of a registry for one image, `good:1`."""

    blobs: dict[str, bytes] = {}
    manifest_type = "application/vnd.docker.distribution.manifest.v2+json"
    unknown = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "unknown"}]}'

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        known = self.path == "/v2/" or (self.path.startswith("/v2/good/") and name in self.blobs)
        answer = self.blobs.get(name, b"{}") if known else self.unknown
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", self.manifest_type if "/manifests/" in self.path else "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(answer)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with tarfile.open(fileobj=busybox_archive("x")) as archive:
        files = {member.name: (archive.extractfile(member) or io.BytesIO()).read() for member in archive}
    (entry,) = json.loads(files["manifest.json"])
    config, layer = files[entry["Config"]], gzip.compress(files[entry["Layers"][0]], 1)

    def blob(kind: str, data: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        Registry.blobs[digest] = data
        return {"mediaType": f"application/vnd.docker.{kind}", "size": len(data), "digest": digest}

    manifest = {
        "schemaVersion": 2,
        "mediaType": Registry.manifest_type,
        "config": blob("container.image.v1+json", config),
        "layers": [blob("image.rootfs.diff.tar.gzip", layer)],
    }
    text = json.dumps(manifest).encode()
    Registry.blobs |= {"1": text, f"sha256:{hashlib.sha256(text).hexdigest()}": text}
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_image_is_pulled(engine: DockerEngine, registry: str) -> None:
    pulled = engine.pull_image(f"{registry}/good:1")
    assert f"{registry}/good:1" in pulled.names
    engine.remove_image(f"{registry}/good:1")
    assert engine.find_image(f"{registry}/good:1") is None


def test_an_image_that_the_registry_lacks_is_refused(engine: DockerEngine, registry: str) -> None:
    with pytest.raises(SpecError, match="bad"):
        engine.pull_image(f"{registry}/bad:1")


def test_a_registry_that_does_not_answer_is_an_outage(engine: DockerEngine) -> None:
    with pytest.raises(HostError, match="connection refused") as caught:
        engine.pull_image("127.0.0.1:1/good:1")
    assert not isinstance(caught.value, SpecError)
