"""Settings of tokens, and of users' passwords."""

from __future__ import annotations

from dataclasses import dataclass

from stackyard.core.config_checks import at_least, between, one_of, regex, setting


@dataclass(frozen=True, slots=True)
class Token:
    """Tokens of the identity service."""

    lifetime: int = setting(3600, "Seconds until a token expires.", at_least(1))
    provider: str = setting(
        "fernet",
        "fernet: new tokens are short and encrypted; jws: signed, and anybody can read what is in them. Tokens of "
        "the other kind stay good until they expire.",
        one_of("fernet", "jws"),
    )
    max_active_keys: int = setting(
        3, "Keys kept at a rotation: the new primary, the staged one, and former ones.", at_least(2)
    )
    allow_rescope_scoped_token: bool = setting(
        default=True, help_text="Whether a scoped token may be exchanged for one of another scope."
    )
    allow_expired_window: int = setting(
        172800, "Seconds after its end in which a token is still shown to who asks with allow_expired.", at_least(0)
    )
    cache: int = setting(2048, "Tokens and parts of answers that are kept in memory.", at_least(16))
    receipt_lifetime: int = setting(
        300, "Seconds in which a sign-in may be completed with the methods it still lacks.", between(1, 86400)
    )


@dataclass(frozen=True, slots=True)
class Password:
    """Rules for users' passwords and passcodes, by Keystone's names."""

    lockout_failure_attempts: int = setting(
        0, "Wrong passwords in a row that lock a user's account; 0: any number.", at_least(0)
    )
    lockout_duration: int = setting(1800, "Seconds that a locked account stays locked.", at_least(1))
    unique_last_password_count: int = setting(
        0, "How many of a user's last passwords, with the present one, may not be chosen again; 0: none.", at_least(0)
    )
    password_expires_days: int = setting(
        0, "Days after which a password must be changed, for passwords set from now on; 0: never.", at_least(0)
    )
    minimum_password_age: int = setting(
        0, "Days before which users may not change a password that they chose; 0: at any time.", at_least(0)
    )
    password_regex: str = setting("", "Regular expression that new passwords must match; empty: any password.", regex)
    password_regex_description: str = setting("", "The same for people: shown to who chose one that does not match.")
    change_password_upon_first_use: bool = setting(
        default=False, help_text="Whether a password that an administrator set must be changed before it is used."
    )
    disable_user_account_days_inactive: int = setting(
        0, "Days without a sign-in after which an account counts as disabled; 0: never.", at_least(0)
    )
    max_password_length: int = setting(4096, "Longest password in characters.", between(1, 4096))
    totp_included_previous_windows: int = setting(
        1, "Passcodes accepted beside the present one: those of so many half minutes before.", between(0, 10)
    )
