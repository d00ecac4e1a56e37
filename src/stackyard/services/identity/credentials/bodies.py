"""What clients send to make or change a credential."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import Body, OpenBody
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.identity.credentials.tables import EC2

LONGEST_BLOB = 65536
Blob = Annotated[str, msgspec.Meta(max_length=LONGEST_BLOB)]
FIXED = ("trust_id", "app_cred_id", "access_token_id", "access_id")
"""What an EC2 credential's blob says of where the credential comes from, and no update may change."""


class NewCredential(OpenBody):
    """A credential to make."""

    blob: Blob
    type: Annotated[str, msgspec.Meta(max_length=255)]
    user_id: Annotated[str, msgspec.Meta(max_length=64)]
    project_id: Annotated[str, msgspec.Meta(max_length=64)] | UnsetType | None = UNSET

    def check(self) -> None:
        """Raise BadRequest for an EC2 credential without its project."""
        if self.is_ec2 and self.project_id is UNSET:
            raise missing("project_id", "credential")

    @property
    def is_ec2(self) -> bool:
        """Whether it is an EC2 credential, in whatever letters."""
        return self.type.lower() == EC2


class CredentialChange(Body):
    """Only a credential's blob may change; for all else make another credential.

    The rest may be given as it is: the openstack client sends it along.
    """

    blob: Blob
    type: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET
    project_id: str | UnsetType | None = UNSET

    def check(self, present: Mapping[str, Any]) -> None:
        """Raise InvalidField for another type, user or project than the credential has."""
        for name in ("type", "user_id", "project_id"):
            if getattr(self, name) not in (UNSET, present[name]):
                raise InvalidField(f"credential.{name}", "it cannot be changed; make another credential.")


def missing(attribute: str, target: str) -> BadRequest:
    """Keystone's words for what a body lacks."""
    return BadRequest(
        f"Expecting to find {attribute} in {target}. The server could not comply with the request since it is either "
        "malformed or otherwise incorrect. The client is assumed to be in error."
    )


def ec2_blob(text: str) -> dict[str, Any]:
    """The blob of an EC2 credential, read; raises BadRequest for one that is no object with an access key."""
    try:
        blob = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest("Invalid blob in credential") from None
    if not blob or not isinstance(blob, dict):
        raise missing("blob", "credential")
    for name in ("access", "secret", *FIXED):
        if blob.get(name) is not None and not isinstance(blob[name], str):
            raise BadRequest(f"Invalid blob in credential: {name} must be a text.")
    if not blob.get("access"):
        raise missing("access", "credential")
    return blob
