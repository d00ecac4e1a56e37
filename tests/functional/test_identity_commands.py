"""Every identity command of the openstack client, each tried on a real cloud; the client says which there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.functional.every_command import ADMIN, EveryCommand
from tests.functional.real_cloud import RealCloud

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def run(real_cloud: RealCloud) -> EveryCommand:
    return EveryCommand(real_cloud, "openstack.identity.v3")


@pytest.fixture(scope="module")
def project(run: EveryCommand) -> Iterator[str]:
    """The name of a project."""
    run("project", "create", "commands", "--description", "of a test", "--tag", "one")
    yield "commands"
    run("project", "delete", "commands")


@pytest.fixture(scope="module")
def user(run: EveryCommand, project: str) -> Iterator[str]:
    """The name of a user who is a member of the project, with the password `first-secret`."""
    run("user", "create", "commander", "--password", "first-secret", "--project", project)
    run("role", "add", "--user", "commander", "--project", project, "member")
    yield "commander"
    run("user", "delete", "commander")


def signed_in(user: str, project: str, password: str = "first-secret") -> tuple[str, ...]:
    """What goes before a command that this user gives."""
    return ("--os-username", user, "--os-password", password, "--os-project-name", project)


def test_domains(run: EveryCommand) -> None:
    run("domain", "create", "shire", "--description", "small")
    assert "shire" in run.column("domain", "list")
    run("domain", "set", "shire", "--description", "green", "--disable")
    shown = run.look("domain", "show", "shire")
    assert (shown["description"], shown["enabled"]) == ("green", False)
    run("domain", "delete", "shire")
    assert "shire" not in run.column("domain", "list")


def test_projects(run: EveryCommand, project: str) -> None:
    run("project", "create", "child", "--parent", project)
    assert {project, "child"} <= run.column("project", "list")
    assert run.column("project", "list", "--parent", project) == {"child"}
    assert run.column("project", "list", "--tags", "one") == {project}
    run("project", "set", "child", "--description", "grown", "--tag", "two", "--property", "colour=blue")
    shown = run.look("project", "show", "child", "--parents")
    assert (shown["description"], shown["tags"]) == ("grown", ["two"])
    run("project", "delete", "child")


def test_users(run: EveryCommand, user: str, project: str) -> None:
    assert user in run.column("user", "list")
    assert user in run.column("user", "list", "--project", project)
    run("user", "set", user, "--email", "c@example.org", "--description", "commands")
    shown = run.look("user", "show", user)
    assert (shown["email"], shown["enabled"]) == ("c@example.org", True)
    change = ("user", "password", "set", "--original-password", "first-secret", "--password", "second-secret")
    run(*signed_in(user, project), *change)
    assert run.ends(*signed_in(user, project), "token", "issue").status != 0
    assert run.look(*signed_in(user, project, "second-secret"), "token", "issue")["id"]
    run("user", "set", user, "--password", "first-secret")
    run("user", "create", "short-lived")
    run("user", "delete", "short-lived")


def test_groups(run: EveryCommand, user: str, project: str) -> None:
    run("group", "create", "crew", "--description", "who sail")
    assert "crew" in run.column("group", "list")
    run("group", "add", "user", "crew", user)
    assert "in group" in run("group", "contains", "user", "crew", user)
    run("role", "add", "--group", "crew", "--project", project, "reader")
    assert run.column("role", "assignment", "list", "--group", "crew", "--names", name="Role") == {"reader"}
    run("group", "remove", "user", "crew", user)
    run("group", "set", "crew", "--description", "who rest")
    assert run.look("group", "show", "crew")["description"] == "who rest"
    run("group", "delete", "crew")


def test_roles(run: EveryCommand, user: str, project: str) -> None:
    run("role", "create", "cook", "--description", "cooks")
    run("role", "create", "helper")
    run("role", "set", "cook", "--description", "cooks well")
    assert run.look("role", "show", "cook")["description"] == "cooks well"
    run("implied", "role", "create", "cook", "--implied-role", "helper")
    implied = run.look("implied", "role", "list")
    assert ("cook", "helper") in {(row["Prior Role Name"], row["Implied Role Name"]) for row in implied}
    run("role", "add", "--user", user, "--project", project, "cook")
    query = ("role", "assignment", "list", "--user", user, "--project", project, "--names")
    assert run.column(*query, name="Role") == {"member", "cook"}
    assert run.column(*query, "--effective", name="Role") >= {"member", "cook", "helper", "reader"}
    run("role", "remove", "--user", user, "--project", project, "cook")
    run("implied", "role", "delete", "cook", "--implied-role", "helper")
    assert {"cook", "helper", "admin"} <= run.column("role", "list")
    run("role", "delete", "cook", "helper")


def test_tokens(run: EveryCommand, user: str, project: str) -> None:
    token = run.look(*signed_in(user, project), "token", "issue")
    assert token["expires"] > token["id"][:0]
    run(*signed_in(user, project), "token", "revoke", token["id"])
    session = run.cloud.session(ADMIN)
    assert session.send("GET", "/identity/v3/auth/projects").status_code == 200
    session.use(token["id"])
    assert session.send("GET", "/identity/v3/auth/projects").status_code == 401
    session.close()


def test_catalogue(run: EveryCommand, project: str, tmp_path: Path) -> None:
    assert "keystone" in run.column("catalog", "list")
    assert run.look("catalog", "show", "identity")["type"] == "identity"
    run("region", "create", "Outer", "--description", "far")
    run("region", "create", "Inner", "--parent-region", "Outer")
    run("region", "set", "Inner", "--description", "near")
    assert run.look("region", "show", "Inner")["parent_region"] == "Outer"
    assert {"Outer", "Inner", "RegionOne"} <= run.column("region", "list", name="Region")
    service = run.look("service", "create", "weather", "--name", "sky", "--description", "rain")["id"]
    run("service", "set", service, "--description", "sun")
    assert run.look("service", "show", service)["description"] == "sun"
    assert "sky" in run.column("service", "list")
    url = "http://127.0.0.1:1/weather"
    endpoint = run.look("endpoint", "create", "--region", "Inner", service, "public", url)["id"]
    run("endpoint", "set", endpoint, "--url", url + "/v2")
    assert run.look("endpoint", "show", endpoint)["url"] == url + "/v2"
    assert endpoint in run.column("endpoint", "list", name="ID")
    run("endpoint", "add", "project", endpoint, project)
    assert endpoint in run.column("endpoint", "list", "--project", project, name="ID")
    run("endpoint", "remove", "project", endpoint, project)
    filters = tmp_path / "filters.json"
    filters.write_text(json.dumps({"service_id": service}))
    group = run.look("endpoint", "group", "create", "skies", str(filters), "--description", "all")["id"]
    run("endpoint", "group", "set", group, "--description", "some")
    assert run.look("endpoint", "group", "show", group)["description"] == "some"
    run("endpoint", "group", "add", "project", group, project)
    assert group in run.column("endpoint", "group", "list", name="ID")
    run("endpoint", "group", "remove", "project", group, project)
    run("endpoint", "group", "delete", group)
    run("endpoint", "delete", endpoint)
    run("service", "delete", service)
    run("region", "delete", "Inner", "Outer")


def test_application_credentials(run: EveryCommand, tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([{"service": "image", "method": "GET", "path": "/v2/images"}]))
    made = run.look("application", "credential", "create", "robot", "--access-rules", str(rules), cloud="stackyard")
    assert made["Secret"]
    assert "robot" in run.column("application", "credential", "list", cloud="stackyard")
    assert run.look("application", "credential", "show", "robot", cloud="stackyard")["ID"] == made["ID"]
    rule = run.look("access", "rule", "list", cloud="stackyard")[0]["ID"]
    assert run.look("access", "rule", "show", rule, cloud="stackyard")["Path"] == "/v2/images"
    run("application", "credential", "delete", "robot", cloud="stackyard")
    run("access", "rule", "delete", rule, cloud="stackyard")
    assert run.look("access", "rule", "list", cloud="stackyard") == []


def test_credentials(run: EveryCommand, user: str, project: str) -> None:
    made = run.look("credential", "create", "--type", "cert", "--project", project, user, "a certificate")["id"]
    run("credential", "set", "--user", user, "--type", "cert", "--data", "another", made)
    assert run.look("credential", "show", made)["blob"] == "another"
    assert made in run.column("credential", "list", name="ID")
    run("credential", "delete", made)
    keys = run.look("ec2", "credentials", "create", "--user", user, "--project", project)
    assert run.look("ec2", "credentials", "show", "--user", user, keys["access"])["secret"] == keys["secret"]
    assert run.column("ec2", "credentials", "list", "--user", user, name="Access") == {keys["access"]}
    run("ec2", "credentials", "delete", "--user", user, keys["access"])


def test_trusts(run: EveryCommand, user: str) -> None:
    made = run.look("trust", "create", "--project", "admin", "--role", "member", "admin", user)["id"]
    assert run.look("trust", "show", made)["project_id"]
    assert made in run.column("trust", "list", name="ID")
    run("trust", "delete", made)


def test_oauth(run: EveryCommand) -> None:
    """As the administrator throughout: the client looks roles up, which a member may not."""
    consumer = run.look("consumer", "create", "--description", "an app")
    run("consumer", "set", consumer["id"], "--description", "the app")
    assert run.look("consumer", "show", consumer["id"])["description"] == "the app"
    assert consumer["id"] in run.column("consumer", "list", name="ID")
    keys = ("--consumer-key", consumer["id"], "--consumer-secret", consumer["secret"])
    request = run.look("request", "token", "create", *keys, "--project", "admin")
    authorize = ("request", "token", "authorize", "--request-key", request["id"], "--role", "member")
    verifier = run.look(*authorize)["oauth_verifier"]
    of_request = ("--request-key", request["id"], "--request-secret", request["secret"], "--verifier", verifier)
    assert run.look("access", "token", "create", *keys, *of_request)["secret"]
    run("consumer", "delete", consumer["id"])


def test_federation(run: EveryCommand, tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    mapped = {"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}
    rules.write_text(json.dumps([mapped]))
    run("mapping", "create", "letters", "--rules", str(rules))
    run("mapping", "create", "other", "--rules", str(rules))
    run("mapping", "set", "letters", "--rules", str(rules))
    assert run.look("mapping", "show", "letters")["id"] == "letters"
    assert "letters" in run.column("mapping", "list", name="ID")
    run("identity", "provider", "create", "post", "--remote-id", "https://post.example.org")
    run("identity", "provider", "set", "post", "--description", "letters")
    assert run.look("identity", "provider", "show", "post")["description"] == "letters"
    assert "post" in run.column("identity", "provider", "list", name="ID")
    of_post = ("--identity-provider", "post")
    run("federation", "protocol", "create", "mapped", *of_post, "--mapping", "letters")
    # The client ends this command with what it prints as its status.
    run.ends("federation", "protocol", "set", "mapped", *of_post, "--mapping", "other")
    assert run.look("federation", "protocol", "show", "mapped", *of_post)["mapping"] == "other"
    assert run.column("federation", "protocol", "list", *of_post, name="id") == {"mapped"}
    run("federation", "protocol", "delete", "mapped", *of_post)
    run("identity", "provider", "delete", "post")
    run("mapping", "delete", "letters", "other")
    urls = ("--auth-url", "https://other.example.org/v3", "--service-provider-url", "https://other.example.org/sp")
    run("service", "provider", "create", "other", *urls)
    run("service", "provider", "set", "other", "--description", "elsewhere")
    assert run.look("service", "provider", "show", "other")["description"] == "elsewhere"
    assert "other" in run.column("service", "provider", "list", name="ID")
    run("service", "provider", "delete", "other")
    assert "demo" in run.column("federation", "project", "list", cloud="stackyard")
    assert run.look("federation", "domain", "list", cloud="stackyard") == []


def test_limits(run: EveryCommand, project: str) -> None:
    service = run.look("service", "create", "weather", "--name", "forecast")["id"]
    default = ("registered", "limit", "create", "--service", service, "--default-limit", "5", "storms")
    registered = run.look(*default)["id"]
    run("registered", "limit", "set", registered, "--default-limit", "7")
    assert run.look("registered", "limit", "show", registered)["default_limit"] == 7
    assert registered in run.column("registered", "limit", "list", name="ID")
    limit = ("limit", "create", "--project", project, "--service", service, "--resource-limit", "9", "storms")
    made = run.look(*limit)["id"]
    run("limit", "set", made, "--resource-limit", "11")
    assert run.look("limit", "show", made)["resource_limit"] == 11
    assert made in run.column("limit", "list", name="ID")
    run("limit", "delete", made)
    run("registered", "limit", "delete", registered)
    run("service", "delete", service)


def test_policies(run: EveryCommand, tmp_path: Path) -> None:
    rules = tmp_path / "policy.json"
    rules.write_text("{}")
    made = run.look("policy", "create", "--type", "application/json", str(rules))["id"]
    run("policy", "set", made, "--type", "text/plain")
    assert run.look("policy", "show", made)["type"] == "text/plain"
    assert made in run.column("policy", "list", name="ID")
    run("policy", "delete", made)


def test_none_is_forgotten(run: EveryCommand) -> None:
    """Runs last. `project delete` and `user delete` come when the fixtures end."""
    assert run.listed - run.tried - {"project delete", "user delete"} == set()
    assert len(run.listed) > 100
