"""Domains whose users are in an LDAP directory: a real one, asked over the network, StartTLS and TLS too."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.identity.people import V3, People, in_project
from tests.cloud import TestCloud, cloud
from tests.directory_server import GROUPS, PEOPLE, DirectoryServer, directory_server
from tests.engine_fixture import wait_until

__all__ = ["cloud", "directory_server"]


class Domain:
    """A domain with a directory."""

    def __init__(self, cloud: TestCloud, people: People, server: DirectoryServer) -> None:
        self.cloud = cloud
        self.people = people
        self.server = server
        self.id = people.make("domain")["id"]

    def configure(self, **options: Any) -> None:
        """Give it the directory's configuration; `options` are other than usual."""
        body = {"config": self.server.options(**options)}
        answer = self.people.admin.put(f"{V3}/domains/{self.id}/config", json=body)
        assert answer.status_code in (200, 201), answer.text

    def users(self) -> dict[str, dict[str, Any]]:
        """The domain's users by name."""
        found = self.people.admin.get(f"{V3}/users", params={"domain_id": self.id}).json()["users"]
        return {user["name"]: user for user in found}

    def groups(self) -> dict[str, dict[str, Any]]:
        """The domain's groups by name."""
        found = self.people.admin.get(f"{V3}/groups", params={"domain_id": self.id}).json()["groups"]
        return {group["name"]: group for group in found}

    def members(self, group: str) -> set[str]:
        """The names of a group's members."""
        group_id = self.groups()[group]["id"]
        return {user["name"] for user in self.people.admin.get(f"{V3}/groups/{group_id}/users").json()["users"]}

    def look_again(self) -> None:
        """Have the directory read now instead of in a minute."""
        from stackyard.services.identity.directory import sync

        self.cloud.database.write("test: look again", sync.mark, self.id)
        self.cloud.cloud.reconcile.wake()

    def sign_in(self, name: str, password: str, scope: Any = None) -> Any:
        """The response to a sign-in by name."""
        user = {"name": name, "domain": {"id": self.id}, "password": password}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
        if scope is not None:
            auth["scope"] = scope
        return self.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth})


@pytest.fixture
def domain(cloud: TestCloud, directory_server: DirectoryServer) -> Domain:
    return Domain(cloud, People(cloud), directory_server)


@pytest.fixture
def read(domain: Domain) -> Domain:
    """A domain whose directory has been read."""
    domain.configure()
    wait_until(lambda: len(domain.users()) == 3 and domain.members("staff") == {"alice", "bob"}, "it has been read")
    return domain


def test_users_groups_and_members_are_those_of_the_directory(read: Domain) -> None:
    users = read.users()
    assert set(users) == {"alice", "bob", "carol"}
    assert users["alice"]["email"] == "alice@example.org"
    assert users["alice"]["description"] == "the first"
    assert [name for name, user in users.items() if user["enabled"]] == ["alice", "bob"]
    assert users["alice"]["password_expires_at"] is None
    assert set(read.groups()) == {"staff", "admins"}
    assert read.groups()["staff"]["description"] == "all who work"
    assert read.members("staff") == {"alice", "bob"}
    assert read.members("admins") == {"alice"}


def test_ids_are_the_same_after_a_new_start_from_nothing(read: Domain) -> None:
    import hashlib

    wanted = hashlib.sha256(f"{read.id}useralice".encode()).hexdigest()
    assert read.users()["alice"]["id"] == wanted


def test_sign_in_by_name_and_by_id(read: Domain) -> None:
    assert read.sign_in("alice", "alice-secret").status_code == 201
    alice = read.users()["alice"]
    answer = read.people.sign_in(alice, password="alice-secret")
    assert answer.status_code == 201
    assert answer.json()["token"]["user"]["id"] == alice["id"]
    assert answer.json()["token"]["user"]["domain"]["id"] == read.id


REFUSED = (
    ("alice", "bob-secret"),
    ("alice", ""),
    ("alice", "nul\x00"),
    ("carol", "carol-secret"),
    ("nobody", "secret"),
    ("*", "alice-secret"),
    ("alice)(uid=*", "alice-secret"),
    ("ALICE\x00", "alice-secret"),
)


