"""The way in that a sign-in takes: an identity provider's protocol with its mapping, and whether it is open."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Forbidden, Unauthorized
from stackyard.services.identity.federation import tables
from stackyard.services.identity.federation.assertion import Assertion
from stackyard.services.identity.federation.identity_providers import find_provider
from stackyard.services.identity.federation.mapping.engine import Mapped, MappingError, evaluate
from stackyard.services.identity.federation.mappings import find_mapping
from stackyard.services.identity.federation.protocols import find_protocol


class WayIn(NamedTuple):
    """A protocol of an identity provider, and the mapping that it goes by."""

    idp_id: str
    protocol_id: str
    mapping_id: str
    rules: list[dict[str, Any]]
    version: str

    def mapped(self, assertion: Assertion) -> Mapped:
        """What the mapping makes of an assertion; raises Unauthorized when that is nobody. Takes its time."""
        names = [requirement["type"] for rule in self.rules for requirement in rule["remote"]]
        try:
            return evaluate(self.rules, assertion.named(names), self.version)
        except MappingError as error:
            raise Unauthorized(str(error)) from None


def find(tx: Transaction, call: Call, idp_id: str, protocol_id: str, assertion: Assertion) -> WayIn:
    """The way in for an assertion.

    Raises NotFound for an unknown provider, protocol or mapping, Forbidden for a provider that is disabled or is not
    the one that vouches.
    """
    idp = find_provider(tx, idp_id)
    if not idp.enabled:
        raise Forbidden(f"Identity Provider {idp_id} is disabled")
    protocol = find_protocol(tx, idp_id, protocol_id)
    _check_remote_id(tx, call, protocol, assertion)
    mapping = find_mapping(tx, protocol.mapping_id)
    return WayIn(idp.id, protocol.id, mapping.id, mapping.rules, mapping.schema_version)


def remote_id_name(call: Call, protocol: Row[Any]) -> str:
    """The attribute that names the identity provider; empty when none is said to."""
    return protocol.remote_id_attribute or call.runtime.settings.federation.remote_id_attribute


def _check_remote_id(tx: Transaction, call: Call, protocol: Row[Any], assertion: Assertion) -> None:
    known = {row.remote_id for row in tx.all(tables.REMOTE_IDS, {"ids": [protocol.idp_id]})}
    remote_id = assertion.issuer
    if remote_id is None:
        name = remote_id_name(call, protocol)
        if not name or not known:
            return
        remote_id = assertion.text(name)
    if remote_id is None:
        raise Unauthorized("Could not find Identity Provider identifier in environment")
    if remote_id not in known:
        raise Forbidden("Incoming identity provider identifier not included among the accepted identifiers.")
