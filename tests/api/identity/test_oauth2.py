"""Tokens by OAuth 2.0's client credentials grant."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.identity.people import V3, People, in_project

URL = f"{V3}/OS-OAUTH2/token"
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def client(people: People) -> tuple[str, str]:
    """Id and secret of an application credential of a project's reader."""
    user, project = people.user(), people.make("project")
    people.grant(f"users/{user['id']}", "reader", f"projects/{project['id']}")
    own = people.client(people.token(user, in_project(project)))
    body = {"application_credential": {"name": "c", "secret": "s:e+c%ret"}}
    made = own.post(f"{V3}/users/{user['id']}/application_credentials", json=body).json()["application_credential"]
    return str(made["id"]), "s:e+c%ret"


def _ask(people: People, form: dict[str, str] | bytes, basic: tuple[str, str] | None = None) -> Any:
    given: dict[str, Any] = {"content": form} if isinstance(form, bytes) else {"data": form}
    return people.cloud.http.post(URL, **given, auth=basic)


def test_a_token_for_a_client(people: People, client: tuple[str, str]) -> None:
    in_form = {**GRANT, "client_id": client[0], "client_secret": client[1]}
    quoted = (client[0], "s:e%2Bc%25ret")
    for response in (_ask(people, in_form), _ask(people, GRANT, quoted)):
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "no-store"
        body = response.json()
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
        token = people.validate(body["access_token"]).json()["token"]
        assert token["application_credential"]["id"] == client[0]
        assert [role["name"] for role in token["roles"]] == ["reader"]


def test_refusals_in_oauth_s_shape(people: People, client: tuple[str, str]) -> None:
    client_id, secret = client
    cases: list[tuple[dict[str, str] | bytes, tuple[str, str] | None, int, str]] = [
        ({}, client, 400, "invalid_request"),
        (b"\xff\x00{", client, 400, "invalid_request"),
        ({"grant_type": "password"}, client, 400, "unsupported_grant_type"),
        (GRANT, None, 401, "invalid_client"),
        (GRANT, (client_id, "wrong"), 401, "invalid_client"),
        (GRANT, ("unknown", secret), 401, "invalid_client"),
        (GRANT, ("%00", secret), 401, "invalid_client"),
        (GRANT, (client_id, ""), 401, "invalid_client"),
        ({**GRANT, "client_id": client_id}, None, 401, "invalid_client"),
    ]
    for form, basic, status, error in cases:
        response = _ask(people, form, basic)
        assert (response.status_code, response.json()["error"]) == (status, error), (form, basic)
        assert secret not in response.text
        assert ("www-authenticate" in response.headers) == (status == 401)
    broken = people.cloud.http.post(URL, data=GRANT, headers={"Authorization": "Basic !"})
    assert (broken.status_code, broken.json()["error"]) == (401, "invalid_client")
    assert _ask(people, b"a" * 20000).status_code == 413
    assert people.cloud.http.get(URL).status_code == 405


def test_a_disabled_user_gets_none(people: People, client: tuple[str, str]) -> None:
    token = _ask(people, {**GRANT, "client_id": client[0], "client_secret": client[1]}).json()["access_token"]
    user_id = people.validate(token).json()["token"]["user"]["id"]
    people.admin.patch(f"{V3}/users/{user_id}", json={"user": {"enabled": False}})
    assert _ask(people, {**GRANT, "client_id": client[0], "client_secret": client[1]}).status_code == 401
