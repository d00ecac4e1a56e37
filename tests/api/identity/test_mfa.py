"""Multi-factor rules and passcodes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.identity.factors import BOTH, RECEIPT, Authenticator, sign_in, stop_time
from tests.api.identity.people import DEFAULT, PASSWORD, V3, People


def _user(people: People, rules: Any = BOTH, **options: Any) -> dict[str, Any]:
    return people.user(options={"multi_factor_auth_rules": rules, **options})


def test_password_and_passcode_together_sign_in(people: People) -> None:
    clock = stop_time(people)
    user = _user(people)
    device = Authenticator(people, user)
    response = sign_in(people, user, password=PASSWORD, totp=device.passcode(clock.time()))
    assert response.status_code == 201, response.text
    assert response.json()["token"]["methods"] == ["password", "totp"]
    assert RECEIPT not in response.headers


def test_a_user_can_be_named(people: People) -> None:
    clock = stop_time(people)
    user = people.user()
    device = Authenticator(people, user)
    by_name = {"name": user["name"], "domain": DEFAULT, "passcode": device.passcode(clock.time())}
    identity = {"methods": ["totp"], "totp": {"user": by_name}}
    assert people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity}}).status_code == 201


@pytest.mark.parametrize(
    ("rules", "options", "enough"),
    [
        (BOTH, {}, False),
        (BOTH, {"multi_factor_auth_enabled": True}, False),
        (BOTH, {"multi_factor_auth_enabled": False}, True),
        ([["password"], ["password", "totp"]], {}, True),
        ([["totp"]], {}, False),
        ([["password", "telepathy"]], {}, True),
        ([["telepathy"]], {}, True),
        ([["telepathy"], ["totp"]], {}, False),
        ([], {}, True),
    ],
)
def test_rules_are_read_as_keystone_reads_them(
    people: People, rules: Any, options: dict[str, bool], enough: bool
) -> None:
    response = sign_in(people, _user(people, rules, **options), password=PASSWORD)
    assert response.status_code == (201 if enough else 401)


def test_rules_hold_for_tokens_and_are_met_by_them(people: People) -> None:
    clock = stop_time(people)
    user = people.user()
    device = Authenticator(people, user)
    weak = people.token(user)
    strong = sign_in(people, user, password=PASSWORD, totp=device.passcode(clock.time())).headers["x-subject-token"]
    people.admin.patch(f"{V3}/users/{user['id']}", json={"user": {"options": {"multi_factor_auth_rules": BOTH}}})

    def exchange(token: str) -> int:
        identity = {"methods": ["token"], "token": {"id": token}}
        response = people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity}})
        return int(response.status_code)

    assert exchange(strong) == 201
    assert exchange(weak) == 401


def test_a_wrong_password_is_not_told_from_a_wrong_passcode(people: People) -> None:
    clock = stop_time(people)
    user, stranger = _user(people), people.user()
    device = Authenticator(people, user)
    good = device.passcode(clock.time())
    answers = [
        sign_in(people, user, password="wrong", totp=good),
        sign_in(people, user, password=PASSWORD, totp="000000" if good != "000000" else "000001"),
        sign_in(people, user, password=PASSWORD, totp=""),
        sign_in(people, {"id": "0" * 32}, password=PASSWORD, totp=good),
        sign_in(people, stranger, totp=good),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert not any(RECEIPT in answer.headers for answer in answers)


def test_a_passcode_is_good_once(people: People) -> None:
    clock = stop_time(people)
    user = people.user()
    device = Authenticator(people, user)
    first = device.passcode(clock.time())
    assert sign_in(people, user, totp=first).status_code == 201
    assert sign_in(people, user, totp=first).status_code == 401
    clock.advance(30)
    assert sign_in(people, user, totp=first).status_code == 401
    assert sign_in(people, user, totp=device.passcode(clock.time())).status_code == 201


def test_a_passcode_ends_after_the_windows_that_are_included(people: People) -> None:
    clock = stop_time(people)
    user = people.user()
    device = Authenticator(people, user)
    assert sign_in(people, user, totp=device.passcode(clock.time() - 60)).status_code == 401
    assert sign_in(people, user, totp=device.passcode(clock.time() + 30)).status_code == 401
    assert sign_in(people, user, totp=device.passcode(clock.time() - 30)).status_code == 201
    # An earlier one than the last that was used is not taken either.
    assert sign_in(people, user, totp=device.passcode(clock.time())).status_code == 201
    assert sign_in(people, user, totp=device.passcode(clock.time() - 30)).status_code == 401


def test_any_of_a_users_devices_will_do_until_it_is_taken_away(people: People) -> None:
    clock = stop_time(people)
    user = people.user()
    one, two = Authenticator(people, user), Authenticator(people, user)
    assert sign_in(people, user, totp=two.passcode(clock.time())).status_code == 201
    assert sign_in(people, user, totp=one.passcode(clock.time())).status_code == 201
    clock.advance(30)
    assert people.admin.delete(f"{V3}/credentials/{two.credential_id}").status_code == 204
    assert sign_in(people, user, totp=two.passcode(clock.time())).status_code == 401


def test_a_secret_that_is_too_short_or_no_base32_has_no_passcodes(people: People) -> None:
    clock = stop_time(people)
    user = people.user()
    short = Authenticator(people, user, b"0123456789")
    assert sign_in(people, user, totp=short.passcode(clock.time())).status_code == 401
    body = {"credential": {"type": "totp", "user_id": user["id"], "blob": "not base32!", "project_id": None}}
    assert people.admin.post(f"{V3}/credentials", json=body).status_code == 201
    assert sign_in(people, user, totp="123456").status_code == 401


@pytest.mark.parametrize(
    "rules",
    ["password", ["password"], [[]], [["password", "password"]], [["password"], ["password"]], [[7]], [["x" * 256]]],
)
def test_rules_that_are_none_are_refused(people: People, rules: Any) -> None:
    body = {"user": {"name": "someone", "options": {"multi_factor_auth_rules": rules}}}
    response = people.admin.post(f"{V3}/users", json=body)
    assert response.status_code == 400
    assert "multi_factor_auth_rules" in response.text


def test_unknown_options_are_refused(people: People) -> None:
    body = {"user": {"name": "someone", "options": {"ignore_everything": True}}}
    assert people.admin.post(f"{V3}/users", json=body).status_code == 400


@pytest.mark.parametrize(
    "passcode", ["\x00", "1" * 100_000, "\uff11\uff12\uff13\uff14\uff15\uff16", "-1", " ", 123456, None]
)
def test_hostile_passcodes(people: People, passcode: Any) -> None:
    user = people.user()
    Authenticator(people, user)
    assert sign_in(people, user, totp=passcode).status_code in (400, 401)


@pytest.mark.parametrize("data", [{}, {"user": {}}, {"user": {"id": "x"}}, {"user": {"name": "x", "passcode": "1"}}])
def test_malformed_passcode_sign_ins_are_bad_requests(people: People, data: Any) -> None:
    identity = {"methods": ["totp"], "totp": data}
    assert people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity}}).status_code == 400
