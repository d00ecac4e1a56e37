"""From rows to the host: binding and wiring ports, groups following them, repair, and what a failure leaves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud

from stackyard.core import timeline
from stackyard.core.caller import Caller
from stackyard.host.errors import HostError, SpecError
from stackyard.services.network import api, reconcile


def caller(cloud: TestCloud) -> Caller:
    """The demo user, as other services hand it on."""
    return cloud.database.read("caller", cloud.runtime.authenticate, cloud.token("demo"))


def make(cloud: TestCloud, network_id: str, **given: Any) -> Any:
    """A port, as another service makes it."""
    asker = caller(cloud)
    request = api.PortRequest(network_id=network_id, device_id="c1", device_owner="compute:zun", **given)
    return cloud.database.write("make", api.create_port, cloud.runtime, asker, request)


def bind(cloud: TestCloud, port_id: str) -> None:
    cloud.database.write(
        "bind", lambda tx: api.bind_port(tx, port_id, netns=f"/run/netns/{port_id}", device="eth0", host="testhost")
    )


def test_a_port_is_wired_at_once_with_all_it_needs(cloud: TestCloud, demo: Neutron) -> None:
    network = demo.find("network", "private")
    row = make(cloud, network["id"], dns_name="web", name="web", security_groups=("default",))
    assert demo.show("port", row.id)["status"] == "DOWN"
    bind(cloud, row.id)
    assert demo.show("port", row.id)["status"] == "BUILD"
    api.wire_now(cloud.runtime, [row.id])
    assert demo.show("port", row.id)["status"] == "ACTIVE"
    spec = cloud.network.ports[row.id]
    assert spec.netns == f"/run/netns/{row.id}"
    assert len(spec.addresses) == 2
    (group,) = spec.security_groups
    assert set(cloud.network.security_groups[group].members) == {item.ip for item in spec.addresses}
    assert "web" in {name for host in cloud.network.networks[network["id"]].hosts for name in host.names}
    servers = cloud.database.read("dns", api.dns_servers, [network["id"]])
    assert servers[0] == "10.0.0.2"
    cloud.database.write("unbind", api.unbind_port, row.id)
    cloud.settle()
    assert row.id not in cloud.network.ports
    assert demo.show("port", row.id)["status"] == "DOWN"
    assert cloud.network.security_groups[group].members == ()


def test_a_deleted_port_is_unwired_and_leaves_its_groups(cloud: TestCloud, demo: Neutron) -> None:
    row = make(cloud, demo.find("network", "private")["id"])
    bind(cloud, row.id)
    api.wire_now(cloud.runtime, [row.id])
    cloud.database.write("delete", api.delete_port, cloud.runtime, row.id)
    cloud.settle()
    assert row.id not in cloud.network.ports
    assert all(not group.members for group in cloud.network.security_groups.values())
    cloud.database.write("delete", api.delete_port, cloud.runtime, row.id)


def test_groups_of_a_wired_port_can_be_changed(cloud: TestCloud, demo: Neutron) -> None:
    row = make(cloud, demo.find("network", "private")["id"])
    bind(cloud, row.id)
    api.wire_now(cloud.runtime, [row.id])
    group = demo.create("security_group")
    demo.update("port", row.id, security_groups=[group["id"]])
    cloud.settle()
    assert cloud.network.ports[row.id].security_groups == (group["id"],)
    assert cloud.network.security_groups[group["id"]].members != ()
    assert cloud.network.security_groups[row.security_group_ids[0]].members == ()


def test_what_is_lost_comes_back_and_what_is_stray_goes(cloud: TestCloud, demo: Neutron) -> None:
    network = demo.find("network", "private")
    row = make(cloud, network["id"])
    bind(cloud, row.id)
    api.wire_now(cloud.runtime, [row.id])
    (router,) = demo.list("router")
    cloud.settle()
    cloud.network.lose(row.id, "its device is gone")
    cloud.network.lose(router["id"])
    stray = cloud.network.networks[network["id"]]
    cloud.network.apply_network(type(stray)(id="11111111-1111-4111-8111-111111111111"))
    assert reconcile.repair(cloud.runtime) == 3
    cloud.settle()
    assert cloud.network.observe().problems == {}
    assert "11111111-1111-4111-8111-111111111111" not in cloud.network.networks
    events = [entry.detail for entry in cloud.database.read("timeline", timeline.read, row.id)]
    assert "its device is gone" in events
    assert reconcile.repair(cloud.runtime) == 0


def test_a_host_that_fails_is_asked_again(cloud: TestCloud, demo: Neutron) -> None:
    cloud.network.fail_next("apply_network", HostError("no bridge today"))
    network = demo.create("network")
    cloud.settle()
    assert network["id"] in cloud.network.networks
    assert demo.show("network", network["id"])["status"] == "ACTIVE"


def test_what_can_never_be_made_says_so(cloud: TestCloud, demo: Neutron) -> None:
    cloud.settle()  # the seeded router is made first, and would meet the failure
    cloud.network.fail_next("apply_router", SpecError("no such thing"))
    router = demo.create("router")
    cloud.settle()
    assert demo.show("router", router["id"])["status"] == "ERROR"
    demo.update("router", router["id"], name="again")
    cloud.settle()
    assert demo.show("router", router["id"])["status"] == "ACTIVE"


def test_a_start_adopts_everything(cloud: TestCloud, demo: Neutron) -> None:
    row = make(cloud, demo.find("network", "private")["id"])
    bind(cloud, row.id)
    cloud.settle()
    cloud.network.purge()
    reconcile.mark_all(cloud.runtime)
    cloud.settle()
    assert row.id in cloud.network.ports
    assert len(cloud.network.networks) == 2
    assert len(cloud.network.routers) == 1


def test_other_services_find_networks_and_groups_by_name(cloud: TestCloud, demo: Neutron, admin: Neutron) -> None:
    asker = caller(cloud)
    private = demo.find("network", "private")
    read = cloud.database.read
    assert read("find", api.find_network, asker, "private").id == private["id"]
    assert read("find", api.find_network, asker, private["id"]).name == "private"
    assert read("find", api.default_network, asker).id == private["id"]
    assert read("find", api.oldest_network, asker).id == private["id"]
    admin.create("network", name="hidden")
    for name in ("hidden", "nowhere"):
        assert refused(lambda name=name: read("find", api.find_network, asker, name)) == "NetworkNotFound"
    demo.create("network", name="private")
    assert refused(lambda: read("find", api.find_network, asker, "private")) == "NetworksNameAmbiguous"
    assert refused(lambda: read("find", api.default_network, asker)) == "NetworkAmbiguous"
    group = demo.create("security_group", name="web")
    assert read("find", api.find_security_groups, asker, ["web", group["id"]]) == [group["id"]]
    assert refused(lambda: read("find", api.find_security_groups, asker, ["nope"])) == "SecurityGroupNotFound"
    public = demo.find("network", "public")
    assert refused(lambda: make(cloud, public["id"])) == "ExternalNetworkAttachForbidden"


def refused(action: Any) -> str:
    """The type of the fault that an action ends in."""
    from stackyard.core.errors import ApiError

    try:
        action()
    except ApiError as error:
        return error.kind
    raise AssertionError("it was not refused")


def test_parallel_ports_never_share_an_address(cloud: TestCloud, demo: Neutron) -> None:
    network, _ = demo.network(allocation_pools=[{"start": "10.20.0.10", "end": "10.20.0.60"}])
    bodies = {"ports": [{"network_id": network["id"]}]}

    def create(_: int) -> int:
        return int(demo.http.post("/network/v2.0/ports", json=bodies).status_code)

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(create, range(60)))
    ports = demo.list("port", f"?network_id={network['id']}")
    found = [item["ip_address"] for port in ports for item in port["fixed_ips"]]
    assert len(found) == len(set(found)) == 51
    assert (statuses.count(201), statuses.count(409)) == (50, 10)
    assert demo.call("GET", f"networks/{network['id']}", status=200)["network"]["id"] == network["id"]
