"""Policies: documents of rules of a type that whoever stores them knows."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy.engine import Row

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.paging import Listing
from stackyard.core.policy import Rule
from stackyard.services.identity.legacy_policies.tables import policies
from stackyard.services.identity.listing import texts
from stackyard.services.identity.policies import ADMIN, ADMIN_OR_READER, CLOUD
from stackyard.services.identity.resource import Resource, Values

Type = Annotated[str, msgspec.Meta(max_length=255)]


class NewPolicy(OpenBody):
    """A policy to store."""

    type: Type
    blob: str


class PolicyChange(OpenBody):
    """What to change of a policy."""

    type: Type | UnsetType = UNSET
    blob: str | UnsetType = UNSET


def _view(call: Call, row: Row[Any]) -> Values:
    del call
    return {"type": row.type, "blob": row.blob}


LEGACY_POLICIES = Resource(
    kind="policy",
    plural="policies",
    path="/v3/policies",
    table=policies,
    new=NewPolicy,
    change=PolicyChange,
    view=_view,
    listing=Listing(policies, texts("type", policies.c.type), default_sort=(("created_at", "asc"),)),
)

POLICIES = (
    *(
        Rule(f"identity:{name}", ADMIN_OR_READER, "See stored policies.", CLOUD)
        for name in ("get_policy", "list_policies")
    ),
    *(
        Rule(f"identity:{name}", ADMIN, "Change stored policies.", CLOUD)
        for name in ("create_policy", "update_policy", "delete_policy")
    ),
)

ROUTES = LEGACY_POLICIES.routes()