def test_who_is_refused(read: Domain) -> None:
    answers = {pair: read.sign_in(*pair).status_code for pair in REFUSED}
    assert {pair: status for pair, status in answers.items() if status not in (400, 401)} == {}
    assert [status for pair, status in answers.items() if "\x00" not in "".join(pair)] == [401] * 6


def test_a_group_of_the_directory_gives_roles(read: Domain) -> None:
    project = read.people.make("project")
    read.people.grant(f"groups/{read.groups()['staff']['id']}", "member", f"projects/{project['id']}")
    token = read.sign_in("bob", "bob-secret", in_project(project))
    assert token.status_code == 201, token.text
    assert {role["name"] for role in token.json()["token"]["roles"]} >= {"member"}
    assert read.sign_in("alice", "alice-secret", in_project(project)).status_code == 201
    # Leaving the group ends the roles at the next sign-in, and of tokens that exist as soon as it is seen.
    read.server.modify(f"cn=staff,{GROUPS}", member=[f"uid=alice,{PEOPLE}"])
    assert read.sign_in("bob", "bob-secret", in_project(project)).status_code == 401
    assert read.people.validate(token.headers["x-subject-token"]).status_code == 404


def test_somebody_new_signs_in_before_the_directory_is_read_again(read: Domain) -> None:
    dave = read.server.add_person("dave")
    read.server.modify(f"cn=staff,{GROUPS}", member=[dave])
    answer = read.sign_in("dave", "dave-secret")
    assert answer.status_code == 201
    user_id = answer.json()["token"]["user"]["id"]
    groups = read.people.admin.get(f"{V3}/users/{user_id}/groups").json()["groups"]
    assert [group["name"] for group in groups] == ["staff"]


def test_changes_of_the_directory_are_seen(read: Domain) -> None:
    bob = read.users()["bob"]
    token = read.people.client(read.sign_in("bob", "bob-secret").headers["x-subject-token"])
    read.server.modify(f"uid=alice,{PEOPLE}", mail=["a@example.org"])
    read.server.delete(f"uid=bob,{PEOPLE}")
    read.server.delete(f"cn=admins,{GROUPS}")
    read.server.add_person("erin")
    read.look_again()
    wait_until(lambda: "erin" in read.users(), "the directory has been read again")
    users = read.users()
    assert users["alice"]["email"] == "a@example.org"
    assert (users["bob"]["id"], users["bob"]["enabled"]) == (bob["id"], False)
    assert read.members("admins") == set()
    assert token.get(f"{V3}/auth/projects").status_code == 401


def test_somebody_who_comes_back_has_the_roles_again(read: Domain) -> None:
    project = read.people.make("project")
    read.people.grant(f"users/{read.users()['bob']['id']}", "member", f"projects/{project['id']}")
    read.server.delete(f"uid=bob,{PEOPLE}")
    read.look_again()
    wait_until(lambda: not read.users()["bob"]["enabled"], "bob is seen to be gone")
    assert read.sign_in("bob", "bob-secret").status_code == 401
    read.server.add_person("bob")
    assert read.sign_in("bob", "bob-secret", in_project(project)).status_code == 201


def test_the_directory_is_only_read(read: Domain) -> None:
    alice, staff = read.users()["alice"]["id"], read.groups()["staff"]["id"]
    admin = read.people.admin
    answers = {
        "rename": admin.patch(f"{V3}/users/{alice}", json={"user": {"name": "other"}}),
        "password": admin.patch(f"{V3}/users/{alice}", json={"user": {"password": "new-secret"}}),
        "delete": admin.delete(f"{V3}/users/{alice}"),
        "group": admin.patch(f"{V3}/groups/{staff}", json={"group": {"name": "other"}}),
        "delete group": admin.delete(f"{V3}/groups/{staff}"),
        "leave": admin.delete(f"{V3}/groups/{staff}/users/{alice}"),
        "join": admin.put(f"{V3}/groups/{staff}/users/{read.users()['carol']['id']}"),
        "create": admin.post(f"{V3}/users", json={"user": {"name": "zoe", "domain_id": read.id}}),
        "create group": admin.post(f"{V3}/groups", json={"group": {"name": "zoo", "domain_id": read.id}}),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 403)
    own = read.cloud.http.post(
        f"{V3}/users/{alice}/password", json={"user": {"original_password": "alice-secret", "password": "new-secret"}}
    )
    assert own.status_code in (401, 403)
    assert set(read.users()) == {"alice", "bob", "carol"}
    assert read.sign_in("alice", "alice-secret").status_code == 201


