"""Passcodes and receipts, for tests of signing in with more than one method."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from tests.api.identity.people import PASSWORD, V3, People

from stackyard.core.clock import SteppedClock

RECEIPT = "Openstack-Auth-Receipt"
BOTH = [["password", "totp"]]


class Authenticator:
    """What a user carries: it shows the passcode of any moment."""

    def __init__(self, people: People, user: dict[str, Any], secret: bytes | None = None) -> None:
        self.key = secret or secrets.token_bytes(20)
        blob = base64.b32encode(self.key).decode().rstrip("=")
        body = {"credential": {"type": "totp", "user_id": user["id"], "blob": blob, "project_id": None}}
        response = people.admin.post(f"{V3}/credentials", json=body)
        assert response.status_code == 201, response.text
        self.credential_id = response.json()["credential"]["id"]

    def passcode(self, at: float) -> str:
        """The passcode of a moment in seconds since 1970."""
        return TOTP(self.key, 6, SHA1(), 30, enforce_key_length=False).generate(int(at)).decode()


def stop_time(people: People) -> SteppedClock:
    """A clock for the cloud that stands still, in the middle of a half minute."""
    clock = SteppedClock(int(time.time()) // 30 * 30 + 15)
    people.cloud.database.clock = clock
    return clock


def sign_in(people: People, user: dict[str, Any], receipt: str | None = None, **methods: str) -> Any:
    """The answer to a sign-in by `password` and `totp`, as given; a receipt goes along where there is one."""
    field = {"password": "password", "totp": "passcode"}
    identity: dict[str, Any] = {"methods": list(methods)}
    for name, secret in methods.items():
        identity[name] = {"user": {"id": user["id"], field[name]: secret}}
    headers = {} if receipt is None else {RECEIPT: receipt}
    return people.cloud.http.post(
        f"{V3}/auth/tokens", content=json.dumps({"auth": {"identity": identity}}), headers=headers
    )


def receipt_of(people: People, user: dict[str, Any], **methods: str) -> str:
    """The receipt of a sign-in that lacks something."""
    response = sign_in(people, user, **(methods or {"password": PASSWORD}))
    assert response.status_code == 401, response.text
    return str(response.headers[RECEIPT])
