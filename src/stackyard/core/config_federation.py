"""Settings of federation: whose word on who a user is gets believed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from stackyard.core.config_checks import at_least, one_of, setting


def networks(values: tuple[str, ...]) -> str | None:
    """Addresses and networks in CIDR notation."""
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError:
            return f"a list of addresses or networks such as 192.0.2.7 or 10.1.0.0/16 ({value} is neither)"
    return None


def urls(values: tuple[str, ...]) -> str | None:
    """Addresses of web pages."""
    wrong = [value for value in values if not value.startswith(("https://", "http://"))]
    return f"a list of URLs that begin with https:// ({wrong[0]} does not)" if wrong else None


ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures of bearer tokens that may be allowed; none of them is made with a secret that the verifier has too."""


@dataclass(frozen=True, slots=True)
class IssuerSetting:
    """An OpenID Connect issuer; `jwks_uri` is where its keys are, empty when its discovery document says so."""

    url: str
    audiences: tuple[str, ...]
    jwks_uri: str = ""
    algorithms: tuple[str, ...] = ALGORITHMS


def is_safe_url(url: str) -> bool:
    """Whether nobody in between can change what is fetched from there: by https, or on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            return bool(host)
        return parts.scheme == "http" and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def issuer_setting(text: str) -> IssuerSetting:
    """Read `URL audience=NAME+NAME [jwks_uri=URL] [algorithms=RS256+ES256]`; ValueError says what is wrong."""
    url, *options = text.split() or [""]
    if not is_safe_url(url):
        raise ValueError(f"{url or 'nothing'} is no https:// URL")
    given = dict(option.partition("=")[::2] for option in options)
    if unknown := set(given) - {"audience", "jwks_uri", "algorithms"}:
        raise ValueError(f"{url} has {', '.join(sorted(unknown))}; known are audience, jwks_uri, algorithms")
    audiences = tuple(name for name in given.get("audience", "").split("+") if name)
    if not audiences:
        raise ValueError(f"{url} has no audience=")
    jwks_uri = given.get("jwks_uri", "")
    if jwks_uri and not is_safe_url(jwks_uri):
        raise ValueError(f"{jwks_uri} is no https:// URL")
    algorithms = tuple(given["algorithms"].split("+")) if "algorithms" in given else ALGORITHMS
    if not set(algorithms) <= set(ALGORITHMS):
        raise ValueError(f"{url} may have the algorithms {', '.join(ALGORITHMS)}")
    return IssuerSetting(url, audiences, jwks_uri, algorithms)


def issuers(values: tuple[str, ...]) -> str | None:
    """Descriptions of issuers."""
    for value in values:
        try:
            issuer_setting(value)
        except ValueError as error:
            return f"a list of issuers such as 'https://sso.example.org audience=stackyard' ({error})"
    return None


@dataclass(frozen=True, slots=True)
class Federation:
    """Users of other identity providers."""

    trusted_proxies: tuple[str, ...] = setting(
        (),
        "Addresses or networks of the authenticating proxies whose headers say who a user is; nobody else's are.",
        networks,
    )
    proxy_secret: str = setting(
        "",
        "What such a proxy must send in the header X-Stackyard-Proxy-Secret; empty: the address is enough.",
        secret=True,
    )
    assertion_prefix: str = setting("", "What the names of attributes that mappings may look at begin with.")
    remote_id_attribute: str = setting(
        "", "Attribute that names the identity provider, for protocols that do not say: HTTP_OIDC_ISS, MELLON_IDP, ..."
    )
    trusted_dashboard: tuple[str, ...] = setting(
        (),
        "Addresses, https://dashboard.example.org/auth/websso/ say, that a browser may be sent to with a token.",
        urls,
    )
    sso_callback_template: str = setting(
        "", "HTML file with $host and $token that sends a browser there; empty: a page of our own."
    )
    default_authorization_ttl: int = setting(
        0, "Minutes that group memberships of a mapping last without a token; 0: no longer than the token.", at_least(0)
    )
    attribute_mapping_default_schema_version: str = setting(
        "1.0", "Schema version of mappings that do not give one.", one_of("1.0", "2.0", "3.0")
    )
    oidc_issuers: tuple[str, ...] = setting(
        (),
        "OpenID Connect issuers whose bearer tokens are verified here: 'https://sso.example.org/realms/cloud "
        "audience=stackyard', and if need be jwks_uri=https://... and algorithms=RS256+ES256.",
        issuers,
    )
