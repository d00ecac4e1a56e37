"""POST /v3/auth/tokens: look the user up, verify the proofs off the request threads, then issue the token."""

from __future__ import annotations

from stackyard.core.call import Call, Reply
from stackyard.services.identity.tokens import issue, methods
from stackyard.services.identity.tokens.bodies import Auth
from stackyard.services.identity.tokens.evidence import Evidence
from stackyard.services.identity.users import lockout


async def create(call: Call) -> Reply:
    """Sign in."""
    auth: Auth = call.body
    auth.check()
    evidence = await methods.prepare(call, auth)
    evidence = await call.read("sign in: look up", methods.gather, call, auth, evidence)
    await verify(call, evidence)
    return await call.read("sign in: issue", issue.issue, call, evidence, auth.scope)


async def verify(call: Call, evidence: Evidence) -> None:
    """Verify every proof, and count a wrong password or forget those before a right one."""
    failed = {proof.method for proof in evidence.proofs if not await proof.verify()}
    if evidence.counted is not None:
        rules = call.runtime.settings.password
        if "password" in failed:
            await call.write("sign in: failed", lockout.count_failure, rules, evidence.counted)
        elif evidence.has_failures and evidence.believable and not failed:
            await call.write("sign in: succeeded", lockout.forget_failures, evidence.counted)
    evidence.believable &= not failed
