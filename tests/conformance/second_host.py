"""A second host of the judged cloud's image service: a process of its own, on the same database and stores.

`python tests/conformance/second_host.py STATE_DIR OWN_DIR PORT`. It serves the whole API, does the work that only this
host can do (its own cache of images) and leaves all else to the cloud's first process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import uvicorn

from stackyard.app import Cloud, Host
from stackyard.core.config import load
from stackyard.core.db import Database
from stackyard.core.reconcile import ReconcileEngine
from stackyard.host.containers.memory import MemoryEngine
from stackyard.host.machines.memory import in_memory_host
from stackyard.host.network.memory import MemoryNetworkDriver
from stackyard.services.image.cache.reconcile import CacheReconciler
from stackyard.state import StateDirectory

NAME = "second-host"


def main(state_dir: Path, own_dir: Path, port: int) -> None:
    """Serve until it is told to end."""
    database = Database(StateDirectory(state_dir).sqlite_url())
    host = Host(name=NAME, state_dir=own_dir, engine=MemoryEngine(), network=MemoryNetworkDriver(), **in_memory_host())
    cloud = Cloud(load(None, os.environ), database, host)
    cloud.reconcile = ReconcileEngine(database, [CacheReconciler(cloud.runtime)], workers=1)
    cloud.reconcile.start()
    try:
        uvicorn.run(cloud, host="127.0.0.1", port=port, log_level="warning")
    finally:
        cloud.reconcile.stop()
        cloud.runtime.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
