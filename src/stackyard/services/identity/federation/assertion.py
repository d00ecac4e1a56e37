"""What somebody comes with: attributes in the headers of an authenticating proxy, or in a bearer token.

Anybody can send headers. They are believed only from a proxy that the operator named, which must itself remove what
clients send under the same names. A header is found however a mapping spells it, as it comes to a program behind
Apache (`HTTP_OIDC_SUB`) or as its module names it (`OIDC-sub`); headers written with underscores are not looked at,
since to a proxy they are others than those it removes.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stackyard.core.call import Call
from stackyard.core.config_federation import Federation
from stackyard.core.errors import Unauthorized
from stackyard.services.identity.federation.mapping.engine import split
from stackyard.services.identity.federation.oidc import bearer

SECRET_HEADER = "x-stackyard-proxy-secret"  # noqa: S105 (the header's name)

_STRANGER = (
    "Nobody vouches for who you are: this request neither comes from an authenticating proxy that this cloud trusts, "
    "nor has it a bearer token of an issuer that this cloud knows."
)


@dataclass(frozen=True, slots=True)
class Assertion:
    """Attributes by their normal names. `issuer` is set for a bearer token that was verified here."""

    attributes: Mapping[str, Sequence[str]]
    issuer: str | None = None
    ambiguous: frozenset[str] = field(default_factory=frozenset)
    prefix: str = ""

    def get(self, name: str) -> Sequence[str] | None:
        """The values of an attribute, however its name is spelt; Unauthorized for one that came twice."""
        normal = normal_name(name)
        if normal in self.ambiguous:
            raise Unauthorized(f"The attribute {name} came more than once.")
        return self.attributes.get(normal)

    def text(self, name: str) -> str | None:
        """The only value of an attribute."""
        values = self.get(name)
        return values[0] if values and len(values) == 1 else None

    def named(self, names: Iterable[str]) -> dict[str, Sequence[str]]:
        """Those attributes that a mapping names, and may look at, as it spells them."""
        allowed = [name for name in dict.fromkeys(names) if normal_name(name).startswith(self.prefix)]
        return {name: values for name in allowed if (values := self.get(name))}


def normal_name(name: str) -> str:
    """One spelling of an attribute's name: OIDC_SUB for OIDC-sub, oidc-sub and HTTP_OIDC_SUB."""
    return name.upper().replace("-", "_").removeprefix("HTTP_")


async def present(call: Call) -> Assertion:
    """What the request comes with; raises Unauthorized when nobody who is trusted says anything of its sender."""
    settings = call.runtime.settings.federation
    prefix = normal_name(settings.assertion_prefix)
    token = bearer.of_request(call)
    issuer = None if token is None else bearer.issuer_of(settings, token)
    if token is not None and issuer is not None:
        claims = await bearer.verified(call, issuer, token)
        attributes = {normal_name(name): values for name, values in claims.items()}
        return Assertion(attributes, issuer.url, prefix=prefix)
    if not is_trusted(call, settings):
        raise Unauthorized(_STRANGER, headers={"WWW-Authenticate": "Bearer"})
    return _of_headers(call, prefix)


def is_trusted(call: Call, settings: Federation) -> bool:
    """Whether the headers of this request are believed: all that the operator set must hold, and something must be."""
    if not settings.trusted_proxies and not settings.proxy_secret:
        return False
    if settings.trusted_proxies and not _is_among(_peer(call), settings.trusted_proxies):
        return False
    if not settings.proxy_secret:
        return True
    given = [value for name, value in call.request.scope["headers"] if name == SECRET_HEADER.encode()]
    return len(given) == 1 and hmac.compare_digest(given[0], settings.proxy_secret.encode())


def _peer(call: Call) -> str:
    """The other end of the connection: not what X-Forwarded-For says, which anybody can send."""
    scope = call.request.scope
    client = scope["stackyard.peer"] if "stackyard.peer" in scope else scope.get("client")
    return str(client[0]) if client else ""


def _is_among(address: str, networks: Iterable[str]) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in ipaddress.ip_network(network) for network in networks)


def _of_headers(call: Call, prefix: str) -> Assertion:
    found: dict[str, str] = {}
    twice = set()
    for raw_name, raw_value in call.request.scope["headers"]:
        if b"_" in raw_name:
            continue
        name = normal_name(raw_name.decode("latin-1"))
        if name in found:
            twice.add(name)
        found[name] = _decoded(raw_value)
    return Assertion(split(found), ambiguous=frozenset(twice), prefix=prefix)


def _decoded(raw: bytes) -> str:
    """Most providers send UTF-8; what is none is Latin-1, as HTTP has it."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
