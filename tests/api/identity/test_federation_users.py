"""What users are to identity providers, and memberships that end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.identity.federation import FEDERATION, Provider, settings
from tests.api.identity.people import V3, People, in_domain, in_project
from tests.cloud import TestCloud

from stackyard.core.clock import SteppedClock


@pytest.fixture
def people(database_url: str, tmp_path: Path) -> Iterator[People]:
    """The administrator of a cloud that believes one proxy."""
    cloud = TestCloud(database_url, tmp_path / "state", settings())
    try:
        yield People(cloud)
    finally:
        cloud.close()


def who(provider: Provider, unique_id: str, protocol_id: str = "mapped") -> list[dict[str, Any]]:
    return [{"idp_id": provider.id, "protocols": [{"protocol_id": protocol_id, "unique_id": unique_id}]}]


def test_a_user_is_linked_and_signs_in_by_the_provider(people: People) -> None:
    provider = Provider(people)
    user = people.user(federated=who(provider, "jo"))
    assert user["federated"] == who(provider, "jo")
    url = f"{V3}/users/{user['id']}"
    assert people.admin.get(url).json()["user"]["federated"] == who(provider, "jo")
    signed_in = provider.sign_in(remote_user="jo").json()["token"]["user"]
    assert (signed_in["id"], signed_in["name"]) == (user["id"], user["name"])

    changed = people.admin.patch(url, json={"user": {"federated": who(provider, "al")}}).json()["user"]
    assert changed["federated"] == who(provider, "al")
    assert provider.sign_in(remote_user="al").json()["token"]["user"]["id"] == user["id"]
    assert provider.sign_in(remote_user="jo").json()["token"]["user"]["id"] != user["id"]
    same = people.admin.patch(url, json={"user": {"federated": [], "description": "x"}}).json()["user"]
    assert same["federated"] == who(provider, "al")

    people.admin.delete(f"{FEDERATION}/identity_providers/{provider.id}")
    left = people.admin.get(url).json()["user"]
    assert "federated" not in left
    assert people.sign_in(user).status_code == 201


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "x",
        [5],
        [{}],
        [{"idp_id": "none", "protocols": [{"protocol_id": "mapped", "unique_id": "jo"}]}],
        [{"idp_id": "{idp}", "protocols": []}],
        [{"idp_id": "{idp}", "protocols": [{"protocol_id": "none", "unique_id": "jo"}]}],
        [{"idp_id": "{idp}", "protocols": [{"protocol_id": "mapped"}]}],
        [{"idp_id": "{idp}", "protocols": [{"protocol_id": "mapped", "unique_id": ""}]}],
        [{"idp_id": "{idp}", "protocols": [{"protocol_id": "mapped", "unique_id": "x" * 256}]}],
        [{"idp_id": 5, "protocols": [{"protocol_id": "mapped", "unique_id": "jo"}]}],
    ],
)
def test_what_users_may_not_be_linked_to(people: People, wrong: Any) -> None:
    provider = Provider(people)
    if isinstance(wrong, list) and wrong and isinstance(wrong[0], dict) and wrong[0].get("idp_id") == "{idp}":
        wrong = [{**wrong[0], "idp_id": provider.id}]
    body = {"user": {"name": "wrong", "federated": wrong}}
    assert people.admin.post(f"{V3}/users", json=body).status_code == 400
    assert people.admin.get(f"{V3}/users?name=wrong").json()["users"] == []
    user = people.user()
    response = people.admin.patch(f"{V3}/users/{user['id']}", json={"user": {"federated": wrong}})
    assert response.status_code == 400, response.text


def test_nobody_is_two_users(people: People) -> None:
    provider = Provider(people)
    first = people.user(federated=who(provider, "jo"))
    body = {"user": {"name": "second", "federated": who(provider, "jo")}}
    assert people.admin.post(f"{V3}/users", json=body).status_code == 409
    second = people.user()
    response = people.admin.patch(f"{V3}/users/{second['id']}", json={"user": {"federated": who(provider, "jo")}})
    assert response.status_code == 409
    assert people.admin.get(f"{V3}/users/{first['id']}").json()["user"]["federated"] == who(provider, "jo")


def test_a_domains_manager_does_not_catch_users_of_other_domains_providers(people: People) -> None:
    domain = people.make("domain")
    manager = people.with_role("manager", in_domain(domain), domain_id=domain["id"])
    own, other = Provider(people, domain_id=domain["id"]), Provider(people)
    for federated, status in ((who(own, "jo"), 201), (who(other, "boss"), 403)):
        body = {"user": {"name": f"caught-{status}", "domain_id": domain["id"], "federated": federated}}
        assert manager.post(f"{V3}/users", json=body).status_code == status
    user = people.user(domain_id=domain["id"])
    url = f"{V3}/users/{user['id']}"
    assert manager.patch(url, json={"user": {"federated": who(other, "boss")}}).status_code == 403
    assert manager.patch(url, json={"user": {"federated": who(own, "al")}}).status_code == 200
    assert other.sign_in(remote_user="boss").json()["token"]["user"]["domain"]["id"] == other.domain_id


def test_users_are_listed_by_who_they_are_elsewhere(people: People) -> None:
    one, other = Provider(people), Provider(people)
    made = {
        (provider.id, name): provider.sign_in(remote_user=name).json()["token"]["user"]["id"]
        for provider in (one, other)
        for name in ("jo", "al")
    }

    def ids(query: str) -> set[str]:
        return {user["id"] for user in people.admin.get(f"{V3}/users?{query}").json()["users"]}

    assert ids(f"idp_id={one.id}") == {made[one.id, "jo"], made[one.id, "al"]}
    assert ids("unique_id=jo") == {made[one.id, "jo"], made[other.id, "jo"]}
    assert ids(f"idp_id={one.id}&unique_id=jo&protocol_id=mapped") == {made[one.id, "jo"]}
    assert ids("protocol_id=saml2") == set()
    assert ids(f"idp_id={one.id}&name=al") == {made[one.id, "al"]}
    assert set(made.values()) < ids("")


def test_a_federated_users_own_things_go_with_the_user(people: People) -> None:
    provider = Provider(people)
    user_id = provider.sign_in(remote_user="jo").json()["token"]["user"]["id"]
    assert people.admin.delete(f"{V3}/users/{user_id}").status_code == 204
    again = provider.sign_in(remote_user="jo").json()["token"]["user"]["id"]
    assert again == user_id
    renamed = people.admin.patch(f"{V3}/users/{user_id}", json={"user": {"name": "admin"}})
    assert (renamed.status_code, renamed.json()["user"]["name"]) == (200, "admin")


def lasting(people: People, minutes: int) -> tuple[Provider, dict[str, Any], dict[str, Any]]:
    group, project = people.make("group"), people.make("project")
    people.grant(f"groups/{group['id']}", "member", f"projects/{project['id']}")
    local = [{"user": {"name": "{0}"}, "groups": "{1}", "domain": {"id": "default"}}]
    rules = [{"local": local, "remote": [{"type": "REMOTE_USER"}, {"type": "OIDC-groups"}]}]
    return Provider(people, rules, authorization_ttl=minutes), group, project


def test_memberships_last_as_long_as_the_provider_says(people: People) -> None:
    people.cloud.database.clock = clock = SteppedClock(time.time())
    provider, group, project = lasting(people, 10)
    token = provider.token(remote_user="jo", oidc_groups=group["name"])
    user_id = people.validate(token).json()["token"]["user"]["id"]
    scoped = people.client(provider.rescope(token, in_project(project)).headers["x-subject-token"])
    made = scoped.post(
        f"{V3}/users/{user_id}/application_credentials", json={"application_credential": {"name": "c", "secret": "s"}}
    )
    assert made.status_code == 201, made.text
    credential = {"id": made.json()["application_credential"]["id"], "secret": "s"}
    auth = {"identity": {"methods": ["application_credential"], "application_credential": credential}}
    delegated = people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth})
    assert delegated.status_code == 201
    by_credential = people.client(delegated.headers["x-subject-token"])

    groups = people.admin.get(f"{V3}/users/{user_id}/groups").json()["groups"]
    assert [one["id"] for one in groups] == [group["id"]]
    assert groups[0]["membership_expires_at"] is not None
    member_url = f"{V3}/groups/{group['id']}/users/{user_id}"
    assert people.admin.get(member_url).status_code == 204
    effective = people.admin.get(f"{V3}/role_assignments?effective&user.id={user_id}").json()["role_assignments"]
    assert {one["scope"]["project"]["id"] for one in effective} == {project["id"]}
    assert by_credential.get("/network/v2.0/networks").status_code == 200

    clock.advance(9 * 60)
    assert by_credential.get("/network/v2.0/networks").status_code == 200
    provider.token(remote_user="jo", oidc_groups=group["name"])
    clock.advance(9 * 60)
    assert by_credential.get("/network/v2.0/networks").status_code == 200
    clock.advance(2 * 60)
    assert by_credential.get("/network/v2.0/networks").status_code == 401
    assert people.admin.get(f"{V3}/users/{user_id}/groups").json()["groups"] == []
    assert people.admin.get(member_url).status_code == 404
    assert people.admin.get(f"{V3}/role_assignments?effective&user.id={user_id}").json()["role_assignments"] == []
    # The token itself says that its user is in the group.
    assert scoped.get("/network/v2.0/networks").status_code == 200

    provider.token(remote_user="jo", oidc_groups=group["name"])
    assert by_credential.get("/network/v2.0/networks").status_code == 200
    url = f"{FEDERATION}/identity_providers/{provider.id}"
    people.admin.patch(url, json={"identity_provider": {"authorization_ttl": 0}})
    assert by_credential.get("/network/v2.0/networks").status_code == 401
    people.admin.patch(url, json={"identity_provider": {"authorization_ttl": 60}})
    assert by_credential.get("/network/v2.0/networks").status_code == 200


def test_a_membership_of_ones_own_shows_no_end(people: People) -> None:
    user, group = people.user(), people.make("group")
    url = f"{V3}/groups/{group['id']}/users/{user['id']}"
    assert people.admin.put(url).status_code == 204
    groups = people.admin.get(f"{V3}/users/{user['id']}/groups").json()["groups"]
    assert [(one["id"], one["membership_expires_at"]) for one in groups] == [(group["id"], None)]
    assert people.admin.delete(url).status_code == 204
    assert people.admin.delete(url).status_code == 404