def test_a_domain_that_has_no_directory_any_more_keeps_its_users_as_its_own(read: Domain) -> None:
    alice, staff = read.users()["alice"]["id"], read.groups()["staff"]["id"]
    admin = read.people.admin
    assert admin.delete(f"{V3}/domains/{read.id}/config").status_code == 204
    assert read.sign_in("alice", "alice-secret").status_code == 401
    assert admin.patch(f"{V3}/users/{alice}", json={"user": {"password": "a-long-secret"}}).status_code == 200
    assert read.sign_in("alice", "a-long-secret").status_code == 201
    assert admin.delete(f"{V3}/users/{alice}").status_code == 204
    assert admin.delete(f"{V3}/groups/{staff}").status_code == 204


def test_encrypted_connections(domain: Domain) -> None:
    server = domain.server
    ca = str(server.certificate)
    for options in (
        {"use_tls": True, "tls_cacertfile": ca},
        {"url": server.tls_url, "tls_cacertfile": ca},
        {"url": f"ldap://127.0.0.1:1,{server.url}"},
    ):
        domain.configure(**options)
        assert domain.sign_in("alice", "alice-secret").status_code == 201, options
        assert domain.sign_in("alice", "wrong").status_code == 401, options


def test_a_certificate_that_nobody_vouches_for_is_refused(domain: Domain) -> None:
    domain.configure(url=domain.server.tls_url)
    assert domain.sign_in("alice", "alice-secret").status_code == 503


def test_a_directory_that_is_away(read: Domain) -> None:
    token = read.people.client(read.sign_in("alice", "alice-secret").headers["x-subject-token"])
    read.server.stop()
    answer = read.sign_in("alice", "alice-secret")
    assert answer.status_code == 503
    assert "does not serve this domain now" in answer.text
    assert "directory-root-secret" not in answer.text
    # Others are not concerned, nor are tokens that exist; nobody counts as gone.
    assert token.get(f"{V3}/auth/projects").status_code == 200
    assert read.cloud.sign_in("demo", "demo-secret", "demo")
    read.look_again()
    wait_until(lambda: read.cloud.depth().get("directory", 0) > 0, "the next look is due")
    assert read.users()["alice"]["enabled"]
    read.server.start()
    assert read.sign_in("alice", "alice-secret").status_code == 201


def test_ids_as_members_and_enabled_by_a_mask(domain: Domain) -> None:
    server = domain.server
    server.modify(f"uid=alice,{PEOPLE}", employeeNumber=["512"])
    server.modify(f"uid=bob,{PEOPLE}", employeeNumber=["514"])
    domain.configure(user_enabled_attribute="employeeNumber", user_enabled_mask=2, user_enabled_default="512")
    assert domain.sign_in("alice", "alice-secret").status_code == 201
    assert domain.sign_in("bob", "bob-secret").status_code == 401


def test_more_users_than_a_server_gives_at_once(domain: Domain) -> None:
    for number in range(120):
        domain.server.add_person(f"person{number}")
    domain.configure(page_size=50)
    wait_until(lambda: len(domain.users()) == 123, "all pages have been read")


def test_a_configuration_that_cannot_be_used(domain: Domain) -> None:
    url = f"{V3}/domains/{domain.id}/config"
    answer = domain.people.admin.put(url, json={"config": domain.server.options(query_scope="everywhere")})
    assert answer.status_code == 400
    assert "ldap.query_scope" in answer.text
    answer = domain.people.admin.put(url, json={"config": domain.server.options(url="http://elsewhere")})
    assert answer.status_code == 201  # Keystone's own tests set such an address
    assert domain.sign_in("alice", "alice-secret").status_code in (401, 503)
