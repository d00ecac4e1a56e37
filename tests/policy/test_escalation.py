"""Ways by which somebody might come to rights that nobody gave him, each refused; on each kind of database."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.identity.people import PASSWORD, SYSTEM, V3, People, in_domain, in_project
from tests.cloud import TestCloud

Body = dict[str, Any]


class Domain:
    """A domain with a project, and its manager."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.domain = people.make("domain")
        self.id = self.domain["id"]
        self.project = people.make("project", domain_id=self.id)
        self.user = people.user(domain_id=self.id)
        people.grant(f"users/{self.user['id']}", "manager", f"domains/{self.id}")
        self.manager = people.client(people.token(self.user, in_domain(self.domain)))

    def role_id(self, name: str) -> str:
        return self.people.roles[name]


@pytest.fixture
def people(still_cloud: TestCloud) -> People:
    """The administrator of a fresh cloud."""
    return People(still_cloud)


@pytest.fixture
def mine(people: People) -> Domain:
    """The domain of whoever tries."""
    return Domain(people)


@pytest.fixture
def other(people: People) -> Domain:
    """Another one."""
    return Domain(people)


def give(client: TestClient, actor: str, role_id: str, place: str, *, inherited: bool = False) -> int:
    path = f"{place}/{actor}/roles/{role_id}"
    url = f"{V3}/OS-INHERIT/{path}/inherited_to_projects" if inherited else f"{V3}/{path}"
    return client.put(url).status_code


GREATER = [("admin", "project"), ("service", "project"), ("reader", "system"), ("admin", "domain")]


@pytest.mark.parametrize(("role", "place"), GREATER)
def test_a_manager_puts_nobody_into_a_group_with_greater_roles(mine: Domain, role: str, place: str) -> None:
    people = mine.people
    group = people.make("group", domain_id=mine.id)
    url = f"{V3}/groups/{group['id']}/users/{mine.user['id']}"
    assert mine.manager.put(url).status_code == 204
    assert mine.manager.delete(url).status_code == 204
    where = {"project": f"projects/{mine.project['id']}", "domain": f"domains/{mine.id}", "system": "system"}[place]
    people.grant(f"groups/{group['id']}", "member", f"projects/{mine.project['id']}")
    assert mine.manager.put(url).status_code == 204
    assert mine.manager.delete(url).status_code == 204
    people.grant(f"groups/{group['id']}", role, where)
    assert mine.manager.put(url).status_code == 403
    assert people.admin.put(url).status_code == 204


@pytest.mark.parametrize(("role", "place"), GREATER)
@pytest.mark.parametrize("by_group", [False, True])
def test_a_manager_does_not_take_over_a_greater_user(mine: Domain, role: str, place: str, by_group: bool) -> None:
    people = mine.people
    user, group = people.user(domain_id=mine.id), people.make("group", domain_id=mine.id)
    url = f"{V3}/users/{user['id']}"
    assert mine.manager.patch(url, json={"user": {"password": "taken-over-1"}}).status_code == 200
    where = {"project": f"projects/{mine.project['id']}", "domain": f"domains/{mine.id}", "system": "system"}[place]
    actor = f"users/{user['id']}"
    if by_group:
        actor = f"groups/{group['id']}"
        assert people.admin.put(f"{V3}/{actor}/users/{user['id']}").status_code == 204
    people.grant(actor, role, where)
    for change in ({"password": "taken-over-2"}, {"enabled": False}, {"options": {"lock_password": True}}):
        assert mine.manager.patch(url, json={"user": change}).status_code == 403, change
    assert mine.manager.delete(url).status_code == 403
    assert mine.manager.get(url).status_code == 200
    assert people.sign_in(user, password="taken-over-1").status_code == 201


def test_a_manager_may_look_after_managers_members_and_readers(mine: Domain) -> None:
    user = mine.people.user(domain_id=mine.id)
    for role in ("manager", "member", "reader"):
        assert give(mine.manager, f"users/{user['id']}", mine.role_id(role), f"projects/{mine.project['id']}") == 204
    url = f"{V3}/users/{user['id']}"
    assert mine.manager.patch(url, json={"user": {"password": "chosen-anew"}}).status_code == 200
    assert mine.manager.delete(url).status_code == 204


def test_a_role_of_a_domain_that_implies_more_is_no_lesser_role(mine: Domain) -> None:
    people = mine.people
    greater = people.make("role")
    disguised = people.make("role", name="reader", domain_id=mine.id)
    assert people.admin.put(f"{V3}/roles/{disguised['id']}/implies/{greater['id']}").status_code == 201
    place = f"projects/{mine.project['id']}"
    assert give(mine.manager, f"users/{mine.user['id']}", disguised["id"], place) == 403
    user = people.user(domain_id=mine.id)
    assert give(people.admin, f"users/{user['id']}", disguised["id"], place) == 204
    url = f"{V3}/users/{user['id']}"
    assert mine.manager.patch(url, json={"user": {"password": "taken-over"}}).status_code == 403


def test_a_role_of_a_domain_stays_in_it(mine: Domain, other: Domain) -> None:
    people = mine.people
    role = people.make("role", domain_id=mine.id)
    user = f"users/{people.user(domain_id=other.id)['id']}"
    for place in (f"projects/{other.project['id']}", f"domains/{other.id}"):
        assert give(people.admin, user, role["id"], place) == 403
        assert give(people.admin, user, role["id"], place, inherited=True) == 403
    assert give(people.admin, user, role["id"], "system") == 400
    assert people.admin.put(f"{V3}/roles/{people.roles['reader']}/implies/{role['id']}").status_code == 403


