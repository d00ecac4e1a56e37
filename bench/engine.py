"""The Docker Engine of a run: with Docker's usual bridge for the reference, and our OCI runtime registered for us."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stackyard.host.containers.dockerd import Dockerd
from stackyard.host.containers.sandboxes import RUN_DIR
from stackyard.state import StateDirectory

IMAGE = "busybox"
COMMAND = ("sleep", "3600")
_BUSYBOX = Path("/bin/busybox")


def busybox_files(*applets: str, extra: Mapping[str, tuple[bytes, int]] | None = None) -> bytes:
    """A root file system as a tar: busybox under these names, and files with their modes."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(_BUSYBOX, "bin/busybox")
        for name in applets:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name, (content, mode) in (extra or {}).items():
            file = tarfile.TarInfo(name)
            file.size, file.mode = len(content), mode
            tar.addfile(file, io.BytesIO(content))
    return archive.getvalue()


class Engine:
    """One dockerd. `state_dir` is also the cloud's, as the runtime's script is found by it."""

    def __init__(self) -> None:
        self.state_dir = Path(tempfile.mkdtemp(prefix="stackyard-bench-"))
        # The cloud that will be made here: its OCI runtime is known to an engine by the state directory's path.
        self._cloud_id = StateDirectory(self.state_dir).create(created="").id
        self._daemon = Dockerd(self.state_dir, self._cloud_id, bridge=True)
        self.socket = self._daemon.socket_path

    def start(self) -> None:
        """Starts it and loads the image that all containers are made of."""
        for program in ("docker", "dockerd", "runc"):
            if shutil.which(program) is None:
                raise FileNotFoundError(f"{program} is not installed (packages.txt)")
        self._daemon.start()
        self._daemon.wait_ready()
        self.docker("import", "-", f"{IMAGE}:latest", data=busybox_files("sh", "sleep"))

    def stop(self) -> None:
        """Removes every container, ends the daemon and leaves nothing of it."""
        try:
            if self._daemon.pid() is not None and (containers := self.docker("ps", "-aq").split()):
                self.docker("rm", "-f", *containers)
        finally:
            self._daemon.stop(remove_data=True)
            shutil.rmtree(RUN_DIR / self._cloud_id, ignore_errors=True)
            shutil.rmtree(self.state_dir, ignore_errors=True)

    def docker(self, *arguments: str, data: bytes | None = None) -> str:
        """What Docker's own client says. Raises CalledProcessError."""
        return self._output(*arguments, data=data).decode().strip()

    def saved(self, image: str) -> bytes:
        """An image as an archive."""
        return self._output("save", f"{image}:latest")

    def _output(self, *arguments: str, data: bytes | None = None) -> bytes:
        command = self.command(*arguments)
        return subprocess.run(command, input=data, capture_output=True, check=True, env=self._environment).stdout

    def command(self, *arguments: str) -> list[str]:
        """The client's command line for this engine."""
        return ["docker", "-H", f"unix://{self.socket}", *arguments]

    def run_all(self, count: int) -> list[str]:
        """`docker run -d`, so many at the same time; returns the containers' ids once all have returned."""
        argv = self.command("run", "-d", IMAGE, *COMMAND)
        running = [
            subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self._environment)
            for _ in range(count)
        ]
        ids = []
        for process in running:
            output, errors = process.communicate()
            if process.returncode:
                raise RuntimeError(f"docker run failed: {errors.decode()[-300:]}")
            ids.append(output.decode().strip())
        return ids

    def address(self, container: str) -> str:
        """The container's address on Docker's bridge."""
        return self.docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", container)

    def process(self, name: str) -> int:
        """The first process of a container, by Docker's name of it."""
        return int(self.docker("inspect", "-f", "{{.State.Pid}}", name))

    def version(self) -> str:
        """The engine's version."""
        return self.docker("version", "-f", "{{.Server.Version}}")

    @property
    def _environment(self) -> dict[str, str]:
        # A user's own context or proxy settings of the client have no place in a measurement.
        return {**os.environ, "DOCKER_CONFIG": str(self.state_dir / "docker-client")}
