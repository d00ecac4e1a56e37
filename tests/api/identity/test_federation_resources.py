"""Identity providers, protocols, mappings and service providers."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.identity.federation import FEDERATION, NAME_ONLY
from tests.api.identity.people import SYSTEM, V3, People, in_project

IDP = f"{FEDERATION}/identity_providers"
MAPPINGS = f"{FEDERATION}/mappings"
SPS = f"{FEDERATION}/service_providers"
SP = {"auth_url": "https://there.example.org/v3/auth", "sp_url": "https://there.example.org/saml"}


def put(people: People, url: str, status: int = 201, **body: Any) -> dict[str, Any]:
    response = people.admin.put(url, json=body)
    assert response.status_code == status, response.text
    return dict(response.json())


def patch(people: People, url: str, status: int = 200, **body: Any) -> dict[str, Any]:
    response = people.admin.patch(url, json=body)
    assert response.status_code == status, response.text
    return dict(response.json())


def test_a_provider_from_birth_to_end(people: People) -> None:
    made = put(people, f"{IDP}/acme", identity_provider={"description": "d", "remote_ids": ["b", "a"]})
    body = made["identity_provider"]
    assert (body["id"], body["enabled"], body["description"], body["authorization_ttl"]) == ("acme", False, "d", None)
    assert body["remote_ids"] == ["a", "b"]
    assert body["links"]["self"].endswith("/v3/OS-FEDERATION/identity_providers/acme")
    assert body["links"]["protocols"] == f"{body['links']['self']}/protocols"
    domain = people.admin.get(f"{V3}/domains/{body['domain_id']}").json()["domain"]
    assert domain["name"] == domain["id"]
    assert domain["description"] == "Auto generated federated domain for Identity Provider: acme"
    assert people.admin.get(f"{IDP}/acme").json() == made
    assert people.admin.get(IDP).json()["identity_providers"] == [body]

    changed = patch(people, f"{IDP}/acme", identity_provider={"enabled": True, "authorization_ttl": 5})
    assert changed["identity_provider"] == {**body, "enabled": True, "authorization_ttl": 5}
    cleared = patch(people, f"{IDP}/acme", identity_provider={"remote_ids": None, "description": None})
    assert (cleared["identity_provider"]["remote_ids"], cleared["identity_provider"]["description"]) == ([], None)

    assert people.admin.delete(f"{IDP}/acme").status_code == 204
    assert people.admin.get(f"{IDP}/acme").status_code == 404
    assert people.admin.delete(f"{IDP}/acme").status_code == 404
    assert people.admin.get(f"{V3}/domains/{body['domain_id']}").status_code == 200


def test_a_provider_in_a_domain_goes_with_it(people: People) -> None:
    domain = people.make("domain")
    body = put(people, f"{IDP}/inside", identity_provider={"domain_id": domain["id"]})["identity_provider"]
    assert body["domain_id"] == domain["id"]
    people.admin.patch(f"{V3}/domains/{domain['id']}", json={"domain": {"enabled": False}})
    assert people.admin.delete(f"{V3}/domains/{domain['id']}").status_code == 204
    assert people.admin.get(f"{IDP}/inside").status_code == 404


def test_lists_are_filtered(people: People) -> None:
    for name, enabled in (("one", True), ("two", False)):
        put(people, f"{IDP}/{name}", identity_provider={"enabled": enabled})
        put(people, f"{SPS}/{name}", service_provider={**SP, "enabled": enabled})
    for url in (IDP, SPS):
        key = url.rsplit("/", 1)[1]
        ids = lambda query: [one["id"] for one in people.admin.get(f"{url}?{query}").json()[key]]  # noqa: E731, B023
        assert ids("") == ["one", "two"]
        assert ids("enabled=true") == ["one"]
        assert ids("enabled=false") == ["two"]
        assert ids("id=two") == ["two"]


@pytest.mark.parametrize(
    "body",
    [
        {"enabled": "yes"},
        {"description": 5},
        {"authorization_ttl": -1},
        {"authorization_ttl": 2**40},
        {"authorization_ttl": "5"},
        {"remote_ids": "a"},
        {"remote_ids": ["a", "a"]},
        {"remote_ids": [5]},
        {"remote_ids": ["x" * 256]},
        {"unknown": 1},
        {"domain_id": "../x"},
        {"description": "a\u0000b"},
    ],
)
def test_what_a_provider_may_not_be(people: People, body: dict[str, Any]) -> None:
    response = people.admin.put(f"{IDP}/bad", json={"identity_provider": body})
    assert response.status_code == 400, response.text
    assert people.admin.get(f"{IDP}/bad").status_code == 404


def test_providers_do_not_collide(people: People) -> None:
    put(people, f"{IDP}/first", identity_provider={"remote_ids": ["https://a"]})
    put(people, f"{IDP}/first", 409, identity_provider={})
    put(people, f"{IDP}/second", 409, identity_provider={"remote_ids": ["https://a"]})
    assert people.admin.get(f"{IDP}/second").status_code == 404
    put(people, f"{IDP}/second", identity_provider={})
    patch(people, f"{IDP}/second", 409, identity_provider={"remote_ids": ["https://a"]})
    patch(people, f"{IDP}/first", identity_provider={"remote_ids": ["https://a", "https://b"]})
    put(people, f"{IDP}/third", 404, identity_provider={"domain_id": "0" * 32})
    put(people, f"{IDP}/{'x' * 65}", 400, identity_provider={})
    patch(people, f"{IDP}/none", 404, identity_provider={"enabled": True})
    patch(people, f"{IDP}/first", 400, identity_provider={})
    patch(people, f"{IDP}/first", 400, identity_provider={"domain_id": "default"})


def test_a_protocol_from_birth_to_end(people: People) -> None:
    put(people, f"{IDP}/acme", identity_provider={})
    put(people, f"{MAPPINGS}/m1", mapping={"rules": NAME_ONLY})
    put(people, f"{MAPPINGS}/m2", mapping={"rules": NAME_ONLY})
    url = f"{IDP}/acme/protocols"
    made = put(people, f"{url}/saml2", protocol={"mapping_id": "m1", "remote_id_attribute": "MELLON_IDP"})
    body = made["protocol"]
    assert (body["id"], body["mapping_id"]) == ("saml2", "m1")
    assert body["links"]["self"].endswith("/identity_providers/acme/protocols/saml2")
    assert body["links"]["identity_provider"].endswith("/identity_providers/acme")
    assert people.admin.get(f"{url}/saml2").json() == made
    listed = people.admin.get(url).json()["protocols"]
    assert listed == [{**body, "idp_id": "acme", "remote_id_attribute": "MELLON_IDP"}]

    changed = patch(people, f"{url}/saml2", protocol={"mapping_id": "m2"})
    assert changed["protocol"]["mapping_id"] == "m2"
    patch(people, f"{url}/saml2", protocol={"mapping_id": "m2", "remote_id_attribute": ""})
    assert people.admin.get(url).json()["protocols"][0]["remote_id_attribute"] == ""

    put(people, f"{url}/saml2", 409, protocol={"mapping_id": "m1"})
    put(people, f"{url}/other", 400, protocol={"mapping_id": "none"})
    put(people, f"{url}/other", 400, protocol={})
    put(people, f"{url}/other", 400, protocol={"mapping_id": "m1", "more": 1})
    put(people, f"{url}/other", 400, protocol={"mapping_id": "m1", "remote_id_attribute": "x" * 65})
    put(people, f"{url}/{'x' * 65}", 400, protocol={"mapping_id": "m1"})
    put(people, f"{IDP}/none/protocols/saml2", 404, protocol={"mapping_id": "m1"})
    patch(people, f"{url}/saml2", 400, protocol={"mapping_id": "none"})
    patch(people, f"{url}/saml2", 400, protocol={"remote_id_attribute": "x"})
    patch(people, f"{url}/other", 404, protocol={"mapping_id": "m1"})

    assert people.admin.delete(f"{url}/saml2").status_code == 204
    assert people.admin.get(f"{url}/saml2").status_code == 404
    assert people.admin.delete(f"{url}/saml2").status_code == 404


def test_a_mapping_from_birth_to_end(people: People) -> None:
    made = put(people, f"{MAPPINGS}/m", mapping={"rules": NAME_ONLY})
    body = made["mapping"]
    assert (body["id"], body["rules"], body["schema_version"]) == ("m", NAME_ONLY, "1.0")
    assert body["links"]["self"].endswith("/v3/OS-FEDERATION/mappings/m")
    assert people.admin.get(f"{MAPPINGS}/m").json() == made
    assert people.admin.get(MAPPINGS).json()["mappings"] == [body]
    put(people, f"{MAPPINGS}/m", 409, mapping={"rules": NAME_ONLY})
    rules = [{"local": [], "remote": [{"type": "a"}]}]
    changed = patch(people, f"{MAPPINGS}/m", mapping={"rules": rules, "schema_version": "2.0"})["mapping"]
    assert (changed["rules"], changed["schema_version"]) == (rules, "2.0")
    patch(people, f"{MAPPINGS}/m", 400, mapping={"schema_version": "1.0"})
    patch(people, f"{MAPPINGS}/none", 404, mapping={"rules": rules})
    assert people.admin.delete(f"{MAPPINGS}/m").status_code == 204
    assert people.admin.delete(f"{MAPPINGS}/m").status_code == 404


def rule(local: Any = None, remote: Any = None) -> dict[str, Any]:
    return {"rules": [{"local": [local or {"user": {"name": "{0}"}}], "remote": [remote or {"type": "a"}]}]}


PROJECTS = [{"name": "p", "roles": [{"name": "member"}]}]
IN_DOMAIN = [{"name": "p", "roles": [], "domain": {"name": "d"}}]


@pytest.mark.parametrize(
    ("mapping", "fits"),
    [
        (rule({"user": {"id": "1", "name": "n", "email": "e", "domain": {"id": "d"}, "type": "local"}}), "123"),
        (rule({"group": {"id": "g"}}), "123"),
        (rule({"group": {"name": "g", "domain": {"name": "d"}}}), "123"),
        (rule({"groups": "{0}", "domain": {"id": "d"}, "group_ids": "{1}"}), "123"),
        (rule({"projects": PROJECTS}), "123"),
        (rule({"projects": IN_DOMAIN}), "23"),
        (rule({"projects_json": "{0}"}), "3"),
        (rule(remote={"type": "a", "any_one_of": ["x"], "regex": True}), "123"),
        (rule(remote={"type": "a", "not_any_of": []}), "123"),
        (rule(remote={"type": "a", "whitelist": ["x"]}), "123"),
        (rule(remote={"type": "a", "blacklist": ["x"]}), "123"),
        ({"rules": [{"local": [], "remote": [{"type": "a"}]}]}, "123"),
        ({}, ""),
        ({"rules": []}, ""),
        ({"rules": {}}, ""),
        ({"rules": [5]}, ""),
        ({"rules": [{"local": []}]}, ""),
        ({"rules": [{"remote": [{"type": "a"}]}]}, ""),
        ({"rules": [{"local": [], "remote": []}]}, ""),
        ({"rules": [{"local": [], "remote": [{"type": "a"}], "more": 1}]}, ""),
        (rule({"user": {"name": 5}}), ""),
        (rule({"user": {"password": "x"}}), ""),
        (rule({"user": {"type": "other"}}), ""),
        (rule({"more": "x"}), ""),
        (rule({"group": {"name": "g"}}), ""),
        (rule({"group": {"id": "g", "name": "g"}}), ""),
        (rule({"group": {}}), ""),
        (rule({"groups": ["a"]}), ""),
        (rule({"projects": [{"name": "p"}]}), ""),
        (rule({"projects": [{"name": "p", "roles": [{"id": "x"}]}]}), ""),
        (rule({"domain": {"name": "d", "more": 1}}), ""),
        (rule(remote={"any_one_of": ["a"]}), ""),
        (rule(remote={"type": "a", "regex": True}), ""),
        (rule(remote={"type": "a", "any_one_of": ["a"], "whitelist": ["b"]}), ""),
        (rule(remote={"type": "a", "any_one_of": "a"}), ""),
        (rule(remote={"type": "a", "any_one_of": ["("], "regex": True}), ""),
        (rule(remote={"type": "a", "any_one_of": ["x" * 2000], "regex": True}), ""),
        (rule(remote={"type": "a", "any_one_of": ["x" * 70000]}), ""),
    ],
)
def test_what_a_mapping_may_be(people: People, mapping: dict[str, Any], fits: str) -> None:
    for version in "123":
        body = {**mapping, "schema_version": f"{version}.0"}
        response = people.admin.put(f"{MAPPINGS}/m{version}", json={"mapping": body})
        assert response.status_code == (201 if version in fits else 400), (version, response.text)


def test_a_mapping_of_an_unknown_version(people: People) -> None:
    for version in ("4.0", "1", 1, ["1.0"]):
        put(people, f"{MAPPINGS}/m", 400, mapping={"rules": NAME_ONLY, "schema_version": version})


def test_a_service_provider_from_birth_to_end(people: People) -> None:
    made = put(people, f"{SPS}/there", service_provider=SP)
    body = made["service_provider"]
    assert {key: body[key] for key in SP} == SP
    assert (body["enabled"], body["description"], body["relay_state_prefix"]) == (False, None, "ss:mem:")
    assert people.admin.get(f"{SPS}/there").json() == made
    put(people, f"{SPS}/there", 409, service_provider=SP)
    changed = patch(people, f"{SPS}/there", service_provider={"enabled": True, "relay_state_prefix": "x"})
    assert (changed["service_provider"]["enabled"], changed["service_provider"]["relay_state_prefix"]) == (True, "x")
    reset = patch(people, f"{SPS}/there", service_provider={"relay_state_prefix": None})
    assert reset["service_provider"]["relay_state_prefix"] == "ss:mem:"
    for wrong in (
        {"auth_url": "no url"},
        {"sp_url": 5},
        {"more": 1},
        {"enabled": 1},
        {"auth_url": "https:" + "x" * 225},
    ):
        put(people, f"{SPS}/other", 400, service_provider={**SP, **wrong})
        patch(people, f"{SPS}/there", 400, service_provider=wrong)
    put(people, f"{SPS}/other", 400, service_provider={"auth_url": SP["auth_url"]})
    patch(people, f"{SPS}/there", 400, service_provider={})
    patch(people, f"{SPS}/none", 404, service_provider={"enabled": True})
    assert people.admin.delete(f"{SPS}/there").status_code == 204
    assert people.admin.get(f"{SPS}/there").status_code == 404


def test_tokens_list_the_enabled_service_providers(people: People) -> None:
    user = people.user()
    assert "service_providers" not in people.sign_in(user).json()["token"]
    put(people, f"{SPS}/on", service_provider={**SP, "enabled": True})
    put(people, f"{SPS}/off", service_provider=SP)
    token = people.sign_in(user)
    assert token.json()["token"]["service_providers"] == [{"id": "on", **SP}]
    patch(people, f"{SPS}/on", service_provider={"enabled": False})
    assert "service_providers" not in people.validate(token.headers["x-subject-token"]).json()["token"]


def test_only_administrators_change_and_readers_of_the_system_look(people: People) -> None:
    put(people, f"{IDP}/acme", identity_provider={})
    put(people, f"{MAPPINGS}/m", mapping={"rules": NAME_ONLY})
    put(people, f"{IDP}/acme/protocols/p", protocol={"mapping_id": "m"})
    put(people, f"{SPS}/there", service_provider=SP)
    reader = people.with_role("reader", SYSTEM)
    member = people.with_role("member", in_project(people.make("project")))
    ones = {
        f"{IDP}/acme": {"identity_provider": {"description": "x"}},
        f"{IDP}/acme/protocols/p": {"protocol": {"mapping_id": "m"}},
        f"{MAPPINGS}/m": {"mapping": {"rules": NAME_ONLY}},
        f"{SPS}/there": {"service_provider": {"description": "x"}},
    }
    for url, body in ones.items():
        for path in (url, url.rsplit("/", 1)[0]):
            assert reader.get(path).status_code == 200
            assert member.get(path).status_code == 403
            assert people.cloud.http.get(path).status_code == 401
        for client in (reader, member):
            assert client.patch(url, json=body).status_code == 403
            assert client.put(f"{url}x", json=body).status_code == 403
            assert client.delete(url).status_code == 403


def test_what_there_is_no_saml_for_says_so(people: People) -> None:
    for method, path in (
        ("GET", f"{FEDERATION}/saml2/metadata"),
        ("POST", f"{V3}/auth/OS-FEDERATION/saml2"),
        ("POST", f"{V3}/auth/OS-FEDERATION/saml2/ecp"),
    ):
        response = people.admin.request(method, path, json={})
        assert response.status_code == 501
        assert "SAML" in response.json()["error"]["message"]
    assert people.admin.get(f"{V3}/auth/OS-FEDERATION/saml2").status_code == 405
