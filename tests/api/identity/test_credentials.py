"""Credentials: what is kept of them, who sees them, and what is refused."""

from __future__ import annotations

import hashlib
import json
import stat
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.api.identity.people import SYSTEM, V3, People, in_project

from stackyard.services.identity import api
from stackyard.services.identity.credentials import keys, secret_file, store, tables

URL = f"{V3}/credentials"


class Person:
    """A user who is a member of a project."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.project, self.user = people.make("project"), people.user()
        people.grant(f"users/{self.user['id']}", "member", f"projects/{self.project['id']}")
        self.client = people.client(people.token(self.user, in_project(self.project)))

    def body(self, blob: Any = "seed", kind: str = "totp", **more: Any) -> dict[str, Any]:
        return {"credential": {"user_id": self.user["id"], "type": kind, "blob": blob, **more}}

    def make(self, client: TestClient | None = None, **given: Any) -> dict[str, Any]:
        response = (client or self.client).post(URL, json=self.body(**given))
        assert response.status_code == 201, response.text
        return dict(response.json()["credential"])

    def ec2(self, access: str = "key", **more: Any) -> dict[str, Any]:
        blob = json.dumps({"access": access, "secret": "s", **more})
        return self.body(blob, "ec2", project_id=self.project["id"])


@pytest.fixture
def person(people: People) -> Person:
    """Such a user."""
    return Person(people)


def ids(response: Any) -> set[str]:
    assert response.status_code == 200, response.text
    return {credential["id"] for credential in response.json()["credentials"]}


def test_a_credential_lives_and_ends(person: Person) -> None:
    made = person.make(blob="seed", note="mine")
    assert (made["blob"], made["type"], made["project_id"], made["note"]) == ("seed", "totp", None, "mine")
    assert made["links"]["self"].endswith(f"/v3/credentials/{made['id']}")
    one = f"{URL}/{made['id']}"
    assert person.client.get(one).json()["credential"] == made
    changed = person.client.patch(one, json={"credential": {"blob": "other"}})
    assert changed.json()["credential"] == {**made, "blob": "other"}
    assert person.client.delete(one).status_code == 204
    assert person.client.get(one).status_code == 403
    assert person.people.admin.get(one).status_code == 404
    assert person.people.admin.delete(one).status_code == 404


def test_an_ec2_credential_is_known_by_its_access_key(person: Person) -> None:
    made = person.client.post(URL, json=person.ec2("AKIA"))
    assert made.status_code == 201, made.text
    credential = made.json()["credential"]
    assert credential["id"] == hashlib.sha256(b"AKIA").hexdigest()
    assert json.loads(credential["blob"])["access"] == "AKIA"
    assert person.client.post(URL, json=person.ec2("AKIA")).status_code == 409


@pytest.mark.parametrize(
    "change",
    [
        {"blob": "no json"},
        {"blob": "[]"},
        {"blob": "{}"},
        {"blob": '{"secret": "s"}'},
        {"blob": '{"access": 5}'},
        {"blob": '{"access": "a", "trust_id": 5}'},
        {"blob": "[" * 9999},
        {"blob": {"access": "a"}},
        {"blob": None},
        {"type": 5},
        {"type": "t" * 256},
        {"user_id": "u" * 65},
        {"user_id": None},
        {"project_id": 7},
        {"blob": "b" * 65537},
    ],
)
def test_what_is_no_credential(people: People, change: dict[str, Any]) -> None:
    user = {"id": people.admin.get(f"{V3}/users?name=demo").json()["users"][0]["id"]}
    body = {"user_id": user["id"], "type": "ec2", "blob": '{"access": "a", "secret": "s"}', "project_id": "p"}
    assert people.admin.post(URL, json={"credential": {**body, **change}}).status_code == 400
    missing = {name: value for name, value in body.items() if name not in change}
    assert people.admin.post(URL, json={"credential": missing}).status_code == 400
    assert ids(people.admin.get(URL)) == set()


def test_only_the_blob_changes(person: Person) -> None:
    made = person.client.post(URL, json=person.ec2("key", trust_id="t")).json()["credential"]
    one = f"{URL}/{made['id']}"
    other = {"type": "cert", "user_id": "u", "project_id": "p", "id": "i", "note": "n"}
    for change in (*({name: value, "blob": made["blob"]} for name, value in other.items()), other, {}, {"blob": 5}):
        assert person.client.patch(one, json={"credential": change}).status_code == 400, change
    same = {name: made[name] for name in ("type", "user_id", "project_id", "blob")}
    assert person.client.patch(one, json={"credential": same}).json()["credential"] == made
    for blob in (
        {"access": "key"},
        {"access": "key", "trust_id": "other"},
        {"access": "key", "trust_id": "t", "app_cred_id": "a"},
        {"access": "key", "trust_id": "t", "access_id": "a"},
        {"access": "key", "trust_id": "t", "access_token_id": "a"},
        {"trust_id": "t"},
    ):
        response = person.client.patch(one, json={"credential": {"blob": json.dumps(blob)}})
        assert response.status_code == 400, blob
    assert person.client.get(one).json()["credential"] == made


def test_who_sees_which(person: Person) -> None:
    mine = person.make()["id"]
    other = Person(person.people)
    theirs = other.make(blob="{}", kind="cert")["id"]
    assert ids(person.client.get(URL)) == {mine}
    assert ids(person.client.get(f"{URL}?user_id={other.user['id']}")) == set()
    assert ids(person.client.get(f"{URL}?type=totp")) == {mine}
    assert ids(person.client.get(f"{URL}?type=cert")) == set()
    for client in (person.people.admin, person.people.with_role("reader", SYSTEM)):
        assert ids(client.get(URL)) == {mine, theirs}
        assert ids(client.get(f"{URL}?user_id={other.user['id']}")) == {theirs}
        assert ids(client.get(f"{URL}?type=totp&user_id={other.user['id']}")) == set()
    for response in (
        person.client.get(f"{URL}/{theirs}"),
        person.client.patch(f"{URL}/{theirs}", json={"credential": {"blob": "x"}}),
        person.client.delete(f"{URL}/{theirs}"),
        person.client.post(URL, json=other.body()),
        person.people.with_role("reader", SYSTEM).delete(f"{URL}/{theirs}"),
        person.people.with_role("reader", SYSTEM).post(URL, json=other.body()),
    ):
        assert response.status_code == 403
    assert ids(other.client.get(URL)) == {theirs}


def test_a_page_tells_nothing_of_others(person: Person) -> None:
    mine = {person.make()["id"] for _ in range(3)}
    other = Person(person.people)
    for _ in range(3):
        other.make()
    seen: set[str] = set()
    url = f"{URL}?limit=2"
    while url:
        page = person.client.get(url)
        seen |= ids(page)
        url = page.json()["links"]["next"]
    assert seen == mine


def test_application_credentials_touch_none(person: Person) -> None:
    mine = person.make()["id"]
    for unrestricted in (False, True):
        body = {"application_credential": {"name": f"c{unrestricted}", "unrestricted": unrestricted}}
        made = person.client.post(f"{V3}/users/{person.user['id']}/application_credentials", json=body)
        given = made.json()["application_credential"]
        identity = {
            "methods": ["application_credential"],
            "application_credential": {"id": given["id"], "secret": given["secret"]},
        }
        answer = person.people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity}})
        client = person.people.client(answer.headers["x-subject-token"])
        assert client.post(URL, json=person.body()).status_code == 403
        assert client.get(f"{URL}/{mine}").status_code == 403
        assert client.patch(f"{URL}/{mine}", json={"credential": {"blob": "x"}}).status_code == 403
        assert client.delete(f"{URL}/{mine}").status_code == 403
        assert ids(client.get(URL)) == set()
    assert person.client.get(f"{URL}/{mine}").json()["credential"]["blob"] == "seed"


def test_they_go_with_user_and_project(person: Person) -> None:
    made = person.client.post(URL, json=person.ec2()).json()["credential"]["id"]
    totp = person.make()["id"]
    admin = person.people.admin
    assert ids(admin.get(URL)) == {made, totp}
    assert admin.delete(f"{V3}/projects/{person.project['id']}").status_code == 204
    assert ids(admin.get(URL)) == {totp}
    assert admin.delete(f"{V3}/users/{person.user['id']}").status_code == 204
    assert ids(admin.get(URL)) == set()


def test_a_blob_is_encrypted_in_the_database(person: Person) -> None:
    made = person.make(blob="JBSWY3DPEHPK3PXP")
    database = person.people.cloud.database
    row = database.read("look", lambda tx: tx.first(tables.BY_ID, {"id": made["id"]}))
    locked = database.read("look", lambda tx: tx.all(sa.select(keys.keys)))
    assert row is not None
    assert "JBSWY3DPEHPK3PXP" not in row.blob
    assert len(locked) == 1
    assert database.read("seeds", store.of_user, person.user["id"], "totp") == [(made["id"], "JBSWY3DPEHPK3PXP")]
    assert database.read("seeds", store.of_user, person.user["id"], "ec2") == []


def test_rotation_encrypts_all_anew(person: Person) -> None:
    blobs = [f"seed-{number}" for number in range(5)]
    credentials = [person.make(blob=blob) for blob in blobs]
    database = person.people.cloud.database
    of_one = {"id": credentials[0]["id"]}
    before = database.read("look", lambda tx: tx.first(tables.BY_ID, of_one))
    assert database.write("rotate", api.rotate_credential_keys) == 5
    after = database.read("look", lambda tx: tx.first(tables.BY_ID, of_one))
    assert before is not None
    assert after is not None
    assert before.blob != after.blob
    positions = sa.select(keys.keys.c.position).order_by(keys.keys.c.position)
    assert [row.position for row in database.read("look", lambda tx: tx.all(positions))] == [1, 2]
    for credential in credentials:
        assert person.client.get(f"{URL}/{credential['id']}").json()["credential"] == credential
    assert person.make(blob="new")["blob"] == "new"
    assert database.write("rotate", api.rotate_credential_keys) == 6
    assert [row.position for row in database.read("look", lambda tx: tx.all(positions))] == [2, 3]
    assert {one["blob"] for one in person.client.get(URL).json()["credentials"]} == {*blobs, "new"}


def test_the_secret_is_elsewhere_and_for_its_owner_alone(person: Person, tmp_path: Any) -> None:
    made = person.make()
    path = tmp_path / "state" / secret_file.NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    database = person.people.cloud.database
    database.write("rotate", api.rotate_credential_keys)
    own = tmp_path / "own.secret"
    own.write_text("x" * 40)
    api.use_secret_file(database, tmp_path, str(own))
    database.write("forget", api.rotate_keys)  # a new generation: nothing is in memory any more
    assert person.client.get(f"{URL}/{made['id']}").status_code == 500
    api.use_secret_file(database, tmp_path / "state", "")
    assert person.client.get(f"{URL}/{made['id']}").json()["credential"] == made


def test_a_secret_that_is_none(person: Person, tmp_path: Any) -> None:
    database = person.people.cloud.database
    short = tmp_path / "short.secret"
    short.write_text("x" * 31)
    for path in (short, tmp_path / "nowhere"):
        api.use_secret_file(database, tmp_path, str(path))
        with pytest.raises(secret_file.SecretFileError, match=path.name):
            database.write("seal", keys.seal, "text")
    assert not (tmp_path / secret_file.NAME).exists()


def test_what_is_sealed_while_keys_are_rotated_is_not_lost(person: Person) -> None:
    person.make()
    database = person.people.cloud.database
    sealed = database.write("seal", keys.seal, "in between")
    database.write("rotate", api.rotate_credential_keys)
    assert database.read("unseal", keys.unseal, sealed) == "in between"
    database.write("rotate", api.rotate_credential_keys)
    with pytest.raises(secret_file.SecretFileError, match="does not have"):
        database.read("unseal", keys.unseal, sealed)


def test_rotation_knows_every_sealed_column() -> None:
    found = {f"{column.table.name}.{column.name}" for column in keys.SEALED}
    assert {
        "identity_credentials.blob",
        "identity_oauth_consumers.secret",
        "identity_oauth_request_tokens.secret",
        "identity_oauth_request_tokens.verifier",
        "identity_oauth_access_tokens.secret",
    } <= found
    assert all("id" in column.table.c for column in keys.SEALED)
