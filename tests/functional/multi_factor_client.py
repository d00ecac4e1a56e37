"""Runs in the clients' own environment: signs in with keystoneauth's MultiFactor plug-in, and again with a receipt.

Reads {"auth_url", "user_id", "password", "passcodes"} as JSON on standard input; prints what came of it as JSON.
"""

from __future__ import annotations

import json
import sys

from keystoneauth1 import exceptions
from keystoneauth1.identity import v3
from keystoneauth1.session import Session


def main() -> None:
    """Both ways, one after the other."""
    given = json.load(sys.stdin)
    url, user_id, password = given["auth_url"], given["user_id"], given["password"]
    first, second = given["passcodes"]
    methods = ["v3password", "v3totp"]
    both = v3.MultiFactor(url, methods, user_id=user_id, password=password, passcode=first, unscoped=True)
    found = {"user_id": both.get_user_id(Session())}
    try:
        v3.Password(url, user_id=user_id, password=password, unscoped=True).get_token(Session())
    except exceptions.MissingAuthMethods as missing:
        found |= {"methods": missing.methods, "required": missing.required_auth_methods}
        rest = v3.TOTP(url, user_id=user_id, passcode=second, unscoped=True)
        rest.add_method(v3.ReceiptMethod(receipt=missing.receipt))
        found["completed_user_id"] = rest.get_user_id(Session())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
