"""The keys that issuers sign with: fetched when first needed, kept for a while, fetched anew for a key not seen yet.

Whoever sends made-up key ids makes us ask an issuer once in a while and no more often; one that does not answer is
left alone as long, so that sign-ins do not queue up behind it.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from stackyard.core.config_federation import IssuerSetting, is_safe_url
from stackyard.core.errors import ServiceUnavailable
from stackyard.core.runtime import Key, Runtime

KEPT_SECONDS = 600.0
PAUSE_SECONDS = 5.0
"""The least time between two questions to one issuer."""

_TIMEOUT = 5.0
_THREADS = 4
_MAX_BYTES = 512 * 1024
_MAX_KEYS = 64
_MIN_RSA_BITS = 2048
_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_USER_AGENT = "stackyard"


class FetchError(Exception):
    """The issuer's answer is not to be had, or is no set of keys."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An issuer says where its keys are; nothing on the way there does."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none."""


_open = urllib.request.build_opener(_NoRedirect).open


@dataclass(slots=True)
class _KeySet:
    keys: list[dict[str, Any]] = field(default_factory=list)
    fetched: float | None = None
    asked: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class KeySets:
    """The key sets of all issuers; as many as are configured."""

    def __init__(self, kept: float = KEPT_SECONDS, pause: float = PAUSE_SECONDS) -> None:
        self._kept = kept
        self._pause = pause
        self._sets: dict[IssuerSetting, _KeySet] = {}
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="oidc")
        """Where tokens are verified: what waits for an issuer that does not answer keeps nothing else waiting."""

    def find(self, issuer: IssuerSetting, kid: str | None, algorithm: str) -> list[Any]:
        """The issuer's public keys that may have made such a signature; raises ServiceUnavailable."""
        known = self._sets.setdefault(issuer, _KeySet())
        with known.lock:
            now = time.monotonic()
            stale = known.fetched is None or now - known.fetched > self._kept
            found = [] if stale else _suited(known.keys, kid, algorithm)
            if not found and (known.asked is None or now - known.asked >= self._pause):
                known.asked = now
                _renew(known, issuer, keep=not stale)
                found = _suited(known.keys, kid, algorithm)
            if not found and known.fetched is None:
                raise ServiceUnavailable(f"The keys of {issuer.url} cannot be had now. Try again in a moment.")
        return [_parsed(key) for key in found]


def _renew(known: _KeySet, issuer: IssuerSetting, *, keep: bool) -> None:
    try:
        known.keys = _fetch_keys(issuer)
    except FetchError:
        if not keep:
            known.keys, known.fetched = [], None
    else:
        known.fetched = time.monotonic()


KEY_SETS: Key[KeySets] = Key("identity.oidc_key_sets")


def of(runtime: Runtime) -> KeySets:
    """The key sets of a running cloud."""
    if KEY_SETS not in runtime:
        runtime.provide(KEY_SETS, KeySets())
    return runtime[KEY_SETS]


def _fetch_keys(issuer: IssuerSetting) -> list[dict[str, Any]]:
    uri = issuer.jwks_uri or _discovered(issuer)
    keys = _fetch(uri).get("keys")
    if not isinstance(keys, list):
        raise FetchError("it has no keys")
    return [key for key in keys if isinstance(key, dict)][:_MAX_KEYS]


def _discovered(issuer: IssuerSetting) -> str:
    document = _fetch(f"{issuer.url.rstrip('/')}/.well-known/openid-configuration")
    uri = document.get("jwks_uri")
    if document.get("issuer") != issuer.url or not isinstance(uri, str) or not _may_lead_to(issuer, uri):
        raise FetchError("its discovery document is of another issuer, or names no safe place for its keys")
    return uri


def _may_lead_to(issuer: IssuerSetting, uri: str) -> bool:
    """An issuer elsewhere does not lead us to this machine's own addresses without encryption."""
    return is_safe_url(uri) and (uri.startswith("https:") or issuer.url.startswith("http:"))


def _fetch(url: str) -> dict[str, Any]:
    request = urllib.request.Request(url, headers={"Accept": "application/json", "User-Agent": _USER_AGENT})  # noqa: S310
    until = time.monotonic() + _TIMEOUT
    data = b""
    try:
        with _open(request, timeout=_TIMEOUT) as response:
            while part := response.read1(65536):
                data += part
                if len(data) > _MAX_BYTES or time.monotonic() > until:
                    raise FetchError("its answer is too long")
        document = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise FetchError(type(error).__name__) from None
    if not isinstance(document, dict):
        raise FetchError("its answer is no object")
    return document


def _suited(keys: list[dict[str, Any]], kid: str | None, algorithm: str) -> list[dict[str, Any]]:
    return [
        key
        for key in keys
        if key.get("kty") == _KINDS[algorithm[:2]]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
        and _parsed(key) is not None
    ]


def _parsed(key: dict[str, Any]) -> Any:
    """The public key, or None for what is none that may be used."""
    import jwt
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    public = {name: value for name, value in key.items() if name not in ("d", "p", "q", "dp", "dq", "qi", "k", "alg")}
    algorithm = {"RSA": "RS256", "OKP": "EdDSA"}.get(str(key.get("kty")))
    try:
        found = jwt.PyJWK(public, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if isinstance(found, RSAPublicKey) and found.key_size < _MIN_RSA_BITS:
        return None
    return found
