"""Users, their passwords, and groups."""

from __future__ import annotations

from typing import Any

from tests.api.identity.people import PASSWORD, V3, People, in_domain


def test_a_user_is_shown_without_its_password(people: People) -> None:
    made = people.user(email="a@example.org", description="d", default_project_id="c" * 32)
    assert "password" not in made
    assert "password_hash" not in made
    assert (made["email"], made["description"], made["enabled"]) == ("a@example.org", "d", True)
    assert (made["domain_id"], made["password_expires_at"], made["options"]) == ("default", None, {})
    assert people.admin.get(f"{V3}/users/{made['id']}").json()["user"] == made
    assert made in people.admin.get(f"{V3}/users").json()["users"]
    assert PASSWORD not in people.admin.get(f"{V3}/users").text


def test_a_user_reads_itself_and_nobody_else(people: People) -> None:
    one, two = people.user(), people.user()
    client = people.client(people.token(one))
    assert client.get(f"{V3}/users/{one['id']}").status_code == 200
    assert client.get(f"{V3}/users/{one['id']}/projects").json()["projects"] == []
    assert client.get(f"{V3}/users/{one['id']}/groups").json()["groups"] == []
    for url in (f"users/{two['id']}", f"users/{two['id']}/projects", f"users/{two['id']}/groups", "users/unknown"):
        assert client.get(f"{V3}/{url}").status_code == 403
    assert client.get(f"{V3}/users").status_code == 403
    for change in ({"enabled": True}, {"name": "root"}, {"password": "x"}):
        assert client.patch(f"{V3}/users/{one['id']}", json={"user": change}).status_code == 403
    assert people.admin.get(f"{V3}/users/unknown").status_code == 404


WRONG: list[tuple[dict[str, Any], int]] = [
    ({"name": "x" * 256}, 400),
    ({"name": ""}, 400),
    ({"name": None}, 400),
    ({"password": 7}, 400),
    ({"password": "x" * 5000}, 400),
    ({"enabled": 1}, 400),
    ({"default_project_id": "default"}, 400),
    ({"domain_id": "0" * 32}, 404),
    ({"options": {"lock_password": "yes"}}, 400),
]


def test_wrong_users_are_refused(people: People) -> None:
    before = people.admin.get(f"{V3}/users").json()
    for attributes, status in WRONG:
        response = people.admin.post(f"{V3}/users", json={"user": {"name": "u", **attributes}})
        assert response.status_code == status, attributes
    assert people.admin.get(f"{V3}/users").json() == before


NO_USERS = [b"", b"[]", b"{", b'{"user": []}', b'{"user": null}', b'"user"', b"\xff\xfe"]


def test_bodies_that_are_no_users_are_refused(people: People) -> None:
    for body in NO_USERS:
        assert people.admin.post(f"{V3}/users", content=body).status_code == 400, body


def test_updates(people: People) -> None:
    made = people.user(email="a@example.org")
    url = f"{V3}/users/{made['id']}"
    changed = people.admin.patch(url, json={"user": {"name": "new", "email": "b@example.org", "extra": [1]}})
    assert changed.json()["user"] == {**made, "name": "new", "email": "b@example.org", "extra": [1]}
    assert people.sign_in(made).status_code == 201
    taken = people.user()["name"]
    assert people.admin.patch(url, json={"user": {"name": taken}}).status_code == 409
    assert people.admin.patch(url, json={"user": {"domain_id": "elsewhere"}}).status_code == 400
    assert people.admin.patch(f"{V3}/users/unknown", json={"user": {"name": "x"}}).status_code == 404
    assert people.admin.patch(url, json={"user": {"password": None}}).status_code == 200
    assert people.sign_in(made).status_code == 401


def test_the_same_name_in_another_domain_is_another_user(people: People) -> None:
    one = people.user()
    assert people.admin.post(f"{V3}/users", json={"user": {"name": one["name"]}}).status_code == 409
    two = people.user(name=one["name"], domain_id=people.make("domain")["id"])
    assert two["id"] != one["id"]


