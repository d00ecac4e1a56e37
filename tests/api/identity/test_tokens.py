"""Validating and revoking tokens, and how soon a change takes effect."""

from __future__ import annotations

import time

import pytest
from tests.api.identity.people import PASSWORD, V3, People, in_project

from stackyard.core.clock import SteppedClock
from stackyard.services.identity import api


@pytest.fixture
def member(people: People) -> tuple[dict[str, str], dict[str, str], str]:
    """A user, the project where it is a member, and its token."""
    project, user = people.make("project"), people.user()
    people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
    return user, project, people.token(user, in_project(project))


Member = tuple[dict[str, str], dict[str, str], str]


def test_validation_answers_what_the_sign_in_answered(people: People, member: Member) -> None:
    user, project, _ = member
    signed_in = people.sign_in(user, in_project(project))
    token = signed_in.headers["x-subject-token"]
    validated = people.validate(token)
    assert validated.status_code == 200
    assert validated.json() == signed_in.json()
    assert validated.headers["x-subject-token"] == token
    head = people.admin.head(f"{V3}/auth/tokens", headers={"X-Subject-Token": token})
    assert (head.status_code, head.content) == (200, b"")


def test_users_validate_their_own_tokens_but_not_those_of_others(people: People, member: Member) -> None:
    _, _, token = member
    other = people.token(people.user())
    client = people.client(token)
    assert client.get(f"{V3}/auth/tokens", headers={"X-Subject-Token": token}).status_code == 200
    assert client.get(f"{V3}/auth/tokens", headers={"X-Subject-Token": other}).status_code == 403
    assert client.delete(f"{V3}/auth/tokens", headers={"X-Subject-Token": other}).status_code == 403
    assert people.validate(other).status_code == 200


def test_services_validate_tokens(people: People, member: Member) -> None:
    service = people.with_role("service", in_project(people.make("project")))
    assert service.get(f"{V3}/auth/tokens", headers={"X-Subject-Token": member[2]}).status_code == 200


def test_a_revoked_token_is_refused_at_once_everywhere(people: People, member: Member) -> None:
    _, _, token = member
    client = people.client(token)
    assert client.get(f"{V3}/auth/projects").status_code == 200
    assert client.delete(f"{V3}/auth/tokens", headers={"X-Subject-Token": token}).status_code == 204
    assert client.get(f"{V3}/auth/projects").status_code == 401
    assert people.validate(token).status_code == 404


def test_revoking_the_first_token_revokes_those_got_with_it(people: People, member: Member) -> None:
    user, project, bystander = member
    first = people.token(user, "unscoped")
    auth = {"identity": {"methods": ["token"], "token": {"id": first}}, "scope": in_project(project)}
    second = people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth}).headers["x-subject-token"]
    assert people.admin.delete(f"{V3}/auth/tokens", headers={"X-Subject-Token": first}).status_code == 204
    assert people.validate(second).status_code == 404
    assert people.validate(bystander).status_code == 200


@pytest.mark.parametrize("cascade", ["true", "false"])
def test_revoking_a_later_token_leaves_the_first(people: People, member: Member, cascade: str) -> None:
    user, project, _ = member
    first = people.token(user, "unscoped")
    auth = {"identity": {"methods": ["token"], "token": {"id": first}}, "scope": in_project(project)}
    second = people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth}).headers["x-subject-token"]
    url = f"{V3}/auth/tokens?cascade={cascade}"
    assert people.admin.delete(url, headers={"X-Subject-Token": second}).status_code == 204
    assert people.validate(second).status_code == 404
    assert people.validate(first).status_code == 200


def test_forged_and_foreign_tokens_are_refused(people: People, member: Member) -> None:
    token = member[2]
    middle = len(token) // 2
    swapped = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    for forged in (swapped, token[:-4], "gAAAAA", "", "x" * 5000, "gAAAAABé".encode().decode("latin-1")):
        headers = {"X-Auth-Token": forged.encode("latin-1")}
        assert people.cloud.http.get(f"{V3}/auth/projects", headers=headers).status_code == 401, forged
    assert people.validate("nonsense").status_code == 404
    assert people.admin.get(f"{V3}/auth/tokens").status_code == 404


def test_an_expired_token_is_refused_though_it_was_seen_before(people: People, member: Member) -> None:
    user, project, _ = member
    clock = SteppedClock(time.time())
    people.cloud.database.clock = clock
    token = people.token(user, in_project(project))
    admin = people.cloud.client("admin")
    assert people.client(token).get(f"{V3}/auth/projects").status_code == 200
    clock.advance(people.cloud.runtime.settings.token.lifetime - 2)
    assert people.client(token).get(f"{V3}/auth/projects").status_code == 200
    clock.advance(2)
    assert people.client(token).get(f"{V3}/auth/projects").status_code == 401
    del admin
    fresh = people.cloud.sign_in("admin", "admin-secret", "admin")
    headers = {"X-Auth-Token": fresh, "X-Subject-Token": token}
    assert people.cloud.http.get(f"{V3}/auth/tokens", headers=headers).status_code == 404
    late = people.cloud.http.get(f"{V3}/auth/tokens?allow_expired=1", headers=headers)
    assert (late.status_code, late.json()["token"]["user"]["id"]) == (200, user["id"])


