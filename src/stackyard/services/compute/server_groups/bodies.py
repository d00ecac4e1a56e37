"""What server groups are made of."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from stackyard.core.body import Body
from stackyard.core.microversion import Microversion
from stackyard.services.compute.fields import Name, Whole

OldPolicy = Literal["affinity", "anti-affinity"]
Policy = Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]


class FirstGroup(Body, kw_only=True):
    """POST /os-server-groups until 2.14."""

    name: Name
    policies: Annotated[list[OldPolicy], Meta(min_length=1, max_length=1)]


class SoftGroup(Body, kw_only=True):
    """The same from 2.15 to 2.63: a policy may be soft, a wish."""

    name: Name
    policies: Annotated[list[Policy], Meta(min_length=1, max_length=1)]


class Rules(Body, kw_only=True):
    """How far apart servers shall be."""

    max_server_per_host: Whole | UnsetType = UNSET


class NewGroup(Body, kw_only=True):
    """The same since 2.64: one policy, and rules for anti-affinity."""

    name: Name
    policy: Policy
    rules: Rules | UnsetType = UNSET


def new_group(version: Microversion | None) -> type[Body]:
    """The body at a microversion."""
    if version is None or version >= (2, 64):
        return NewGroup
    return SoftGroup if version >= (2, 15) else FirstGroup
