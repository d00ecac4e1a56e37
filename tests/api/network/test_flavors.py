"""Flavors of routers and the profiles that they are made of."""

from __future__ import annotations

from typing import Any

from tests.api.network.neutron import Neutron

KIND = "L3_ROUTER_NAT"


def bind(admin: Neutron, flavor: dict[str, Any], profile: dict[str, Any], status: int = 201) -> Any:
    body = {"service_profile": {"id": profile["id"]}}
    return admin.call("POST", f"flavors/{flavor['id']}/service_profiles", body, status=status)


def test_create_show_update_delete(demo: Neutron, admin: Neutron) -> None:
    flavor = admin.create("flavor", name="fast", description="d", service_type=KIND, enabled=True)
    assert (flavor["service_profiles"], flavor["enabled"]) == ([], True)
    assert demo.show("flavor", flavor["id"]) == flavor
    assert demo.list("flavor", "?name=fast&enabled=true") == [flavor]
    assert admin.update("flavor", flavor["id"], enabled=False, name="slow")["enabled"] is False
    profile = admin.create("service_profile", driver="stackyard", metainfo="{'a': 1}", description="p")
    assert bind(admin, flavor, profile)["service_profile"]["id"] == profile["id"]
    assert admin.show("flavor", flavor["id"])["service_profiles"] == [profile["id"]]
    assert admin.show("service_profile", profile["id"])["flavors"] == [flavor["id"]]
    assert bind(admin, flavor, profile, status=409)["type"] == "FlavorServiceProfileBindingExists"
    assert admin.delete("service_profile", profile["id"], status=409)["type"] == "ServiceProfileInUse"
    assert admin.update("service_profile", profile["id"], status=409, enabled=False)["type"] == "ServiceProfileInUse"
    found = admin.call("GET", f"flavors/{flavor['id']}/next_providers", status=200)["next_providers"]
    assert found == [{"driver": "stackyard", "provider": "stackyard", "metainfo": "{'a': 1}"}]
    one = f"flavors/{flavor['id']}/service_profiles/{profile['id']}"
    assert demo.call("GET", one, status=403)["type"] == "PolicyNotAuthorized"
    assert admin.call("GET", one, status=200)["service_profile"] == {"id": profile["id"]}
    admin.call("DELETE", one, status=204)
    for method in ("GET", "DELETE"):
        assert admin.call(method, one, status=404)["type"] == "FlavorServiceProfileBindingNotFound"
    assert admin.update("service_profile", profile["id"], metainfo={"b": 2}, enabled=False)["metainfo"] == '{"b":2}'
    admin.delete("service_profile", profile["id"])
    admin.delete("flavor", flavor["id"])
    assert admin.show("flavor", flavor["id"], status=404)["type"] == "FlavorNotFound"
    assert admin.show("service_profile", profile["id"], status=404)["type"] == "ServiceProfileNotFound"


def test_what_cannot_be(demo: Neutron, admin: Neutron) -> None:
    for fields in ({"service_type": "VPN"}, {}, {"service_type": KIND, "name": "x" * 256}, {"service_type": 5},
                   {"service_type": KIND, "enabled": "perhaps"}, {"service_type": KIND, "more": 1}):  # fmt: skip
        assert admin.refuse("flavor", 400, **fields) in ("HTTPBadRequest", "InvalidServiceType")
    assert admin.refuse("service_profile", 400) == "ServiceProfileEmpty"
    assert admin.refuse("service_profile", 404, driver="other") == "ServiceProfileDriverNotFound"
    assert admin.refuse("service_profile", 400, metainfo="x" * 4097) == "HTTPBadRequest"
    assert admin.refuse("service_profile", 400, metainfo=5) == "HTTPBadRequest"
    assert demo.refuse("flavor", 403, service_type=KIND) == "PolicyNotAuthorized"
    assert demo.refuse("service_profile", 403, driver="stackyard") == "PolicyNotAuthorized"
    profile = admin.create("service_profile", driver="stackyard")
    assert demo.list("service_profile") == []
    assert demo.show("service_profile", profile["id"], status=403)["type"] == "PolicyNotAuthorized"
    flavor = admin.create("flavor", service_type=KIND)
    assert bind(admin, flavor, {"id": "nowhere"}, status=404)["type"] == "ServiceProfileNotFound"
    nobody = admin.call("GET", f"flavors/{flavor['id']}/next_providers", status=404)["type"]
    assert nobody == "FlavorServiceProfileBindingNotFound"


def test_routers_of_a_flavor(demo: Neutron, admin: Neutron) -> None:
    profile = admin.create("service_profile", driver="stackyard")
    flavor = admin.create("flavor", name="f", service_type=KIND, service_profiles=[profile["id"]])
    router = demo.create("router", flavor_id=flavor["id"])
    assert router["flavor_id"] == flavor["id"]
    assert [item["id"] for item in demo.list("router", f"?flavor_id={flavor['id']}")] == [router["id"]]
    assert admin.delete("flavor", flavor["id"], status=409)["type"] == "FlavorInUse"
    assert demo.update("router", router["id"], status=400, flavor_id=None)["type"] == "HTTPBadRequest"
    assert demo.refuse("router", 404, flavor_id="nowhere") == "FlavorNotFound"
    admin.update("flavor", flavor["id"], enabled=False)
    assert demo.refuse("router", 503, flavor_id=flavor["id"]) == "FlavorDisabled"
    admin.update("flavor", flavor["id"], enabled=True, service_profiles=[])
    assert demo.refuse("router", 404, flavor_id=flavor["id"]) == "FlavorServiceProfileBindingNotFound"
    admin.update("service_profile", profile["id"], enabled=False)
    admin.update("flavor", flavor["id"], service_profiles=[profile["id"]])
    assert demo.refuse("router", 503, flavor_id=flavor["id"]) == "ServiceProfileDisabled"
    demo.delete("router", router["id"])
    admin.delete("flavor", flavor["id"])


def test_the_provider(demo: Neutron) -> None:
    found = demo.call("GET", "service-providers", status=200)["service_providers"]
    assert found == [{"service_type": KIND, "name": "stackyard", "default": True}]
