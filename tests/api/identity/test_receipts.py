"""Receipts: completing a sign-in with the methods it lacked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from tests.api.identity.factors import BOTH, RECEIPT, Authenticator, receipt_of, sign_in, stop_time
from tests.api.identity.people import PASSWORD, V3, People


def _user(people: People, rules: Any = BOTH) -> dict[str, Any]:
    return people.user(options={"multi_factor_auth_rules": rules})


def test_a_receipt_says_what_is_still_needed(people: People) -> None:
    user = _user(people, [["password", "totp"], ["token", "totp"], ["password", "telepathy", "application_credential"]])
    response = sign_in(people, user, password=PASSWORD)
    assert response.status_code == 401
    assert len(response.headers[RECEIPT]) < 255
    body = response.json()
    receipt = body["receipt"]
    assert receipt["methods"] == ["password"]
    assert receipt["user"] == {
        "id": user["id"],
        "name": user["name"],
        "domain": {"id": "default", "name": "Default"},
    }
    lifetime = datetime.fromisoformat(receipt["expires_at"]) - datetime.fromisoformat(receipt["issued_at"])
    assert 298 <= lifetime.total_seconds() <= 300
    assert body["required_auth_methods"] == [["password", "totp"], ["password", "application_credential"]]


def test_a_receipt_completes_a_sign_in(people: People) -> None:
    clock = stop_time(people)
    user = _user(people)
    device = Authenticator(people, user)
    receipt = receipt_of(people, user)
    response = sign_in(people, user, receipt, totp=device.passcode(clock.time()))
    assert response.status_code == 201, response.text
    assert sorted(response.json()["token"]["methods"]) == ["password", "totp"]


def test_the_other_way_round_too(people: People) -> None:
    clock = stop_time(people)
    user = _user(people)
    device = Authenticator(people, user)
    receipt = receipt_of(people, user, totp=device.passcode(clock.time()))
    assert sign_in(people, user, receipt, password=PASSWORD).status_code == 201
    assert sign_in(people, user, receipt, password="wrong").status_code == 401


def test_a_receipt_alone_is_nothing(people: People) -> None:
    user = _user(people)
    receipt = receipt_of(people, user)
    again = sign_in(people, user, receipt, password=PASSWORD)
    assert again.status_code == 401
    assert RECEIPT in again.headers
    assert sign_in(people, user, receipt).status_code == 401
    assert people.client(receipt).get(f"{V3}/auth/projects").status_code == 401
    assert people.validate(receipt).status_code == 404
    identity = {"methods": ["token"], "token": {"id": receipt}}
    assert people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity}}).status_code == 404


def test_a_receipt_ends(people: People) -> None:
    clock = stop_time(people)
    user = _user(people)
    device = Authenticator(people, user)
    receipt = receipt_of(people, user)
    clock.advance(301)
    assert sign_in(people, user, receipt, totp=device.passcode(clock.time())).status_code == 401


def test_a_receipt_of_another_user_is_refused(people: People) -> None:
    clock = stop_time(people)
    victim, thief = _user(people), _user(people)
    device = Authenticator(people, victim)
    receipt = receipt_of(people, thief)
    assert sign_in(people, victim, receipt, totp=device.passcode(clock.time())).status_code == 401


@pytest.mark.parametrize("change", ["disabled", "disabled and enabled", "password", "deleted", "domain disabled"])
def test_what_happens_to_the_user_ends_receipts(people: People, change: str) -> None:
    clock = stop_time(people)
    domain = people.make("domain")
    user = people.user(domain_id=domain["id"], options={"multi_factor_auth_rules": BOTH})
    device = Authenticator(people, user)
    receipt = receipt_of(people, user)
    url = f"{V3}/users/{user['id']}"
    if change == "deleted":
        people.admin.delete(url)
    elif change == "domain disabled":
        people.admin.patch(f"{V3}/domains/{domain['id']}", json={"domain": {"enabled": False}})
    elif change == "password":
        people.admin.patch(url, json={"user": {"password": "another"}})
    else:
        people.admin.patch(url, json={"user": {"enabled": False}})
        if "and enabled" in change:
            people.admin.patch(url, json={"user": {"enabled": True}})
    assert sign_in(people, user, receipt, totp=device.passcode(clock.time())).status_code == 401


@pytest.mark.parametrize("forged", ["x", "gAAAAA", "A" * 5000, "a.b.c", "%00"])
def test_forged_receipts_are_refused(people: People, forged: str) -> None:
    user = people.user()
    assert sign_in(people, user, forged, password=PASSWORD).status_code == 401


def test_a_changed_receipt_and_a_token_are_no_receipts(people: People) -> None:
    clock = stop_time(people)
    user = _user(people)
    device = Authenticator(people, user)
    receipt = receipt_of(people, user)
    changed = receipt[:-3] + ("A" if receipt[-3] != "A" else "B") + receipt[-2:]
    assert sign_in(people, user, changed, totp=device.passcode(clock.time())).status_code == 401
    clock.advance(30)
    token = sign_in(people, user, password=PASSWORD, totp=device.passcode(clock.time())).headers["x-subject-token"]
    assert sign_in(people, user, token, password=PASSWORD).status_code == 401
