"""Several clients at once: one wins, the others hear why not, and nobody gets an error of ours."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.api.identity.people import PASSWORD, V3, People, in_project

from stackyard.core import timeline

AT_ONCE = 6


def test_one_of_several_equal_names_wins(people: People) -> None:
    bodies = {
        "projects": {"project": {"name": "same"}},
        "users": {"user": {"name": "same"}},
        "groups": {"group": {"name": "same"}},
        "roles": {"role": {"name": "same"}},
        "domains": {"domain": {"name": "same"}},
        "regions": {"region": {"id": "same"}},
    }
    for kind, body in bodies.items():
        clients = [people.cloud.client("admin") for _ in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = Counter(
                pool.map(lambda client, k=kind, b=body: client.post(f"{V3}/{k}", json=b).status_code, clients)
            )
        assert found == {201: 1, 409: AT_ONCE - 1}, kind


def test_the_same_grant_given_and_taken_at_once(people: People) -> None:
    user, project = people.user(), people.make("project")
    url = f"{V3}/projects/{project['id']}/users/{user['id']}/roles/{people.roles['member']}"
    clients = [people.cloud.client("admin") for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert set(pool.map(lambda client: client.put(url).status_code, clients)) == {204}
        found = Counter(pool.map(lambda client: client.delete(url).status_code, clients))
    assert found == {204: 1, 404: AT_ONCE - 1}


def test_children_and_their_parents_deletion(people: People) -> None:
    parent = people.make("project")
    child = {"project": {"name": "child", "parent_id": parent["id"]}}
    one, two = people.cloud.client("admin"), people.cloud.client("admin")
    with ThreadPoolExecutor(2) as pool:
        made = pool.submit(one.post, f"{V3}/projects", json=child)
        gone = pool.submit(two.delete, f"{V3}/projects/{parent['id']}")
        outcome = (made.result().status_code, gone.result().status_code)
    assert outcome in {(201, 403), (400, 204)}


def test_a_sign_in_during_a_change_of_password_gets_no_lasting_token(people: People) -> None:
    user, project = people.user(), people.make("project")
    people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
    body = {"user": {"original_password": PASSWORD, "password": "new"}}
    with ThreadPoolExecutor(3) as pool:
        signed_in = [pool.submit(people.sign_in, user, in_project(project)) for _ in range(2)]
        changed = pool.submit(people.cloud.http.post, f"{V3}/users/{user['id']}/password", json=body)
        assert changed.result().status_code == 204
        tokens = [r.result().headers["x-subject-token"] for r in signed_in if r.result().status_code == 201]
    assert [people.validate(token).status_code for token in tokens] == [404] * len(tokens)
    assert people.sign_in(user, in_project(project)).status_code == 401


def test_changes_are_in_the_timeline(people: People) -> None:
    user, project = people.user(), people.make("project")
    people.admin.patch(f"{V3}/users/{user['id']}", json={"user": {"email": "x"}})
    people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
    people.admin.delete(f"{V3}/users/{user['id']}")
    entries = people.cloud.database.read("timeline", timeline.read, user["id"])
    assert [(entry.kind, entry.event) for entry in entries] == [
        ("user", "created"),
        ("user", "updated"),
        ("user", "set"),
        ("user", "deleted"),
    ]
    assert f"/v3/projects/{project['id']}/users/" in entries[2].detail
    assert PASSWORD not in "".join(entry.detail for entry in entries)
