"""POST /v3/auth/tokens: look the user up, verify the proofs off the request threads, then issue the token."""

from __future__ import annotations

import logging
from http import HTTPStatus

from msgspec import UNSET

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.services.identity import passwords
from stackyard.services.identity.tokens import issue, methods
from stackyard.services.identity.tokens.bodies import Auth
from stackyard.services.identity.tokens.evidence import Evidence
from stackyard.services.identity.users import activity, lockout

log = logging.getLogger("stackyard.identity")

GUESSABLE = frozenset({"password", "totp"})
"""Methods of which too many wrong tries in a row lock an account."""


async def create(call: Call) -> Reply:
    """Sign in."""
    auth: Auth = call.body
    auth.check()
    passwords.on_behalf_of(call.request)
    evidence = await methods.prepare(call, auth)
    evidence = await call.read("sign in: look up", methods.gather, call, auth, evidence)
    await verify(call, evidence)
    return await complete(call, evidence, auth.scope)


async def complete(call: Call, evidence: Evidence, asked: issue.AskedScope = UNSET) -> Reply:
    """The answer to evidence whose proofs are verified; the user has been active today."""
    transact = call.write if issue.writes(asked) else call.read
    reply, noted = await transact("sign in: issue", _issue, call, evidence, asked)
    if not noted and evidence.user is not None:
        await call.write("sign in: note activity", activity.note, evidence.user.id)
    return reply


def _issue(tx: Transaction, call: Call, evidence: Evidence, asked: issue.AskedScope) -> tuple[Reply, bool]:
    """The answer, and whether nothing needs to be noted of the user's being active today."""
    reply = issue.issue(tx, call, evidence, asked)
    matters = call.runtime.settings.password.disable_user_account_days_inactive and reply.status == HTTPStatus.CREATED
    return reply, not matters or evidence.user is None or activity.is_noted(tx, evidence.user.id)


async def verify(call: Call, evidence: Evidence) -> None:
    """Verify every proof, and count a wrong guess or forget those before a right one."""
    failed = {proof.method for proof in evidence.proofs if not await proof.verify()}
    if evidence.counted is not None:
        rules = call.runtime.settings.password
        if failed & GUESSABLE:
            await call.write("sign in: failed", lockout.count_failure, rules, evidence.counted)
        elif evidence.has_failures and evidence.believable and not failed:
            await call.write("sign in: succeeded", lockout.forget_failures, evidence.counted)
    evidence.believable &= not failed
    if not evidence.believable:
        _log_refusal(call, evidence, failed)


def _log_refusal(call: Call, evidence: Evidence, failed: set[str]) -> None:
    """For whoever looks after the cloud: who could not sign in, from where. Nothing of what was typed."""
    client = call.request.client
    fields = {
        "user_id": None if evidence.user is None else evidence.user.id,
        "methods": evidence.methods,
        "failed": sorted(failed),
        "client": None if client is None else client.host,
    }
    log.info("sign-in refused", extra=fields)
