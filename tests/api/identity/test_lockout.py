"""Accounts locked by wrong passwords, and passwords that may not be used again."""

from __future__ import annotations

import dataclasses
import time

import pytest
from tests.api.identity.people import PASSWORD, V3, People

from stackyard.core.clock import SteppedClock
from stackyard.core.config_identity import Password


@pytest.fixture
def strict(people: People) -> People:
    """A cloud that locks after two wrong passwords for a minute, and remembers two passwords."""
    rules = Password(lockout_failure_attempts=2, lockout_duration=60, unique_last_password_count=2)
    people.cloud.runtime.settings = dataclasses.replace(people.cloud.runtime.settings, password=rules)
    return people


def _change(people: People, user: dict[str, str], old: str, new: str) -> int:
    body = {"user": {"original_password": old, "password": new}}
    return people.cloud.http.post(f"{V3}/users/{user['id']}/password", json=body).status_code


def test_wrong_passwords_in_a_row_lock_the_account_for_a_while(strict: People) -> None:
    clock = SteppedClock(time.time())
    strict.cloud.database.clock = clock
    user, other = strict.user(), strict.user()
    for _ in range(2):
        assert strict.sign_in(user, password="wrong").status_code == 401
    assert strict.sign_in(user).status_code == 401
    assert _change(strict, user, PASSWORD, "new") == 401
    assert strict.sign_in(other).status_code == 201
    clock.advance(61)
    assert strict.sign_in(user).status_code == 201


def test_a_right_password_in_between_starts_the_count_anew(strict: People) -> None:
    user = strict.user()
    for _ in range(3):
        assert strict.sign_in(user, password="wrong").status_code == 401
        assert strict.sign_in(user).status_code == 201


def test_guessing_by_changing_the_password_counts_too(strict: People) -> None:
    user = strict.user()
    for _ in range(2):
        assert _change(strict, user, "wrong", "new") == 401
    assert strict.sign_in(user).status_code == 401


def test_who_is_exempt_is_not_locked(strict: People) -> None:
    user = strict.user(options={"ignore_lockout_failure_attempts": True})
    for _ in range(4):
        assert strict.sign_in(user, password="wrong").status_code == 401
    assert strict.sign_in(user).status_code == 201


def test_the_last_passwords_are_not_chosen_again(strict: People) -> None:
    user = strict.user()
    assert _change(strict, user, PASSWORD, PASSWORD) == 400
    assert _change(strict, user, PASSWORD, "second") == 204
    assert _change(strict, user, "second", PASSWORD) == 400
    assert _change(strict, user, "second", "third") == 204
    assert _change(strict, user, "third", PASSWORD) == 204
    strict.admin.patch(f"{V3}/users/{user['id']}", json={"user": {"password": "reset"}})
    assert _change(strict, user, "reset", PASSWORD) == 400
