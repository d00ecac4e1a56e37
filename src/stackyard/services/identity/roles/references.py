"""Roles as bodies name them: by id, or by a name that is no other role's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField, NotFound
from stackyard.services.identity.roles.tables import roles

_BY_NAME = sa.select(roles.c.id).where(roles.c.name == sa.bindparam("name"))


class RoleReference(Body):
    """One role."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | UnsetType = UNSET


def check(references: Iterable[RoleReference]) -> None:
    """Raise InvalidField for a role that is named in two ways or none."""
    for role in references:
        if (role.id is UNSET) == (role.name is UNSET):
            raise InvalidField("roles", "give each role by exactly one of id and name.")


def ids_of(tx: Transaction, references: Iterable[RoleReference]) -> set[str]:
    """The ids of the roles; those given by id may not exist.

    Raises NotFound for a name that no role has, BadRequest for one that several have.
    """
    return {_id_of(tx, role) for role in references}


def _id_of(tx: Transaction, reference: RoleReference) -> str:
    if isinstance(reference.id, str):
        return reference.id
    found = tx.all(_BY_NAME, {"name": reference.name})
    if len(found) > 1:
        raise BadRequest(f"Multiple role entities named '{reference.name}' were found. Please use ID instead of name.")
    if not found:
        raise NotFound(f"Could not find role: {reference.name}.")
    return str(found[0].id)
