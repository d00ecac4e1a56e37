"""Rows of the data plane: one port wired into a namespace, and one rule of a group that two hundred ports are in.

Ports come by the CNI plug-in's socket, as pods do: a call makes the port, wires it and answers when it is up.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from bench.client import Client
from bench.context import Context
from bench.rows import Goal, Row

WIRE, RULE = "wiring one port", "rule among 100, on 200 ports"
WIRE_GOAL, RULE_GOAL = Goal("ours", "<", 25), Goal("ours", "<", 100)
PORTS, RULES, FIRST = 200, 100, 20000


class Pods:
    """Namespaces with a port of ours each, until it closes."""

    def __init__(self, context: Context) -> None:
        self._socket = context.cloud.state_dir / "cni.sock"
        self._names: list[str] = []
        self.network, self.group = _site(context.client)

    def add(self) -> float:
        """One more; the seconds from an empty machine to the port that is up."""
        name = f"bench-{uuid.uuid4().hex[:8]}"
        started = time.perf_counter()
        run("ip", "netns", "add", name)
        self._names.append(name)
        self._ask("ADD", name)
        return time.perf_counter() - started

    def drop(self) -> None:
        """The latest goes."""
        name = self._names.pop()
        try:
            self._ask("DEL", name)
        finally:
            run("ip", "netns", "delete", name)

    def close(self) -> None:
        """All go."""
        while self._names:
            self.drop()

    def _ask(self, command: str, name: str) -> None:
        config = {"cniVersion": "1.0.0", "name": "bench", "project": "admin", "network": self.network}
        call = {"command": command, "container_id": name, "netns": f"/run/netns/{name}", "ifname": "eth0"}
        body = json.dumps({**call, "config": {**config, "security_groups": [self.group]}})
        connection = http.client.HTTPConnection("localhost")
        with contextlib.closing(connection):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self._socket))
            connection.request("POST", "/", body)
            answer = json.loads(connection.getresponse().read())
        if "code" in answer:
            raise RuntimeError(f"{command}: {answer['msg']} {answer.get('details', '')}")


def one_port(context: Context) -> Iterator[Row]:
    """Namespace, port, veth pair, bridge, address, route, filter, DHCP and DNS entry; by hand without the last two."""
    ours, reference = [], []
    pods = Pods(context)
    with contextlib.closing(pods):
        pods.add()
        for _ in range(5 if context.quick else 30):
            ours.append(pods.add() * 1000)
            reference.append(_by_hand() * 1000)
            pods.drop()
    note = "reference: namespace, veth pair, bridge, address and route by the ip command, no filter, no DHCP"
    yield Row(WIRE, "ms", WIRE_GOAL, statistics.median(ours), statistics.median(reference), note)


def one_rule(context: Context) -> Iterator[Row]:
    """From the call that makes a rule to the kernel's own word that it has it; `nft add rule` in the same table."""
    client, pods = context.client, Pods(context)
    with contextlib.closing(pods):
        for number in range(RULES - len(_rules(client, pods.group))):
            _add_rule(client, pods.group, FIRST + number)
        context.report(f"wiring {PORTS} ports")
        for _ in range(20 if context.quick else PORTS):
            pods.add()
        fabric = f"sy-{json.loads((context.cloud.state_dir / 'cloud.json').read_text())['id']}"
        chain = f"g_{pods.group.replace('-', '')[:12]}_i"
        ours, reference = [], []
        with _Monitor(fabric) as monitor:
            for number in range(3 if context.quick else 15):
                ours.append(_rule_seconds(client, pods.group, FIRST + 5000 + number, monitor) * 1000)
                reference.append(_nft_seconds(fabric, chain, FIRST + 6000 + number, monitor) * 1000)
    yield Row(RULE, "ms", RULE_GOAL, statistics.median(ours), statistics.median(reference), "reference: nft add rule")


