"""What a cloud asks of passwords: how they must look, how long they are good, how soon they may be changed."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.config_identity import Password
from stackyard.core.errors import BadRequest

_COLUMNS = ("password_hash", "password_created_at", "password_expires_at", "password_self_service")


def check_new(rules: Password, password: str) -> None:
    """Raise BadRequest for a password that nobody may have."""
    if len(password) > rules.max_password_length:
        raise BadRequest(f"The password length must be less than or equal to {rules.max_password_length}.")
    if rules.password_regex and not re.match(rules.password_regex, password):
        raise BadRequest(
            f"The password does not match the requirements: {rules.password_regex_description}.",
            kind="PasswordRequirementsValidationError",
        )


def check_may_change(rules: Password, user: Row[Any], now: datetime) -> None:
    """Raise BadRequest where a user may not choose another password, or not yet."""
    if user.options.get("lock_password"):
        raise BadRequest(
            "You cannot change your password at this time due to password policy disallowing password changes. Please "
            "contact your administrator to reset your password.",
            kind="PasswordSelfServiceDisabled",
        )
    if not user.password_self_service or user.password_created_at is None:
        return
    allowed_from = user.password_created_at + timedelta(days=rules.minimum_password_age)
    if now < allowed_from:
        raise BadRequest(
            "You cannot change your password at this time due to the minimum password age. Once you change your "
            f"password, it must be used for {rules.minimum_password_age} day(s) before it can be changed. Please try "
            f"again in {(allowed_from - now).days} day(s) or contact your administrator to reset your password.",
            kind="PasswordAgeValidationError",
        )


def columns(
    rules: Password, options: dict[str, Any], hashed: str | None, now: datetime, *, chosen_by_user: bool
) -> dict[str, Any]:
    """What is stored of a new password of a user with these options; None is no password at all."""
    if hashed is None:
        return dict.fromkeys(_COLUMNS) | {"password_self_service": False}
    expires_at = None
    if rules.password_expires_days and not options.get("ignore_password_expiry"):
        expires_at = (now + timedelta(days=rules.password_expires_days)).replace(microsecond=0)
    if (
        rules.change_password_upon_first_use
        and not chosen_by_user
        and not options.get("ignore_change_password_upon_first_use")
    ):
        expires_at = now
    return dict(zip(_COLUMNS, (hashed, now, expires_at, chosen_by_user), strict=True))


def is_expired(user: Row[Any], now: datetime) -> bool:
    """Whether a user's password must be changed before it is good again."""
    expires_at = user.password_expires_at
    return expires_at is not None and expires_at <= now and not user.options.get("ignore_password_expiry")