@pytest.mark.parametrize("inherited", [False, True])
def test_a_manager_gives_nothing_beyond_the_domain(mine: Domain, other: Domain, inherited: bool) -> None:
    me, them = f"users/{mine.user['id']}", f"users/{other.user['id']}"
    role = mine.role_id("reader")
    places = [f"projects/{other.project['id']}", f"domains/{other.id}", "domains/default", f"projects/{other.id}"]
    for place in places:
        assert give(mine.manager, me, role, place, inherited=inherited) == 403, place
    for place in (f"projects/{mine.project['id']}", f"domains/{mine.id}"):
        assert give(mine.manager, them, role, place, inherited=inherited) == 403, place
        for greater in ("admin", "service"):
            assert give(mine.manager, me, mine.role_id(greater), place, inherited=inherited) == 403, (place, greater)
    assert give(mine.manager, me, role, "system") == 403
    # Neither does a domain that is named as a project.
    assert give(mine.manager, me, mine.role_id("admin"), f"projects/{mine.id}", inherited=inherited) == 403


def test_a_manager_neither_moves_users_nor_makes_them_elsewhere(mine: Domain, other: Domain) -> None:
    people = mine.people
    user = people.user(domain_id=mine.id)
    moved = mine.manager.patch(f"{V3}/users/{user['id']}", json={"user": {"domain_id": other.id}})
    assert moved.status_code == 400
    for domain_id in (other.id, "default", None, "", [mine.id], {"id": mine.id}, 0, "nowhere"):
        body = {"user": {"name": "planted", "password": PASSWORD, "domain_id": domain_id}}
        assert mine.manager.post(f"{V3}/users", json=body).status_code in (400, 403), domain_id
    assert people.admin.get(f"{V3}/users?name=planted").json()["users"] == []


def test_a_manager_changes_no_role_and_no_rule_between_roles(mine: Domain) -> None:
    reader, admin = mine.role_id("reader"), mine.role_id("admin")
    assert mine.manager.patch(f"{V3}/roles/{admin}", json={"role": {"name": "reader2"}}).status_code == 403
    assert mine.manager.post(f"{V3}/roles", json={"role": {"name": "r", "domain_id": mine.id}}).status_code == 403
    for prior, implied in ((reader, admin), (reader, mine.role_id("service")), (reader, mine.role_id("member"))):
        assert mine.manager.put(f"{V3}/roles/{prior}/implies/{implied}").status_code == 403


def test_nobody_implies_admin_not_even_by_a_role_of_a_domain(mine: Domain) -> None:
    people = mine.people
    of_domain = people.make("role", domain_id=mine.id)["id"]
    namesake = people.make("role", name="admin", domain_id=mine.id)["id"]
    for prior in (people.roles["reader"], of_domain):
        assert people.admin.put(f"{V3}/roles/{prior}/implies/{people.roles['admin']}").status_code == 403
    assert people.admin.put(f"{V3}/roles/{of_domain}/implies/{namesake}").status_code == 403


def test_readers_and_members_of_a_domain_give_nothing(mine: Domain) -> None:
    people = mine.people
    for role in ("member", "reader"):
        user = people.user(domain_id=mine.id)
        people.grant(f"users/{user['id']}", role, f"domains/{mine.id}")
        client = people.client(people.token(user, in_domain(mine.domain)))
        me = f"users/{user['id']}"
        for wanted in ("manager", "member", "reader", "admin"):
            for place in (f"projects/{mine.project['id']}", f"domains/{mine.id}", "system"):
                assert give(client, me, people.roles[wanted], place) == 403, (role, wanted, place)
        assert client.patch(f"{V3}/users/{user['id']}", json={"user": {"enabled": True}}).status_code == 403
        group = people.make("group", domain_id=mine.id)
        assert client.put(f"{V3}/groups/{group['id']}/users/{user['id']}").status_code == 403


def test_a_manager_of_a_project_manages_no_domain(mine: Domain) -> None:
    people = mine.people
    manager = people.with_role("manager", in_project(mine.project), domain_id=mine.id)
    user = people.user(domain_id=mine.id)
    place = f"projects/{mine.project['id']}"
    assert give(manager, f"users/{user['id']}", people.roles["reader"], place) == 403
    assert manager.patch(f"{V3}/users/{user['id']}", json={"user": {"enabled": False}}).status_code == 403
    assert manager.post(f"{V3}/users", json={"user": {"name": "n", "domain_id": mine.id}}).status_code == 403


def test_a_reader_of_the_system_changes_nothing(mine: Domain) -> None:
    people = mine.people
    reader = people.with_role("reader", SYSTEM)
    me = people.validate(reader.headers["X-Auth-Token"]).json()["token"]["user"]["id"]
    for place in ("system", "domains/default", f"projects/{mine.project['id']}"):
        assert give(reader, f"users/{me}", people.roles["admin"], place) == 403
    assert reader.delete(f"{V3}/users/{mine.user['id']}").status_code == 403
    assert reader.get(f"{V3}/users/{mine.user['id']}").status_code == 200


def test_a_role_taken_away_is_gone_from_tokens_that_are_out(mine: Domain) -> None:
    people = mine.people
    assert mine.manager.get(f"{V3}/users").status_code == 200
    people.revoke(f"users/{mine.user['id']}", "manager", f"domains/{mine.id}")
    assert mine.manager.get(f"{V3}/users").status_code in (401, 403)
    assert give(mine.manager, f"users/{mine.user['id']}", people.roles["manager"], f"domains/{mine.id}") in (401, 403)
