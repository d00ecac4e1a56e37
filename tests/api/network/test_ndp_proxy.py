"""IPv6 addresses that routers answer for outside."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.api.network.routing import plug, unplug
from tests.cloud import TestCloud


class Scoped:
    """An external network and a tenant's one in an address scope, with a router between."""

    def __init__(self, demo: Neutron, admin: Neutron) -> None:
        scope = admin.create("address_scope", name="six", ip_version=6, shared=True)
        pool = admin.create(
            "subnetpool", name="six", prefixes=["2001:db8::/32"], address_scope_id=scope["id"], shared=True,
            default_prefixlen=64,
        )  # fmt: skip
        self.outside = admin.create("network", **{"router.external": True})
        given = {"ip_version": 6, "subnetpool_id": pool["id"]}
        admin.create("subnet", network_id=self.outside["id"], enable_dhcp=False, **given)
        self.network = demo.create("network")
        self.subnet = demo.create("subnet", network_id=self.network["id"], **given)
        self.port = demo.create("port", network_id=self.network["id"])
        self.info = {"network_id": self.outside["id"]}
        self.router = demo.create("router", external_gateway_info=self.info, enable_ndp_proxy=True)
        plug(demo, self.router, subnet_id=self.subnet["id"])


@pytest.fixture
def scoped(demo: Neutron, admin: Neutron) -> Scoped:
    return Scoped(demo, admin)


def test_create_show_update_delete(cloud: TestCloud, demo: Neutron, admin: Neutron, scoped: Scoped) -> None:
    router, port = scoped.router, scoped.port
    assert router["enable_ndp_proxy"] is True
    made = demo.create("ndp_proxy", name="one", router_id=router["id"], port_id=port["id"])
    address = port["fixed_ips"][0]["ip_address"]
    assert (made["ip_address"], made["name"], made["revision_number"]) == (address, "one", 1)
    cloud.settle()
    assert cloud.network.routers[router["id"]].proxied == (address,)
    gateway = cloud.network.routers[router["id"]].gateway
    assert gateway is not None
    assert gateway.routed == (scoped.subnet["cidr"],)
    assert demo.update("ndp_proxy", made["id"], name="two", description="d")["name"] == "two"
    assert [item["id"] for item in demo.list("ndp_proxy", f"?router_id={router['id']}")] == [made["id"]]
    assert demo.list("ndp_proxy", "?router_id=nowhere") == []
    assert unplug(demo, router, status=409, subnet_id=scoped.subnet["id"])["type"] == "RouterInterfaceInUseByNDPProxy"
    assert demo.update("router", router["id"], status=409, external_gateway_info=None)["type"] == (
        "RouterGatewayInUseByNDPProxy"
    )
    twice = {"router_id": router["id"], "port_id": port["id"]}
    assert demo.refuse("ndp_proxy", 400, **twice) == "HTTPBadRequest"
    demo.update("router", router["id"], enable_ndp_proxy=False)
    cloud.settle()
    assert cloud.network.routers[router["id"]].proxied == ()
    assert demo.refuse("ndp_proxy", 409, **twice) == "RouterNDPProxyNotEnable"
    admin.show("ndp_proxy", made["id"])
    demo.delete("ndp_proxy", made["id"])
    assert demo.show("ndp_proxy", made["id"], status=404)["type"] == "NDPProxyNotFound"
    cleared = demo.update("router", router["id"], external_gateway_info=None)
    assert cleared["enable_ndp_proxy"] is False


def test_a_router_that_gets_its_gateway_later(demo: Neutron, scoped: Scoped) -> None:
    router = demo.create("router", enable_ndp_proxy=True)
    body = {"router": {"external_gateways": [scoped.info]}}
    changed = demo.call("PUT", f"routers/{router['id']}/update_external_gateways", body, status=200)["router"]
    assert changed["enable_ndp_proxy"] is True


def test_proxies_go_with_their_port(cloud: TestCloud, demo: Neutron, scoped: Scoped) -> None:
    made = demo.create("ndp_proxy", router_id=scoped.router["id"], port_id=scoped.port["id"])
    demo.delete("port", scoped.port["id"])
    demo.show("ndp_proxy", made["id"], status=404)
    cloud.settle()
    assert cloud.network.routers[scoped.router["id"]].proxied == ()


def test_proxies_that_cannot_be(demo: Neutron, admin: Neutron, scoped: Scoped) -> None:
    given = {"router_id": scoped.router["id"], "port_id": scoped.port["id"]}
    for address in ("10.0.0.1", "no", "2001:db8:ffff::1"):
        assert demo.refuse("ndp_proxy", 400, **given, ip_address=address) == "InvalidAddress"
    assert demo.refuse("ndp_proxy", 404, **(given | {"router_id": "nowhere"})) == "RouterNotFound"
    assert demo.refuse("ndp_proxy", 404, **(given | {"port_id": "nowhere"})) == "PortNotFound"
    assert demo.refuse("ndp_proxy", 400, port_id=scoped.port["id"]) == "HTTPBadRequest"
    assert demo.refuse("ndp_proxy", 400, **given, name="x" * 256) == "HTTPBadRequest"
    assert demo.refuse("ndp_proxy", 403, **given, project_id=admin.create("router")["project_id"]) == (
        "PolicyNotAuthorized"
    )
    far, _ = demo.network("fd00:77::/64")
    beside = demo.create("port", network_id=far["id"])
    assert demo.refuse("ndp_proxy", 409, **(given | {"port_id": beside["id"]})) == "PortUnreachableRouter"
    plug(demo, scoped.router, subnet_id=demo.list("subnet", f"?network_id={far['id']}")[0]["id"])
    assert demo.refuse("ndp_proxy", 409, **(given | {"port_id": beside["id"]})) == "AddressScopeConflict"
    theirs = admin.create("router")
    assert demo.refuse("ndp_proxy", 404, **(given | {"router_id": theirs["id"]})) == "RouterNotFound"


def test_routers_that_cannot_answer(demo: Neutron, public: dict[str, Any]) -> None:
    waiting = demo.create("router", enable_ndp_proxy=True)
    assert waiting["enable_ndp_proxy"] is False
    outside = {"router": {"external_gateways": [{"network_id": public["id"]}]}}
    path = f"routers/{waiting['id']}"
    for action in ("add", "update"):
        kind = demo.call("PUT", f"{path}/{action}_external_gateways", outside, status=409)["type"]
        assert kind == "RouterGatewayNotValid"
    assert demo.update("router", waiting["id"], external_gateway_info=None)["enable_ndp_proxy"] is False
    port = demo.create("port", network_id=demo.network("fd00:8::/64")[0]["id"])
    assert demo.refuse("ndp_proxy", 409, router_id=waiting["id"], port_id=port["id"]) == "RouterNDPProxyNotEnable"
    info = {"network_id": public["id"]}
    assert demo.refuse("router", 409, enable_ndp_proxy=True, external_gateway_info=info) == "RouterGatewayNotValid"
    router = demo.create("router", external_gateway_info=info, enable_ndp_proxy=False)
    assert demo.update("router", router["id"], status=409, enable_ndp_proxy=True)["type"] == "RouterGatewayNotValid"
    assert demo.update("router", router["id"], status=400, enable_ndp_proxy="maybe")["type"] == "HTTPBadRequest"
