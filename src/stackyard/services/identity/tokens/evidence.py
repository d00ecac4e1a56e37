"""Who a client says it is, and what there is to prove it with: what the methods of one sign-in have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import UNSET
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.tokens.bodies import Auth, DomainReference, UserReference
from stackyard.services.identity.tokens.delegation import Delegation
from stackyard.services.identity.tokens.payload import Federation
from stackyard.services.identity.tokens.sessions import Session
from stackyard.services.identity.users import tables as user_tables


class Proof(NamedTuple):
    """One thing to be verified outside of any transaction, since it is slow on purpose or asks somebody else."""

    method: str
    verify: Callable[[], Awaitable[bool]]


class Asked(NamedTuple):
    """What a directory says of a password: whose it would be (None: nobody's of that name), and whether it is right."""

    user_id: str | None
    right: bool


@dataclass(slots=True)
class Evidence:
    """What the methods of one sign-in say.

    `believable` is False when something does not fit already; the proofs are verified all the same, so that the time
    of the answer does not tell whether a user exists. `counted` is the user whose wrong passwords are counted.
    `prepared` is what a method's own `prepare` found out, by method.
    """

    methods: list[str] = field(default_factory=list)
    user: Row[Any] | None = None
    proofs: list[Proof] = field(default_factory=list)
    believable: bool = True
    delegation: Delegation | None = None
    session: Session | None = None
    federation: Federation | None = None
    expires_at: datetime | None = None
    counted: str | None = None
    has_failures: bool = False
    prepared: dict[str, Any] = field(default_factory=dict)

    def claim(self, user: Row[Any] | None) -> None:
        """Another method says that it is `user`; all methods must say the same."""
        if user is None or (self.user is not None and self.user.id != user.id):
            self.believable = False
        else:
            self.user = user

    def limit(self, moment: datetime) -> None:
        """The token may not outlive `moment`."""
        self.expires_at = moment if self.expires_at is None else min(moment, self.expires_at)


class Method(NamedTuple):
    """One way to sign in.

    `gather` looks up in a transaction what the sign-in refers to, and adds to the evidence; `prepare`, where there is
    one, comes first and may ask somebody else (a directory, an issuer), and what it answers is `evidence.prepared`.
    """

    gather: Callable[[Transaction, Call, Auth, Evidence], None]
    prepare: Callable[[Call, Auth], Awaitable[Any]] | None = None


def find_user(tx: Transaction, reference: UserReference) -> Row[Any] | None:
    """The user that is meant, if there is one; BadRequest for a name without a domain."""
    if reference.id is not UNSET:
        return tx.first(user_tables.BY_ID, {"id": reference.id})
    if reference.domain is UNSET:
        raise BadRequest("Expecting to find domain in user, which is not given by ID.")
    domain = find_domain(tx, reference.domain)
    if domain is None or reference.name is UNSET:
        return None
    return tx.first(user_tables.BY_NAME, {"domain_id": domain.id, "name": reference.name})


def find_domain(tx: Transaction, reference: DomainReference) -> Row[Any] | None:
    """The domain that is meant, if there is one."""
    if reference.name is not UNSET:
        return tx.first(project_tables.BY_NAME, {"domain_id": project_tables.NO_DOMAIN, "name": reference.name})
    row = tx.first(project_tables.BY_ID, {"id": reference.id})
    return row if row is not None and row.is_domain else None