class _Monitor:
    """Listens to what the kernel says of its rules in a namespace."""

    def __init__(self, namespace: str) -> None:
        self._nft = ["nsenter", f"--net=/run/netns/{namespace}", "nft"]
        self._heard = b""

    def __enter__(self) -> _Monitor:
        self._process = subprocess.Popen([*self._nft, "monitor", "new", "rules"], stdout=subprocess.PIPE)
        # It reads all rules there are before it listens, and does not say when it does: until it hears of this one.
        run(*self._nft, "add table inet bench; add chain inet bench probe")
        deadline = time.monotonic() + 30
        while not self._listen(0.05) and time.monotonic() < deadline:
            run(*self._nft, "add rule inet bench probe accept")
        run(*self._nft, "delete table inet bench")
        return self

    def wait_for(self, text: str) -> None:
        """Until a new rule has this text; raises TimeoutError."""
        deadline = time.monotonic() + 30
        while text.encode() not in self._heard:
            if not self._listen(deadline - time.monotonic()):
                raise TimeoutError(f"nft monitor tells of no rule with {text}")
        self._heard = b""

    def _listen(self, seconds: float) -> bool:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, seconds))
        heard = os.read(self._process.stdout.fileno(), 1 << 16) if ready else b""
        self._heard += heard
        return bool(heard)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _rule_seconds(client: Client, group: str, port: int, monitor: _Monitor) -> float:
    started = time.perf_counter()
    _add_rule(client, group, port)
    monitor.wait_for(str(port))
    return time.perf_counter() - started


def _nft_seconds(namespace: str, chain: str, port: int, monitor: _Monitor) -> float:
    rule = f"add rule bridge stackyard {chain} ether type ip tcp dport {port} accept"
    started = time.perf_counter()
    run("nsenter", f"--net=/run/netns/{namespace}", "nft", rule)
    monitor.wait_for(str(port))
    return time.perf_counter() - started


def _by_hand() -> float:
    name = f"bench-{uuid.uuid4().hex[:8]}"
    inside = ("ip", "-n", name)
    started = time.perf_counter()
    try:
        for words in (
            ("ip", "netns", "add", name),
            ("ip", "link", "add", "bench-bridge", "type", "bridge"),
            ("ip", "link", "set", "bench-bridge", "up"),
            ("ip", "link", "add", "bench-outer", "type", "veth", "peer", "name", "eth0", "netns", name),
            ("ip", "link", "set", "bench-outer", "master", "bench-bridge", "up"),
            (*inside, "addr", "add", "10.79.0.9/24", "dev", "eth0"),
            (*inside, "link", "set", "eth0", "up"),
            (*inside, "route", "add", "default", "via", "10.79.0.1"),
        ):
            run(*words)
        return time.perf_counter() - started
    finally:
        for words in (("ip", "link", "delete", "bench-bridge"), ("ip", "netns", "delete", name)):
            subprocess.run(words, capture_output=True, check=False)


def run(*words: str) -> str:
    """A command's output; raises CalledProcessError."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def _site(client: Client) -> tuple[str, str]:
    """The ids of a network with room and of a security group on it; made once."""
    base = client.target.network
    found = client.get(f"{base}/networks?name=bench-pods")["networks"]
    groups = client.get(f"{base}/security-groups?name=bench-pods")["security_groups"]
    if found and groups:
        return str(found[0]["id"]), str(groups[0]["id"])
    project = client.get(f"{client.target.identity}/projects?name={client.target.project}")["projects"][0]["id"]
    quota = {"port": -1, "security_group": -1, "security_group_rule": -1}
    client.request("PUT", f"{base}/quotas/{project}", {"quota": quota})
    network = str(client.post(f"{base}/networks", {"network": {"name": "bench-pods"}})["network"]["id"])
    client.post(f"{base}/subnets", {"subnet": {"network_id": network, "ip_version": 4, "cidr": "10.79.0.0/16"}})
    group = client.post(f"{base}/security-groups", {"security_group": {"name": "bench-pods"}})["security_group"]["id"]
    return network, str(group)


def _rules(client: Client, group: str) -> Sequence[Any]:
    listed: Sequence[Any] = client.get(f"{client.target.network}/security-group-rules?security_group_id={group}")[
        "security_group_rules"
    ]
    return listed


def _add_rule(client: Client, group: str, port: int) -> None:
    rule = {"security_group_id": group, "direction": "ingress", "protocol": "tcp"}
    rule |= {"port_range_min": str(port), "port_range_max": str(port)}
    client.post(f"{client.target.network}/security-group-rules", {"security_group_rule": rule})
