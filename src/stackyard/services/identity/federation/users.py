"""What a user is to identity providers: the `federated` attribute of users, and lists of users narrowed by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.clock import iso_micro
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden
from stackyard.core.paging import Scope
from stackyard.services.identity.federation import present, tables
from stackyard.services.identity.federation.tables import federated_users

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_UniqueId = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_QUERY = ("idp_id", "protocol_id", "unique_id")


class Protocol(OpenBody):
    """Who a user is by one protocol."""

    protocol_id: _Id
    unique_id: _UniqueId


class Federated(OpenBody):
    """Who a user is to one identity provider."""

    idp_id: _Id
    protocols: Annotated[list[Protocol], msgspec.Meta(min_length=1, max_length=100)]


FederatedList = Annotated[list[Federated], msgspec.Meta(max_length=100)]


def link(tx: Transaction, call: Call, user: Row[Any], federated: Sequence[Federated]) -> None:
    """Make a user be these, and no longer those before; none given changes nothing, as in Keystone.

    Raises BadRequest for a provider or protocol that there is not, Conflict for who is another user already, Forbidden
    for a manager of a domain who names a provider of another: whoever signs in there would be his user, and get what
    the mapping gives.
    """
    if not federated:
        return
    wanted = [(one.idp_id, of.protocol_id, of.unique_id) for one in federated for of in one.protocols]
    for idp_id, protocol_id, _ in wanted:
        idp = _provider(tx, idp_id, protocol_id)
        if idp.domain_id != user.domain_id and not call.caller.is_admin:
            raise Forbidden(f"Only an administrator links users to Identity Provider {idp_id} of another domain.")
    tx.execute(tables.UNLINK, {"user_id": user.id})
    for idp_id, protocol_id, unique_id in wanted:
        if tx.first(tables.FEDERATED_USER, {"idp": idp_id, "protocol": protocol_id, "unique": unique_id}) is not None:
            raise Conflict(
                f"Conflict occurred attempting to store federated_user - {unique_id} of protocol {protocol_id} and "
                f"Identity Provider {idp_id} is a user already."
            )
        values = {"idp_id": idp_id, "protocol_id": protocol_id, "unique_id": unique_id}
        tx.execute(tables.LINK, {**values, "user_id": user.id})


def _provider(tx: Transaction, idp_id: str, protocol_id: str) -> Row[Any]:
    idp = tx.first(tables.PROVIDER_BY_ID, {"id": idp_id})
    if idp is None:
        raise BadRequest(f"Could not find Identity Provider: {idp_id}")
    if tx.first(tables.PROTOCOL, {"idp": idp_id, "id": protocol_id}) is None:
        raise BadRequest(f"Could not find federated protocol {protocol_id} for Identity Provider: {idp_id}.")
    return idp


def shown(tx: Transaction, user_id: str) -> dict[str, Any]:
    """What a user's body has of it: nothing for a user who is no provider's."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in tx.all(tables.OF_USER, {"user_id": user_id}):
        found.setdefault(row.idp_id, []).append({"protocol_id": row.protocol_id, "unique_id": row.unique_id})
    if not found:
        return {}
    return {"federated": [{"idp_id": idp_id, "protocols": protocols} for idp_id, protocols in found.items()]}


def narrowed(scope: Scope, call: Call, user_id: sa.Column[Any]) -> Scope:
    """The scope of a list of users, narrowed by what the query says of identity providers."""
    asked = {name: value for name in _QUERY if (value := call.query.get(name)) is not None}
    if not asked:
        return scope
    clauses = [federated_users.c[name] == bindparam(f"federated_{name}") for name in asked]
    clause = user_id.in_(sa.select(federated_users.c.user_id).where(*clauses))
    where = clause if scope.where is None else sa.and_(clause, scope.where)
    values = {f"federated_{name}": value for name, value in asked.items()}
    return Scope(f"{scope.name} {' '.join(asked)}", where, {**scope.parameters, **values})


def ends(tx: Transaction, user_id: str) -> dict[str, str]:
    """Group -> when the user's membership by an identity provider's word ends."""
    return {row.group_id: iso_micro(row.expires_at)[:-1] for row in present.memberships_of(tx, user_id)}
