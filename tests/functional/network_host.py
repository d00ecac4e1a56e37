"""One host of a cloud of several: the whole cloud in a process, with the kernel's network and an engine in memory.

`python tests/functional/network_host.py STATE_DIR CONFIG PORT`. Serves every API on 127.0.0.1, and does what is asked
line by line on its standard input, answering each with a line: `bind PORT NETNS` wires a port into a namespace as
services do for their workloads, `unbind PORT`, `problems` says what of the kernel is not as it was applied, `purge`
removes everything and ends the process.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import uvicorn

from stackyard.app import Cloud, Host
from stackyard.core.config import load
from stackyard.core.db import Database
from stackyard.host.containers.memory import MemoryEngine
from stackyard.host.machines.memory import in_memory_host
from stackyard.host.network.kernel import KernelNetworkDriver
from stackyard.launch import host_name, network_driver
from stackyard.services.network import api as network_api
from stackyard.state import StateDirectory

PASSWORDS = {"admin": "admin-secret", "demo": "demo-secret"}


def main(state_dir: Path, config: Path, port: int) -> None:
    """Serve until the input ends."""
    state, settings = StateDirectory(state_dir), load(config, {})
    state.create("")
    database = Database(settings.database.url, pool_size=6)
    database.create_all()
    driver = network_driver(state, settings)
    driver.start()
    host = Host(
        name=host_name(settings), state_dir=state.path, engine=MemoryEngine(), network=driver, **in_memory_host()
    )
    cloud = Cloud(settings, database, host)
    if not cloud.is_seeded():
        cloud.seed(PASSWORDS)
    cloud.start()
    server = uvicorn.Server(uvicorn.Config(cloud, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    answer("ready")
    for line in sys.stdin:
        answer(obey(cloud, driver, line.split()))
        if line.startswith("purge"):
            break
    server.should_exit = True
    thread.join(5)
    cloud.stop()
    driver.close()


def answer(text: str) -> None:
    """One line to whoever asked."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def obey(cloud: Cloud, driver: KernelNetworkDriver, words: list[str]) -> str:
    """Do what a line says, and return the answer to it."""
    runtime = cloud.runtime
    match words:
        case ["bind", port_id, netns]:
            at = {"netns": netns, "device": "eth0", "host": host_name(runtime.settings)}
            runtime.database.write("bind", network_api.bind_port, port_id, **at)
            network_api.wire_now(runtime, [port_id])
            return "bound"
        case ["unbind", port_id]:
            runtime.database.write("unbind", network_api.unbind_port, port_id)
            return "unbound"
        case ["problems"]:
            return json.dumps(driver.observe().problems)
        case ["purge"]:
            cloud.reconcile.stop()
            driver.purge()
            return "purged"
        case _:
            return f"not understood: {words}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