def test_filters(people: People) -> None:
    domain = people.make("domain")
    people.user(name="ann", domain_id=domain["id"])
    people.user(name="Bob", domain_id=domain["id"], enabled=False)

    def names(query: str) -> list[str]:
        found = people.admin.get(f"{V3}/users?domain_id={domain['id']}&{query}").json()["users"]
        return [user["name"] for user in found]

    assert names("") == ["Bob", "ann"]
    assert names("enabled=false") == ["Bob"]
    assert names("name=ann") == ["ann"]
    assert names("name__istartswith=b") == ["Bob"]
    assert names("password_expires_at=lt:2030-01-01T00:00:00Z") == []
    assert names("sort_key=name&sort_dir=desc") == ["ann", "Bob"]
    assert people.admin.get(f"{V3}/users?password_expires_at=lt:soon").status_code == 400
    assert people.admin.get(f"{V3}/users?limit=-1").status_code == 400
    assert people.admin.get(f"{V3}/users?marker=nobody").status_code in (400, 404)


def test_own_passwords(people: People) -> None:
    user = people.user()
    url = f"{V3}/users/{user['id']}/password"
    http = people.cloud.http
    wrong = {"user": {"original_password": "wrong", "password": "new"}}
    assert http.post(url, json=wrong).status_code == 401
    assert http.post(f"{V3}/users/unknown/password", json=wrong).status_code == 401
    assert http.post(url, json={"user": {"password": "new"}}).status_code == 400
    assert http.post(url, json={"user": {"original_password": PASSWORD, "password": None}}).status_code == 400
    right = {"user": {"original_password": PASSWORD, "password": "new"}}
    assert http.post(url, json=right).status_code == 204
    assert people.sign_in(user, password="new").status_code == 201
    assert http.post(url, json=right).status_code == 401


def test_a_locked_password_stays(people: People) -> None:
    user = people.user(options={"lock_password": True})
    body = {"user": {"original_password": PASSWORD, "password": "new"}}
    assert people.cloud.http.post(f"{V3}/users/{user['id']}/password", json=body).status_code == 400
    assert people.sign_in(user).status_code == 201


def test_groups(people: People) -> None:
    group, user, other = people.make("group", description="d", colour="red"), people.user(), people.user()
    url = f"{V3}/groups/{group['id']}"
    assert people.admin.get(url).json()["group"] == group
    assert group["colour"] == "red"
    for who in (user, user, other):
        assert people.admin.put(f"{url}/users/{who['id']}").status_code == 204
    assert people.admin.head(f"{url}/users/{user['id']}").status_code == 204
    members = people.admin.get(f"{url}/users").json()["users"]
    assert {member["id"] for member in members} == {user["id"], other["id"]}
    assert [g["id"] for g in people.admin.get(f"{V3}/users/{user['id']}/groups").json()["groups"]] == [group["id"]]
    assert people.admin.delete(f"{url}/users/{user['id']}").status_code == 204
    assert people.admin.delete(f"{url}/users/{user['id']}").status_code == 404
    assert people.admin.get(f"{url}/users/{user['id']}").status_code == 404
    assert people.admin.put(f"{url}/users/unknown").status_code == 404
    assert people.admin.post(f"{V3}/groups", json={"group": {"name": group["name"]}}).status_code == 409
    assert people.admin.post(f"{V3}/groups", json={"group": {"name": "x" * 65}}).status_code == 400
    changed = people.admin.patch(url, json={"group": {"name": "renamed"}}).json()["group"]
    assert changed == {**group, "name": "renamed"}
    assert people.admin.get(f"{V3}/groups?name=renamed").json()["groups"] == [changed]
    assert people.admin.delete(url).status_code == 204
    assert people.admin.get(url).status_code == 404


def test_a_domain_manager_looks_after_the_users_of_the_domain_alone(people: People) -> None:
    domain, other = people.make("domain"), people.make("domain")
    stranger = people.user(domain_id=other["id"])
    manager = people.with_role("manager", in_domain(domain), domain_id=domain["id"])

    made = manager.post(f"{V3}/users", json={"user": {"name": "new", "password": "p"}})
    assert made.status_code == 201
    assert made.json()["user"]["domain_id"] == domain["id"]
    url = f"{V3}/users/{made.json()['user']['id']}"
    assert manager.patch(url, json={"user": {"email": "x"}}).status_code == 200
    assert manager.delete(url).status_code == 204

    elsewhere = {"user": {"name": "new", "domain_id": other["id"]}}
    assert manager.post(f"{V3}/users", json=elsewhere).status_code == 403
    assert manager.get(f"{V3}/users/{stranger['id']}").status_code == 403
    assert manager.patch(f"{V3}/users/{stranger['id']}", json={"user": {"password": "x"}}).status_code == 403
    assert manager.delete(f"{V3}/users/{stranger['id']}").status_code == 403
    assert manager.delete(f"{V3}/users/unknown").status_code == 403
