"""What flavors are made of and changed to."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from stackyard.core.body import Body
from stackyard.core.microversion import Microversion
from stackyard.services.compute.fields import Flag, Name, Whole

FlavorId = int | float | Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A(?! )[a-zA-Z0-9. _-]+(?<! )\Z")]
Factor = int | float | Annotated[str, Meta(max_length=64, pattern=r"\A[0-9]+(\.[0-9]+)?\Z")]
Description = Annotated[str, Meta(max_length=65535, pattern=r"\A[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z")]


class NewestFlavor(Body, kw_only=True):
    """POST /flavors since 2.102; memory and swap in MB, disks in GB."""

    name: Name
    ram: Whole
    vcpus: Whole
    disk: Whole
    id: FlavorId | None = None
    ephemeral: Whole = field(default=0, name="OS-FLV-EXT-DATA:ephemeral")
    swap: Whole = 0
    is_public: Flag = field(default=True, name="os-flavor-access:is_public")
    description: Description | None = None


class DescribedFlavor(NewestFlavor, kw_only=True):
    """The same since 2.55."""

    rxtx_factor: Factor = 1.0


class NewFlavor(Body, kw_only=True):
    """The same at first: a flavor had no description."""

    name: Name
    ram: Whole
    vcpus: Whole
    disk: Whole
    id: FlavorId | None = None
    ephemeral: Whole = field(default=0, name="OS-FLV-EXT-DATA:ephemeral")
    swap: Whole = 0
    is_public: Flag = field(default=True, name="os-flavor-access:is_public")
    rxtx_factor: Factor = 1.0


class ChangedFlavor(Body, kw_only=True):
    """PUT /flavors/{flavor_id}: the description is all that can be changed of a flavor."""

    description: Description | None


class Tenant(Body, kw_only=True):
    """The project that is let in or out."""

    tenant: Annotated[str, Meta(min_length=1, max_length=255)]


class Access(Body, kw_only=True):
    """POST /flavors/{flavor_id}/action: one of the two."""

    add: Tenant | UnsetType = field(default=UNSET, name="addTenantAccess")
    remove: Tenant | UnsetType = field(default=UNSET, name="removeTenantAccess")


def new_flavor(version: Microversion | None) -> type[Body]:
    """The body of POST /flavors at a microversion."""
    if version is not None and version < (2, 55):
        return NewFlavor
    return NewestFlavor if version is None or version >= (2, 102) else DescribedFlavor
