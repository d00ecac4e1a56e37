"""What aggregates are made of and changed to."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from stackyard.core.body import Body
from stackyard.services.compute.fields import HostName, MetadataKey, Name, Text, ZoneName

PaddedName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\S.*\Z")]
"""A name that may have spaces around it, which are dropped."""


class NewAggregate(Body, kw_only=True):
    """POST /os-aggregates."""

    name: Name
    availability_zone: ZoneName | None = None


class ChangedAggregate(Body, kw_only=True):
    """PUT /os-aggregates/{aggregate_id}: one of the two, or both."""

    name: PaddedName | UnsetType = UNSET
    availability_zone: ZoneName | UnsetType | None = UNSET


class NamedHost(Body, kw_only=True):
    """The host that comes or goes."""

    host: HostName


class Metadata(Body, kw_only=True):
    """What is put to an aggregate's metadata; null takes a key away."""

    metadata: dict[MetadataKey, Text | None]


class AggregateAction(Body, kw_only=True):
    """POST /os-aggregates/{aggregate_id}/action: one of them."""

    add_host: NamedHost | UnsetType = UNSET
    remove_host: NamedHost | UnsetType = UNSET
    set_metadata: Metadata | UnsetType = UNSET


class CachedImage(Body, kw_only=True):
    """An image that hosts shall have."""

    id: Annotated[str, Meta(pattern=r"\A[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\Z")]


class CachedImages(Body, kw_only=True):
    """POST /os-aggregates/{aggregate_id}/images."""

    cache: Annotated[list[CachedImage], Meta(min_length=1, max_length=1000)]
