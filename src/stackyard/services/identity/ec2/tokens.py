"""POST /v3/ec2tokens and /v3/s3tokens: a token of whoever signed a request, for the service that got the request.

Only a service or an administrator may ask: whoever could see a signed request (an address signed in advance, say) would
otherwise get a token for all that its signer may do.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound, Unauthorized
from stackyard.core.policy import ANY_SCOPE, Rule
from stackyard.core.routes import Route
from stackyard.services.identity.credentials import keys, store, tables, used
from stackyard.services.identity.ec2 import delegation, request, signatures, times
from stackyard.services.identity.ec2.request import Ec2Body, S3Body
from stackyard.services.identity.policies import ADMIN
from stackyard.services.identity.tokens import issue
from stackyard.services.identity.tokens.evidence import Evidence
from stackyard.services.identity.tokens.render import new_token_bytes
from stackyard.services.identity.tokens.sessions import REFUSED
from stackyard.services.identity.users import tables as user_tables

METHOD = "ec2credential"


async def create_ec2(call: Call) -> Reply:
    """A token for a signed EC2 request; the signature is good once."""
    access, given = request.credentials_of(call.body)
    return await call.write("token of an EC2 request", _ec2, call, access, request.ec2_request(given))


async def create_s3(call: Call) -> Reply:
    """A token for a signed S3 request."""
    access, given = request.credentials_of(call.body)
    return await call.read("token of an S3 request", _s3, call, access, request.s3_request(given))


def _ec2(tx: Transaction, call: Call, access: str, asked: request.Ec2Request) -> Reply:
    row, blob = _find(tx, access)
    signatures.check_ec2(asked, str(blob.get("secret") or ""))
    lifetime = timedelta(seconds=call.runtime.settings.credential.signature_lifetime)
    good_until = times.ec2_end(asked, tx.now, lifetime)
    used.use(tx, good_until, "ec2", row.id, asked.signature or "")
    text, body = _issue(tx, call, row, blob)
    return Reply(body, status=200, headers={"X-Subject-Token": text, "Vary": "X-Auth-Token"})


def _s3(tx: Transaction, call: Call, access: str, asked: request.S3Request) -> Reply:
    row, blob = _find(tx, access)
    lines = signatures.check_s3(asked, str(blob.get("secret") or ""))
    settings = call.runtime.settings.credential
    lifetime, presigned = timedelta(seconds=settings.signature_lifetime), timedelta(seconds=settings.presigned_lifetime)
    times.check_s3(asked, lines, tx.now, lifetime, presigned)
    # As from Keystone the service learns who it is, and gets no token to act as that user.
    return Reply(_issue(tx, call, row, blob)[1], status=200)


def _find(tx: Transaction, access: str) -> tuple[Row[Any], dict[str, Any]]:
    row = tx.first(tables.BY_ID, {"id": store.id_of_access_key(access)})
    if row is None or row.type.lower() != tables.EC2:
        raise NotFound("EC2 access key not found.")
    blob: dict[str, Any] = json.loads(keys.unseal(tx, row.blob))
    if blob.get("access") != access or not blob.get("secret"):
        # An update gave it another key, or none to sign with: nothing is signed with the empty one.
        raise NotFound("EC2 access key not found.")
    return row, blob


def _issue(tx: Transaction, call: Call, row: Row[Any], blob: dict[str, Any]) -> tuple[str, bytes]:
    found = delegation.find(tx, row.id)
    user_id = delegation.user_of(tx, row, blob)
    user = tx.first(user_tables.BY_ID, {"id": user_id}) if user_id is not None else None
    if found is None or user is None:
        raise Unauthorized(REFUSED)
    if not found.role_ids:
        raise Unauthorized("User not valid for project.")
    evidence = Evidence(methods=[METHOD], user=user, delegation=found)
    text, session = issue.new_token(tx, call, evidence)
    return text, new_token_bytes(tx, session, call.root_url, with_catalog=True)


_WHO = f"{ADMIN} or role:service"

POLICIES = (
    Rule("identity:ec2tokens_validate", _WHO, "Get the token of whoever signed an EC2 request.", ANY_SCOPE),
    Rule("identity:s3tokens_validate", _WHO, "Get the token of whoever signed an S3 request.", ANY_SCOPE),
)

ROUTES = (
    Route("POST", "/v3/ec2tokens", create_ec2, "identity:ec2tokens_validate", edge=True, body=dict, schema=Ec2Body),
    Route("POST", "/v3/s3tokens", create_s3, "identity:s3tokens_validate", edge=True, body=dict, schema=S3Body),
)
