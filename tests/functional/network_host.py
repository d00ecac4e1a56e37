"""One host of a cloud of several: the whole cloud in a process, with the kernel's network and an engine in memory.

`python tests/functional/network_host.py STATE_DIR CONFIG PORT`. Serves every API on 127.0.0.1, and does what is asked
line by line on its standard input, answering each with a line: `bind PORT NETNS` wires a port into a namespace as
services do for their workloads, `unbind PORT`, `problems` says what of the kernel is not as it was applied, `purge`
removes everything and ends the process. Where the environment has MACHINES, servers are machines under QEMU: `machine
SERVER` says what one does, `printed SERVER` what it printed, `say SERVER LETTER` types, and answers with what it says,
`differences` says what of the servers is not as it is written.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from functools import partial
from pathlib import Path

import uvicorn

from stackyard.app import Cloud, Host
from stackyard.core.config import load
from stackyard.core.db import Database
from stackyard.host.containers.memory import MemoryEngine
from stackyard.host.machines.capacity import host_capacity
from stackyard.host.machines.drivers import machine_drivers
from stackyard.host.machines.memory import in_memory_host
from stackyard.host.machines.qemu import monitor
from stackyard.host.network.kernel import KernelNetworkDriver
from stackyard.launch import host_name, network_driver
from stackyard.services import keys
from stackyard.services.compute import api as compute_api
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
    engine, twins = MemoryEngine(), in_memory_host()
    if os.environ.get("MACHINES"):
        twins["machines"] = machine_drivers(state.path, state.read().id, settings, driver, engine)
        twins["capacity"] = partial(host_capacity, state.path)
    host = Host(name=host_name(settings), state_dir=state.path, engine=engine, network=driver, **twins)
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
        case ["machine", server_id]:
            seen = runtime[keys.MACHINES]["machine"].inspect(server_id)
            return "gone" if seen is None else seen.state
        case ["printed", server_id]:
            return json.dumps(runtime[keys.MACHINES]["machine"].console_output(server_id))
        case ["say", server_id, letter]:
            return said(runtime[keys.MACHINES]["machine"].console(server_id, "serial").path, letter)
        case ["differences"]:
            return json.dumps(compute_api.differences(runtime))
        case ["purge"]:
            cloud.reconcile.stop()
            for machines in set(runtime[keys.MACHINES].values()):
                machines.purge()
            driver.purge()
            return "purged"
        case _:
            return f"not understood: {words}"


def said(path: str, letter: str) -> str:
    """What a machine answers on its serial line to a letter."""
    with monitor.connect(Path(path), 20.0) as serial:
        serial.sendall(letter.encode())
        return serial.recv(1).decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
