"""What a cloud asks of passwords, where it asks anything."""

from __future__ import annotations

import dataclasses
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.api.identity.people import PASSWORD, V3, People

from stackyard.core.clock import SteppedClock
from stackyard.core.config_identity import Password
from stackyard.services.identity.users.tables import users

DAY = 86400


def _rule(people: People, **rules: Any) -> SteppedClock:
    """Switch rules on, and stop the time."""
    runtime = people.cloud.runtime
    runtime.settings = dataclasses.replace(runtime.settings, password=Password(**rules))
    clock = SteppedClock(time.time())
    people.cloud.database.clock = clock
    return clock


def _change(people: People, user: dict[str, Any], old: str, new: Any) -> Any:
    body = {"user": {"original_password": old, "password": new}}
    _tick(people)
    return people.cloud.http.post(f"{V3}/users/{user['id']}/password", json=body)


def _tick(people: People) -> None:
    """What was changed at one moment ends the tokens of that moment: time goes on a little."""
    clock = people.cloud.database.clock
    if isinstance(clock, SteppedClock):
        clock.advance(1)


def _patch(people: People, user: dict[str, Any], **attributes: Any) -> Any:
    _tick(people)
    return people.admin.patch(f"{V3}/users/{user['id']}", json={"user": attributes})


def test_passwords_end_and_may_then_only_be_changed(people: People) -> None:
    clock = _rule(people, password_expires_days=2)
    user = people.user()
    ends = datetime.fromisoformat(user["password_expires_at"]).replace(tzinfo=UTC)
    assert abs(ends.timestamp() - clock.time() - 2 * DAY) < 2
    response = people.sign_in(user)
    assert response.json()["token"]["user"]["password_expires_at"] == user["password_expires_at"]
    clock.advance(2 * DAY)
    refused = people.sign_in(user)
    assert refused.status_code == 401
    assert "expired" in refused.json()["error"]["message"]
    assert people.sign_in(user, password="wrong").json()["error"]["message"] != refused.json()["error"]["message"]
    assert _change(people, user, PASSWORD, "another").status_code == 204
    _tick(people)
    assert people.sign_in(user, password="another").status_code == 201


def test_who_is_exempt_from_expiry_keeps_his_password(people: People) -> None:
    clock = _rule(people, password_expires_days=2)
    exempt = people.user(options={"ignore_password_expiry": True})
    later = people.user()
    assert exempt["password_expires_at"] is None
    clock.advance(3 * DAY)
    assert people.sign_in(exempt).status_code == 201
    assert people.sign_in(later).status_code == 401
    admin = people.client(people.cloud.sign_in("admin", "admin-secret", "admin"))
    admin.patch(f"{V3}/users/{later['id']}", json={"user": {"options": {"ignore_password_expiry": True}}})
    assert people.sign_in(later).status_code == 201


def test_existing_passwords_do_not_end_when_the_rule_begins(people: People) -> None:
    user = people.user()
    clock = _rule(people, password_expires_days=1)
    clock.advance(5 * DAY)
    assert people.sign_in(user).status_code == 201


def test_users_are_found_by_when_their_password_ends(people: People) -> None:
    clock = _rule(people, password_expires_days=10)
    user = people.user()
    soon = datetime.fromisoformat(user["password_expires_at"]) + timedelta(days=1)
    found = people.admin.get(f"{V3}/users", params={"password_expires_at": f"lt:{soon.isoformat()}Z"}).json()["users"]
    assert [one["id"] for one in found] == [user["id"]]
    assert clock.time() > 0