def test_a_role_taken_away_is_gone_at_the_next_request(people: People, member: Member) -> None:
    user, project, token = member
    client = people.client(token)
    actor, target = f"users/{user['id']}", f"projects/{project['id']}"
    people.grant(actor, "admin", target)
    assert client.get(f"{V3}/users").status_code == 200
    people.revoke(actor, "admin", target)
    assert client.get(f"{V3}/users").status_code == 403
    people.revoke(actor, "member", target)
    assert client.get(f"{V3}/auth/projects").status_code == 401


def test_leaving_a_group_takes_its_roles(people: People) -> None:
    group, project, user = people.make("group"), people.make("project"), people.user()
    people.grant(f"groups/{group['id']}", "member", f"projects/{project['id']}")
    membership = f"{V3}/groups/{group['id']}/users/{user['id']}"
    assert people.admin.put(membership).status_code == 204
    client = people.client(people.token(user, in_project(project)))
    assert client.get(f"{V3}/auth/projects").json()["projects"][0]["id"] == project["id"]
    assert people.admin.delete(membership).status_code == 204
    assert client.get(f"{V3}/auth/projects").status_code == 401


def test_changes_of_names_show_in_tokens_at_once(people: People, member: Member) -> None:
    _, project, token = member
    assert people.validate(token).json()["token"]["project"]["name"] == project["name"]
    people.admin.patch(f"{V3}/projects/{project['id']}", json={"project": {"name": "renamed"}})
    assert people.validate(token).json()["token"]["project"]["name"] == "renamed"


@pytest.mark.parametrize("by", ["user", "administrator"])
def test_a_new_password_ends_tokens_and_the_old_password(people: People, member: Member, by: str) -> None:
    user, project, token = member
    url = f"{V3}/users/{user['id']}"
    if by == "user":
        body = {"user": {"original_password": PASSWORD, "password": "another"}}
        assert people.cloud.http.post(f"{url}/password", json=body).status_code == 204
    else:
        assert people.admin.patch(url, json={"user": {"password": "another"}}).status_code == 200
    assert people.client(token).get(f"{V3}/auth/projects").status_code == 401
    assert people.sign_in(user).status_code == 401
    assert people.sign_in(user, in_project(project), "another").status_code == 201


def test_all_tokens_of_a_user_can_be_ended(people: People, member: Member) -> None:
    user, _, token = member
    stranger = people.client(people.token(people.user()))
    assert stranger.delete(f"{V3}/users/{user['id']}/tokens").status_code == 403
    assert people.client(token).delete(f"{V3}/users/{user['id']}/tokens").status_code == 204
    assert people.client(token).get(f"{V3}/auth/projects").status_code == 401


def test_deleting_user_or_project_ends_tokens(people: People) -> None:
    for kind in ("user", "project"):
        project, user = people.make("project"), people.user()
        people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
        token = people.token(user, in_project(project))
        gone = user if kind == "user" else project
        assert people.admin.delete(f"{V3}/{kind}s/{gone['id']}").status_code == 204
        assert people.client(token).get(f"{V3}/auth/projects").status_code == 401


def test_tokens_outlive_one_rotation_and_not_two_when_three_keys_are_kept(people: People, member: Member) -> None:
    token = member[2]
    database = people.cloud.database
    assert database.write("rotate", api.rotate_keys)["fernet"].kept == 3
    assert people.client(token).get(f"{V3}/auth/projects").status_code == 200
    assert database.write("rotate", api.rotate_keys)["fernet"].kept == 3
    assert people.client(token).get(f"{V3}/auth/projects").status_code == 401


def test_where_a_token_could_go(people: People, member: Member) -> None:
    user, project, token = member
    domain = people.make("domain")
    people.grant(f"users/{user['id']}", "reader", f"domains/{domain['id']}")
    client = people.client(token)
    assert [found["id"] for found in client.get(f"{V3}/auth/projects").json()["projects"]] == [project["id"]]
    assert [found["id"] for found in client.get(f"{V3}/auth/domains").json()["domains"]] == [domain["id"]]
    assert client.get(f"{V3}/auth/system").json()["system"] == []
    people.grant(f"users/{user['id']}", "reader", "system")
    assert client.get(f"{V3}/auth/system").json()["system"] == [{"all": True}]
    assert {service["type"] for service in client.get(f"{V3}/auth/catalog").json()["catalog"]} >= {"identity"}
    assert people.client(people.token(user, "unscoped")).get(f"{V3}/auth/catalog").status_code == 403
