"""An operator's policy.yaml and policy.enforce_scope, seen from the routes; the commands, and docs/policy.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.api.identity.people import SYSTEM, V3, People, in_domain, in_project
from tests.cloud import TestCloud

from stackyard.app import SERVICES
from stackyard.cli.main import cli
from stackyard.cli.policy import document
from stackyard.core.config import Policy, Settings
from stackyard.core.policy import PolicyError

DOCUMENT = Path(__file__).parents[2] / "docs" / "policy.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state directory."""
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def write(folder: Path, **rules: Any) -> Path:
    """A policy.yaml of these rules; two underscores stand for a colon."""
    path = folder / "policy.yaml"
    path.write_text("".join(f"{json.dumps(name.replace('__', ':'))}: {json.dumps(rules[name])}\n" for name in rules))
    return path


def cloud(url: str, folder: Path, settings: Settings | None = None) -> TestCloud:
    """A cloud on that state directory; the caller closes it."""
    return TestCloud(url, folder, settings)


def test_an_override_opens_and_closes_routes(sqlite_url: str, folder: Path) -> None:
    write(folder, identity__list_users="role:member", publicize_image="role:member", create_network="!")
    made = cloud(sqlite_url, folder)
    try:
        demo, admin = made.client("demo"), made.client("admin")
        assert demo.get(f"{V3}/users").status_code == 200
        assert demo.get(f"{V3}/groups").status_code == 403
        public = {"name": "open", "visibility": "public", "disk_format": "raw", "container_format": "bare"}
        assert demo.post("/image/v2/images", json=public).status_code == 201
        for client in (demo, admin):
            answer = client.post("/network/v2.0/networks", json={"network": {"name": "n"}})
            assert answer.status_code == 403
            assert "create_network" in answer.text
    finally:
        made.close()


def test_a_helper_rule_of_the_operator_s_own(sqlite_url: str, folder: Path) -> None:
    write(folder, auditor="role:reader and not role:member", identity__list_services="rule:auditor")
    made = cloud(sqlite_url, folder)
    try:
        people = People(made)
        project = in_project(people.make("project"))
        for role, status in (("reader", 200), ("member", 403), ("admin", 403), ("service", 403)):
            assert people.with_role(role, project).get(f"{V3}/services").status_code == status, role
    finally:
        made.close()


def test_a_change_takes_effect_and_a_bad_one_does_not(sqlite_url: str, folder: Path) -> None:
    made = cloud(sqlite_url, folder)
    try:
        demo = made.client("demo")
        assert demo.get(f"{V3}/users").status_code == 403
        write(folder, identity__list_users="@")
        made.cloud.reread_policy()
        assert demo.get(f"{V3}/users").status_code == 200
        write(folder, identity__list_users="role:admin and and")
        made.cloud.reread_policy()
        assert demo.get(f"{V3}/users").status_code == 200
        (folder / "policy.yaml").unlink()
        made.cloud.reread_policy()
        assert demo.get(f"{V3}/users").status_code == 403
    finally:
        made.close()


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"identity__list_users": "role:admin or"}, r"policy\.yaml:1: rule 'identity:list_users': a check is missing"),
        ({"identity__list_user": "@"}, r"policy\.yaml:1: no service declares .* did you mean 'identity:list_users'"),
        (
            {"identity__get_user": "@", "identity__list_users": "rule:nobody_named_it"},
            r"policy\.yaml:2: rule 'identity:list_users' refers to 'nobody_named_it'",
        ),
        ({"get_image": 5}, r"policy\.yaml:1: rule 'get_image': the check must be a text"),
    ],
)
def test_a_cloud_does_not_start_with_rules_it_cannot_use(
    sqlite_url: str, folder: Path, rules: dict[str, Any], message: str
) -> None:
    write(folder, **rules)
    with pytest.raises(PolicyError, match=message):
        cloud(sqlite_url, folder)


@pytest.mark.parametrize(("enforced", "status"), [(True, 403), (False, 200)])
def test_enforce_scope(sqlite_url: str, folder: Path, enforced: bool, status: int) -> None:
    made = cloud(sqlite_url, folder, Settings(policy=Policy(enforce_scope=enforced)))
    try:
        people = People(made)
        domain_admin = people.with_role("admin", in_domain(people.make("domain")))
        system_admin = people.with_role("admin", SYSTEM)
        assert domain_admin.get("/image/v2/images").status_code == status
        assert system_admin.get(f"{V3}/services").status_code == 200
        assert domain_admin.get(f"{V3}/services").status_code == status
        # Without enforcement the checks still decide.
        assert people.with_role("reader", in_domain(people.make("domain"))).get(f"{V3}/services").status_code == 403
    finally:
        made.close()


def test_policy_commands(folder: Path) -> None:
    path = write(folder, identity__list_users="role:auditor")
    listed = CliRunner().invoke(cli, ["policy", "list", "--state-dir", str(folder), "--service", "identity"])
    assert listed.exit_code == 0, listed.output
    assert "* identity:list_users: role:auditor" in listed.output
    assert "  identity:create_domain: role:admin" in listed.output
    checked = CliRunner().invoke(cli, ["policy", "check", "--state-dir", str(folder), str(path)])
    assert "good; overrides identity:list_users" in checked.output
    write(folder, identity__list_usrs="@")
    refused = CliRunner().invoke(cli, ["policy", "check", "--state-dir", str(folder), str(path)])
    assert isinstance(refused.exception, PolicyError)
    assert "did you mean 'identity:list_users'" in str(refused.exception)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.type)
def test_openapi_command(service: Any) -> None:
    printed = CliRunner().invoke(cli, ["openapi", service.type])
    assert printed.exit_code == 0, printed.output
    described = json.loads(printed.output)
    assert described["openapi"] == "3.1.0"
    operations = [(path, method) for path, methods in described["paths"].items() for method in methods]
    newest = service.microversions.maximum if service.microversions else None
    spoken = {(route.path, route.method) for route in service.routes if route.speaks(newest)}
    assert len(operations) >= len(spoken) * 0.9


def test_the_document_is_as_the_rules_are() -> None:
    remedy = "write it anew with `make policy`"
    assert DOCUMENT.read_text(encoding="utf-8") == document(), remedy