def test_new_passwords_look_as_the_cloud_asks(people: People) -> None:
    _rule(people, password_regex=r"^(?=.*\d)(?=.*[a-z]).{7,}$", password_regex_description="seven with a digit")
    body = {"user": {"name": "weak", "password": "short1"}}
    refused = people.admin.post(f"{V3}/users", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == "The password does not match the requirements: seven with a digit."
    user = people.make("user", password="longer-1")
    assert _patch(people, user, password="nodigits").status_code == 400
    weak = _change(people, user, "longer-1", "nodigits")
    assert weak.status_code == 400
    assert "seven with a digit" in weak.text
    assert "nodigits" not in weak.text
    # Who does not know the password is not told how it must look.
    assert _change(people, user, "wrong", "nodigits").status_code == 401
    assert _change(people, user, "longer-1", "longer-2").status_code == 204
    assert _patch(people, user, password=None).status_code == 200


def test_users_keep_a_password_they_chose_for_a_while(people: People) -> None:
    clock = _rule(people, minimum_password_age=2)
    user = people.user()
    assert _change(people, user, PASSWORD, "chosen").status_code == 204
    refused = _change(people, user, "chosen", "again")
    assert refused.status_code == 400
    assert "minimum password age" in refused.json()["error"]["message"]
    clock.advance(2 * DAY)
    assert _change(people, user, "chosen", "again").status_code == 204
    clock.advance(-2 * DAY)
    assert _patch(people, user, password="reset").status_code == 200
    assert _change(people, user, "reset", "mine").status_code == 204


def test_what_an_administrator_set_is_changed_before_it_is_used(people: People) -> None:
    _rule(people, change_password_upon_first_use=True)
    user, exempt = people.user(), people.user(options={"ignore_change_password_upon_first_use": True})
    assert people.sign_in(exempt).status_code == 201
    assert people.sign_in(user).status_code == 401
    assert _change(people, user, PASSWORD, "mine").status_code == 204
    _tick(people)
    assert people.sign_in(user, password="mine").status_code == 201
    assert _patch(people, user, password="reset").status_code == 200
    assert people.sign_in(user, password="reset").status_code == 401
    assert _change(people, user, "reset", "mine again").status_code == 204
    _tick(people)
    assert people.sign_in(user, password="mine again").status_code == 201


def test_a_locked_password_is_the_administrators(people: People) -> None:
    user = people.user(options={"lock_password": True})
    refused = _change(people, user, PASSWORD, "mine")
    assert refused.status_code == 400
    assert "contact your administrator" in refused.text
    assert _change(people, user, "wrong", "mine").status_code == 401
    assert _patch(people, user, options={"lock_password": None}).status_code == 200
    assert _change(people, user, PASSWORD, "mine").status_code == 204


def test_history_holds_for_users_and_not_for_administrators(people: People) -> None:
    _rule(people, unique_last_password_count=2)
    user = people.user()
    assert _change(people, user, PASSWORD, "second").status_code == 204
    refused = _change(people, user, "second", PASSWORD)
    assert refused.status_code == 400
    assert "unique is 2" in refused.json()["error"]["message"]
    assert _patch(people, user, password=PASSWORD).status_code == 200
    assert _change(people, user, PASSWORD, "second").status_code == 400


def test_unused_accounts_count_as_disabled(people: People) -> None:
    clock = _rule(people, disable_user_account_days_inactive=3)
    idle, busy, exempt = people.user(), people.user(), people.user(options={"ignore_user_inactivity": True})
    clock.advance(2 * DAY)
    assert people.sign_in(busy).status_code == 201
    assert people.sign_in(busy).status_code == 201
    clock.advance(DAY)
    assert people.sign_in(idle).status_code == 401
    assert _change(people, idle, PASSWORD, "mine").status_code == 401
    assert people.sign_in(busy).status_code == 201
    assert people.sign_in(exempt).status_code == 201
    admin = people.client(_administrator(people))
    shown = {one["id"]: one["enabled"] for one in admin.get(f"{V3}/users").json()["users"]}
    assert (shown[idle["id"]], shown[busy["id"]], shown[exempt["id"]]) == (False, True, True)
    assert admin.get(f"{V3}/users/{idle['id']}").json()["user"]["enabled"] is False
    enabled = admin.patch(f"{V3}/users/{idle['id']}", json={"user": {"enabled": True}})
    assert enabled.json()["user"]["enabled"] is True
    assert people.sign_in(idle).status_code == 201


def _administrator(people: People) -> str:
    """A token of now: the rule concerns administrators too, so it is lifted for a moment."""
    runtime = people.cloud.runtime
    rules = runtime.settings
    runtime.settings = dataclasses.replace(rules, password=Password())
    try:
        return people.cloud.sign_in("admin", "admin-secret", "admin")
    finally:
        runtime.settings = rules


def test_enabling_a_user_ends_a_lock(people: People) -> None:
    _rule(people, lockout_failure_attempts=1)
    user = people.user()
    assert people.sign_in(user, password="wrong").status_code == 401
    assert people.sign_in(user).status_code == 401
    assert _patch(people, user, enabled=True).status_code == 200
    assert people.sign_in(user).status_code == 201


def test_wrong_passcodes_lock_too(people: People) -> None:
    from tests.api.identity.factors import Authenticator, sign_in

    clock = _rule(people, lockout_failure_attempts=2)
    user = people.user()
    device = Authenticator(people, user)
    for _ in range(2):
        assert sign_in(people, user, totp="abcdef").status_code == 401
    assert sign_in(people, user, totp=device.passcode(clock.time())).status_code == 401
    assert people.sign_in(user).status_code == 401


def test_lengths(people: People) -> None:
    assert people.make("user", password="x" * 4096)["enabled"] is True
    for password in ("x" * 4097, "x\u0000y"):
        body = {"user": {"name": "someone", "password": password}}
        assert people.admin.post(f"{V3}/users", json=body).status_code == 400
    user = people.user()
    assert people.sign_in(user, password=PASSWORD + "x" * 100_000).status_code == 401
    assert _change(people, user, "x" * 100_000, "new").status_code == 401
    assert _change(people, user, PASSWORD, "x" * 4097).status_code == 400
    for wrong in (7, None, ["x"], {"a": 1}):
        assert _change(people, user, PASSWORD, wrong).status_code == 400
    _rule(people, max_password_length=10)
    assert _change(people, user, PASSWORD, "x" * 11).status_code == 400
    assert _change(people, user, PASSWORD, "x" * 10).status_code == 204


def test_hashes_of_keystone_sign_in(people: People) -> None:
    user = people.user()
    stored = "$2b$04$aWXwJnKv/GJ3XeT.ZTIwxOqgZ5z1xZLzLCEULxIWTeB/VN5rL/M4G"
    people.cloud.database.write(
        "import", lambda tx: tx.execute(sa.update(users).where(users.c.id == user["id"]).values(password_hash=stored))
    )
    assert people.sign_in(user, password="correct horse b\u00e4ttery").status_code == 201
    assert people.sign_in(user).status_code == 401


def test_refusals_are_logged_without_what_was_typed(people: People, caplog: pytest.LogCaptureFixture) -> None:
    user = people.user()
    with caplog.at_level(logging.INFO, logger="stackyard.identity"):
        assert people.sign_in(user, password="my-mistyped-secret").status_code == 401
        assert people.sign_in(user).status_code == 201
    (line,) = [record for record in caplog.records if record.name == "stackyard.identity"]
    assert line.getMessage() == "sign-in refused"
    assert (line.user_id, line.failed, line.methods) == (user["id"], ["password"], ["password"])  # type: ignore[attr-defined]
    assert "my-mistyped-secret" not in str(vars(line))
