"""What ends a token before its time, what is told of it, and how far an expired one goes."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from tests.api.identity.people import V3, People, in_project

from stackyard.core.clock import SteppedClock
from stackyard.core.config_identity import Token

EVENTS = f"{V3}/OS-REVOKE/events"


def _set(people: People, **settings: Any) -> None:
    runtime = people.cloud.runtime
    runtime.settings = dataclasses.replace(runtime.settings, token=Token(**settings))


def _events(people: People, **query: str) -> list[dict[str, Any]]:
    response = people.admin.get(EVENTS, params=query)
    assert response.status_code == 200, response.text
    assert response.json()["links"] == {"next": None, "previous": None, "self": f"http://127.0.0.1:5000{EVENTS}"}
    return list(response.json()["events"])


def _revoke(people: People, token: str, query: str = "") -> None:
    response = people.admin.delete(f"{V3}/auth/tokens{query}", headers={"X-Subject-Token": token})
    assert response.status_code == 204


def _works(people: People, token: str) -> bool:
    return bool(people.client(token).get(f"{V3}/auth/projects").status_code == 200)


def _exchange(people: People, token: str, scope: Any = "unscoped") -> Any:
    auth = {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": scope}
    return people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth})


def test_events_tell_what_ended_tokens(people: People) -> None:
    user, other = people.user(), people.user()
    signed_in = people.sign_in(user)
    chain = signed_in.json()["token"]["audit_ids"][0]
    assert _events(people) == []
    _revoke(people, signed_in.headers["x-subject-token"])
    _revoke(people, people.token(user), "?cascade=false")
    people.admin.patch(f"{V3}/users/{other['id']}", json={"user": {"enabled": False}})
    first, second, third = _events(people)
    assert first["audit_chain_id"] == chain
    assert set(first) == {"audit_chain_id", "issued_before", "revoked_at"}
    assert set(second) == {"audit_id", "issued_before", "revoked_at"}
    assert third["user_id"] == other["id"]
    assert _events(people, since=third["revoked_at"]) == [third]
    assert _events(people, since=first["revoked_at"]) == [first, second, third]
    assert _events(people, since="2200-01-01T00:00:00Z") == []
    assert len(_events(people, since="2000-01-01")) == 3


@pytest.mark.parametrize(
    "since", ["yesterday", "\u0000", "9" * 5000, "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:59"]
)
def test_no_moment_is_a_bad_request(people: People, since: str) -> None:
    assert people.admin.get(EVENTS, params={"since": since}).status_code == 400


def test_events_are_for_administrators_and_services(people: People) -> None:
    project = people.make("project")
    for role, status in (("member", 403), ("manager", 403), ("service", 200), ("admin", 200)):
        assert people.with_role(role, in_project(project)).get(EVENTS).status_code == status
    assert people.cloud.http.get(EVENTS).status_code == 401


def test_the_list_of_revoked_tokens_is_refused_to_everybody(people: People) -> None:
    url = f"{V3}/auth/tokens/OS-PKI/revoked"
    assert people.admin.get(url).status_code == 403
    assert people.client(people.token(people.user())).get(url).status_code == 403
    assert people.admin.head(url).status_code == 403


def test_revoking_the_first_of_a_chain_ends_all_of_it_unless_told_otherwise(people: People) -> None:
    user = people.user()
    for query, survives in (("", False), ("?cascade=true", False), ("?cascade=false", True)):
        first = people.token(user)
        second = _exchange(people, first).headers["x-subject-token"]
        third = _exchange(people, second)
        assert third.json()["token"]["audit_ids"][1] == people.validate(first).json()["token"]["audit_ids"][0]
        _revoke(people, first, query)
        assert not _works(people, first)
        assert [_works(people, token) for token in (second, third.headers["x-subject-token"])] == [survives] * 2


def test_revoking_a_later_one_ends_that_alone(people: People) -> None:
    user = people.user()
    first = people.token(user)
    second = _exchange(people, first).headers["x-subject-token"]
    _revoke(people, second)
    assert not _works(people, second)
    assert _works(people, first)


def test_an_expired_token_is_shown_for_a_while_to_who_asks(people: People) -> None:
    clock = SteppedClock(time.time())
    people.cloud.database.clock = clock
    _set(people, lifetime=7200, allow_expired_window=60)
    project, user = people.make("project"), people.user()
    people.grant(f"users/{user['id']}", "service", f"projects/{project['id']}")
    expiring = people.token(people.user())
    clock.advance(7201)
    service = people.client(people.token(user, in_project(project)))
    headers = {"X-Subject-Token": expiring}
    assert service.get(f"{V3}/auth/tokens", headers=headers).status_code == 404
    for query, status in (("allow_expired=1", 200), ("allow_expired=true", 200), ("allow_expired=0", 404)):
        assert service.get(f"{V3}/auth/tokens?{query}", headers=headers).status_code == status
    assert not _works(people, expiring)
    assert _exchange(people, expiring).status_code == 404
    clock.advance(60)
    assert service.get(f"{V3}/auth/tokens?allow_expired=1", headers=headers).status_code == 404


def test_a_service_validates_anybodys_token_and_others_do_not(people: People) -> None:
    project = people.make("project")
    headers = {"X-Subject-Token": people.token(people.user(), "unscoped")}
    for role, status in (("service", 200), ("member", 403), ("admin", 200)):
        client = people.with_role(role, in_project(project))
        assert client.get(f"{V3}/auth/tokens", headers=headers).status_code == status
    nobody = people.client(people.token(people.user(), "unscoped"))
    assert nobody.get(f"{V3}/auth/tokens", headers=headers).status_code == 403
    own = nobody.headers["x-auth-token"]
    assert nobody.get(f"{V3}/auth/tokens", headers={"X-Subject-Token": own}).status_code == 200
    assert nobody.head(f"{V3}/auth/tokens", headers={"X-Subject-Token": own}).status_code == 200
    assert nobody.delete(f"{V3}/auth/tokens", headers=headers).status_code == 403


def test_scoped_tokens_are_exchanged_only_where_that_is_allowed(people: People) -> None:
    project, user = people.make("project"), people.user()
    people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
    scoped, unscoped = people.token(user, in_project(project)), people.token(user, "unscoped")
    assert _exchange(people, scoped).status_code == 201
    _set(people, allow_rescope_scoped_token=False)
    assert _exchange(people, scoped).status_code == 403
    assert _exchange(people, scoped, in_project(project)).status_code == 403
    assert _exchange(people, unscoped, in_project(project)).status_code == 201


def test_tokens_with_access_rules_are_shown_to_who_enforces_them(people: People) -> None:
    project, user = people.make("project"), people.user()
    people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
    client = people.client(people.token(user, in_project(project)))
    rule = {"service": "image", "method": "GET", "path": "/v2/images"}
    body = {"application_credential": {"name": "narrow", "access_rules": [rule]}}
    made = client.post(f"{V3}/users/{user['id']}/application_credentials", json=body).json()["application_credential"]
    identity = {
        "methods": ["application_credential"],
        "application_credential": {"id": made["id"], "secret": made["secret"]},
    }
    narrow = people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity}})
    subject = {"X-Subject-Token": narrow.headers["x-subject-token"]}
    name = "OpenStack-Identity-Access-Rules"
    for version, status in (("1.0", 200), ("2", 200), ("0.9", 404), ("", 404), ("x", 404), ("nan", 404)):
        headers = {**subject, name: version}
        assert people.admin.get(f"{V3}/auth/tokens", headers=headers).status_code == status
    assert people.admin.get(f"{V3}/auth/tokens", headers=subject).status_code == 404


def test_losing_the_last_role_of_a_group_or_a_project_above_ends_a_token(people: People) -> None:
    parent, user, group = people.make("project"), people.user(), people.make("group")
    child = people.make("project", parent_id=parent["id"])
    people.admin.put(f"{V3}/groups/{group['id']}/users/{user['id']}")
    inherited = (
        f"{V3}/OS-INHERIT/projects/{parent['id']}/groups/{group['id']}/roles/{people.roles['member']}"
        "/inherited_to_projects"
    )
    assert people.admin.put(inherited).status_code == 204
    token = people.token(user, in_project(child))
    assert people.admin.delete(inherited).status_code == 204
    assert not _works(people, token)


@pytest.mark.parametrize("text", ["A" * 9000, "gAAAAA" + "\u00e9" * 100, "a.b.c", ".." * 500, " ", "\t"])
def test_hostile_tokens(people: People, text: str) -> None:
    raw = text.encode()
    assert people.cloud.http.get(f"{V3}/auth/projects", headers={b"X-Auth-Token": raw}).status_code == 401
    assert people.admin.get(f"{V3}/auth/tokens", headers={b"X-Subject-Token": raw}).status_code == 404
