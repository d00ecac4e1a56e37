"""A cloud whose host is in memory, in a process of its own: only the control plane is timed with it.

`python -m bench.memory_cloud STATE_DIR PORT` serves every API on 127.0.0.1 until its input ends, on a file of SQLite.
Real services are measured against it with their fake drivers.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from pathlib import Path

from bench.client import Target, answers, wait_for
from bench.cloud import ROOT, free_port

PASSWORD = "of-a-throw-away-cloud"


@dataclasses.dataclass
class MemoryCloud:
    """Started as a context; ended and forgotten at its end. The directory is the caller's to remove."""

    state_dir: Path
    port: int = dataclasses.field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def target(self) -> Target:
        """How the benchmark's client reaches it."""
        url = f"http://127.0.0.1:{self.port}"
        return Target(
            identity=f"{url}/identity/v3",
            image=f"{url}/image/v2",
            network=f"{url}/network/v2.0",
            container=f"{url}/container/v1",
            compute=f"{url}/compute/v2.1",
            placement=f"{url}/placement",
            password=PASSWORD,
        )

    def __enter__(self) -> MemoryCloud:
        log = (self.state_dir / "memory-cloud.log").open("wb")
        argv = [sys.executable, "-m", "bench.memory_cloud", str(self.state_dir / "state"), str(self.port)]
        with log:
            self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=ROOT)
        try:
            wait_for(self._serves, seconds=60, what="the cloud in memory to serve")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _serves(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the cloud in memory ended: {(self.state_dir / 'memory-cloud.log').read_text()[-800:]}")
        return answers(self.target().identity)


def main(state_dir: Path, port: int) -> None:
    """Serve until the input ends."""
    import gc

    import uvicorn

    from stackyard.app import Cloud, Host
    from stackyard.core.config import load
    from stackyard.core.db import Database
    from stackyard.host.containers.memory import MemoryEngine
    from stackyard.host.machines.memory import in_memory_host
    from stackyard.host.network.memory import MemoryNetworkDriver
    from stackyard.state import StateDirectory

    state = StateDirectory(state_dir)
    state.create("")
    unlimited = {f"STACKYARD_QUOTA_{name}": "-1" for name in ("INSTANCES", "CORES", "RAM", "NETWORK", "PORT")}
    settings = load(None, unlimited)
    database = Database(state.sqlite_url())
    database.create_all()
    host = Host(
        name="memory", state_dir=state.path, engine=MemoryEngine(), network=MemoryNetworkDriver(), **in_memory_host()
    )
    cloud = Cloud(settings, database, host)
    cloud.seed({"admin": PASSWORD, "demo": PASSWORD})
    cloud.start()
    gc.freeze()
    server = uvicorn.Server(uvicorn.Config(cloud, host="127.0.0.1", port=port, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    sys.stdin.read()
    server.should_exit = True
    thread.join(5)
    cloud.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
