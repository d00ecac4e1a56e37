"""A bearer token: which issuer it says it is of, whether that is true, and what it claims, as attributes.

Claims are named as mod_auth_openidc names them, `OIDC-sub`, `OIDC-email`, `OIDC-groups`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from stackyard.core.call import Call
from stackyard.core.config_federation import Federation, IssuerSetting, issuer_setting
from stackyard.core.errors import Unauthorized
from stackyard.services.identity.federation.oidc import keys

PREFIX = "OIDC-"
MAX_LENGTH = 16384
LEEWAY = 30
"""Seconds by which the clocks of the issuer and this machine may differ."""


def _refused(reason: str) -> Unauthorized:
    return Unauthorized(
        f"The bearer token is not good: {reason}", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
    )


def of_request(call: Call) -> str | None:
    """The token in the Authorization header, if there is one; Unauthorized for two, and for one that is too long."""
    given = call.request.headers.getlist("authorization")
    tokens = [value[7:].strip() for value in given if value[:7].lower() == "bearer "]
    if not tokens:
        return None
    if len(given) > 1 or len(tokens[0]) > MAX_LENGTH:
        raise _refused(f"there is more than one, or it has more than {MAX_LENGTH} characters.")
    return tokens[0]


def issuer_of(settings: Federation, token: str) -> IssuerSetting | None:
    """The configured issuer that the token, not yet believed, says it is of."""
    if not settings.oidc_issuers:
        return None
    import jwt

    try:
        said = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    return next((known for known in map(issuer_setting, settings.oidc_issuers) if known.url == said), None)


async def verified(call: Call, issuer: IssuerSetting, token: str) -> dict[str, list[str]]:
    """The token's claims as attributes, when the issuer's key signed it and it is for us and for now.

    Raises Unauthorized, and ServiceUnavailable when the issuer does not give its keys.
    """
    known = keys.of(call.runtime)
    return await asyncio.get_running_loop().run_in_executor(known.threads, _verify, known, issuer, token)


def _verify(known: keys.KeySets, issuer: IssuerSetting, token: str) -> dict[str, list[str]]:
    import jwt

    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise _refused("it is not a JSON Web Token.") from None
    algorithm = header.get("alg")
    if algorithm not in issuer.algorithms:
        raise _refused("it is signed in a way that this issuer may not use.")
    kid = header.get("kid")
    candidates = known.find(issuer, kid if isinstance(kid, str) else None, algorithm)
    if not candidates:
        raise _refused("the issuer has no such key.")
    reason = "its signature is wrong."
    for key in candidates:
        try:
            return _attributes(_decode(token, key, algorithm, issuer))
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            reason = _in_words(error)
            break
    raise _refused(reason)


def _decode(token: str, key: Any, algorithm: str, issuer: IssuerSetting) -> Mapping[str, Any]:
    import jwt

    return jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        audience=list(issuer.audiences),
        issuer=issuer.url,
        leeway=LEEWAY,
        options={"require": ["exp", "iss", "aud"], "verify_signature": True},
    )


def _in_words(error: Exception) -> str:
    """What is wrong, without anything of the token itself."""
    import jwt

    known = {
        jwt.ExpiredSignatureError: "it has expired.",
        jwt.ImmatureSignatureError: "it is not good yet.",
        jwt.InvalidAudienceError: "it is meant for somebody else.",
        jwt.InvalidIssuerError: "it is of another issuer.",
        jwt.MissingRequiredClaimError: "it lacks exp, iss or aud.",
    }
    return next((text for kind, text in known.items() if isinstance(error, kind)), "it cannot be read.")


def _attributes(claims: Mapping[str, Any]) -> dict[str, list[str]]:
    found = {}
    for name, value in claims.items():
        values = [text for item in (value if isinstance(value, list) else [value]) if (text := _text(item)) is not None]
        if values:
            found[PREFIX + name] = values
    return found


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refused("a claim holds what is no text.") from None
    return text
