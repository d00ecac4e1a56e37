"""Which host is given what work, when several share the rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.cloud import TestCloud

from stackyard.core.db import Transaction
from stackyard.core.reconcile import work
from stackyard.services.network import api as network_api
from stackyard.services.network import hosts, placement, wanted
from stackyard.services.network.tables import network_hosts

V2 = "/network/v2.0"
_CLEAR = sa.delete(work)


class Hosts:
    """A cloud on `testhost`, of which `other` and `third` are hosts too; nothing is worked on."""

    def __init__(self, url: str, folder: Path) -> None:
        self.cloud = TestCloud(url, folder)
        self.database, self.demo = self.cloud.database, self.cloud.client("demo")
        self.database.write("register", hosts.register, self.cloud.runtime)
        self.database.write("others", self._others)
        self.network = self.make("network", name="n")
        self.make("subnet", network_id=self.network["id"], ip_version=4, cidr="10.5.0.0/24")
        self.group = self.make("security_group", name="g")

    @staticmethod
    def _others(tx: Transaction) -> None:
        for number, name in enumerate(("other", "third"), start=2):
            moments = dict.fromkeys(("joined_at", "started_at", "heartbeat_at"), tx.now)
            row = {"name": name, "tunnel_address": f"192.0.2.{number}", "physical_networks": {}, "zone": "nova"}
            tx.execute(sa.insert(network_hosts), row | moments)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.demo.request(method, f"{V2}{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def make(self, noun: str, **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.send("POST", f"/{noun.replace('_', '-')}s", {noun: fields})[noun]
        return made

    def port(self, host: str = "", group: str = "") -> str:
        groups = [group or self.group["id"]]
        made = self.make("port", network_id=self.network["id"], security_groups=groups)["id"]
        if host:
            self.bind(made, host)
        return str(made)

    def bind(self, port: str, host: str) -> None:
        at = {"netns": "/run/netns/x", "device": "eth0", "host": host}
        self.database.write("bind", network_api.bind_port, port, **at)

    def marked(self) -> set[tuple[str, str]]:
        """Kinds with their hosts, and ids, of what is to be looked at; then nothing is."""

        def look(tx: Transaction) -> set[tuple[str, str]]:
            found = {(row.kind, row.resource_id) for row in tx.all(sa.select(work))}
            tx.execute(_CLEAR)
            return found

        return self.database.write("marked", look)


@pytest.fixture
def many(postgres_url: str, tmp_path: Path) -> Iterator[Hosts]:
    made = Hosts(postgres_url, tmp_path / "state")
    yield made
    made.cloud.close()


def of(kind: str, resource_id: str, *at: str) -> set[tuple[str, str]]:
    return {(f"{kind}@{host}", resource_id) for host in at}


def test_what_is_nowhere_is_the_work_of_the_host_that_has_been_there_longest(many: Hosts) -> None:
    network, group = many.network["id"], many.group["id"]
    marked = many.marked()
    assert of("network", network, "testhost") <= marked
    assert not of("network", network, "other", "third") & marked
    assert not of("security_group", group, "other", "third") & marked


def test_a_bound_port_is_its_hosts_work_and_the_others_learn_where_it_is(many: Hosts) -> None:
    network, group = many.network["id"], many.group["id"]
    first = many.port("other")
    many.marked()
    second = many.port("third")
    marked = many.marked()
    assert of("port", second, "third") <= marked
    assert of("network", network, "other") <= marked
    assert of("security_group", group, "other") <= marked
    assert not {item for item in marked if item[0].startswith("port@") and item[1] != second}
    many.bind(second, "other")
    marked = many.marked()
    assert of("port", second, "third", "other") <= marked, "it leaves one host and comes to the other"
    assert of("network", network, "third") <= marked, "which has nothing of the network any more"
    many.send("DELETE", f"/ports/{first}")
    assert of("port", first, "other") <= many.marked()


def test_a_group_is_looked_at_where_it_is_and_where_it_is_looked_into(many: Hosts) -> None:
    group = many.group["id"]
    looking = many.make("security_group", name="looking")["id"]
    rule = {"security_group_id": looking, "direction": "ingress", "ethertype": "IPv4", "remote_group_id": group}
    many.port("other")
    many.port("third", looking)
    many.marked()
    many.make("security_group_rule", **rule)
    marked = many.marked()
    assert of("security_group", looking, "third") <= marked
    assert of("security_group", group, "other", "third") <= marked, "the third needs its members from now on"
    many.port("other")
    assert of("security_group", group, "third") <= many.marked()


def test_a_deleted_network_is_looked_at_everywhere(many: Hosts) -> None:
    many.marked()
    many.send("DELETE", f"/networks/{many.network['id']}")
    assert of("network", many.network["id"], "testhost", "other", "third") <= many.marked()


def test_a_router_stays_on_the_host_that_made_it(many: Hosts) -> None:
    many.port("other")
    many.marked()
    router = many.make("router", name="r")["id"]
    many.send("PUT", f"/routers/{router}/add_router_interface", {"subnet_id": _subnet(many)})
    marked = many.marked()
    assert of("router", router, "testhost") <= marked
    assert not of("router", router, "other", "third") & marked
    assert of("network", many.network["id"], "other", "testhost") <= marked


def _subnet(many: Hosts) -> str:
    return str(many.send("GET", f"/subnets?network_id={many.network['id']}")["subnets"][0]["id"])


def test_a_host_makes_what_is_its_own(many: Hosts) -> None:
    here, there = many.port("testhost"), many.port("other")
    network = many.network["id"]

    def look(tx: Transaction) -> None:
        assert placement.mine(tx, "port") == {here}
        assert wanted.port(tx, there) is None
        assert network in (placement.mine(tx, "network") or set())
        assert [(row.id, row.tunnel_address) for row in placement.remote_ports(tx, network)] == [(there, "192.0.2.2")]

    many.database.read("look", look)


def test_a_host_that_is_gone_for_good_is_forgotten_and_comes_back_by_itself(many: Hosts) -> None:
    many.database.write("forget", hosts.forget, "testhost")
    assert not [kind for kind, _ in many.marked() if kind.endswith("@testhost")]
    assert many.database.read("names", hosts.names) == ("other", "third")
    many.database.write("beat", hosts.beat, many.cloud.runtime)
    assert many.database.read("names", hosts.names) == ("other", "third", "testhost")
    rows = {row.name: row for row in many.database.read("rows", hosts.rows)}
    now = many.database.clock.now()
    assert hosts.is_alive(rows["testhost"], now)
    assert not hosts.is_alive(rows["testhost"], now.replace(year=now.year + 1))
