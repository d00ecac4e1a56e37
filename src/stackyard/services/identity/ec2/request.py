"""A signed request as the service that got it describes it to us."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET

from stackyard.core.body import OpenBody, convert
from stackyard.core.errors import BadRequest, Unauthorized

Text = Annotated[str, msgspec.Meta(max_length=65536)]


class Ec2Request(OpenBody):
    """A request to an EC2-like service: all that its signature covers."""

    signature: Text | None = None
    host: Text = ""
    verb: Text = ""
    path: Text = ""
    params: dict[Text, str | int | float | bool | None] = {}
    headers: dict[Text, Text] = {}
    body_hash: Text = ""

    def parameter(self, name: str) -> str | None:
        """A query parameter as a text."""
        value = self.params.get(name)
        return None if value is None else str(value)


class S3Request(OpenBody):
    """A request to an S3-like service: the text that it signed, in base64, and the signature."""

    token: Text = ""
    signature: Text = ""
    params: dict[Text, str | int | float | bool | None] = {}
    headers: dict[Text, Text] = {}


class DescribedEc2(Ec2Request, kw_only=True):
    """An EC2 request with its access key."""

    access: str


class DescribedS3(S3Request, kw_only=True):
    """An S3 request with its access key."""

    access: str


class Ec2Body(OpenBody):
    """What /v3/ec2tokens takes."""

    credentials: DescribedEc2


class S3Body(OpenBody):
    """What /v3/s3tokens takes."""

    credentials: DescribedS3


def credentials_of(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The access key, and the rest of what describes the request, under any of the names that Keystone takes."""
    if not body:
        raise BadRequest("request must include a request body")
    found = body.get("credentials") or body.get("credential") or body.get("ec2Credentials") or {}
    if not isinstance(found, dict):
        raise BadRequest("Invalid input for credentials: expected an object.")
    access = found.get("access")
    if access is None:
        raise Unauthorized("EC2 Signature not supplied")
    if not isinstance(access, str) or len(access) > 255:
        raise BadRequest("Invalid input for credentials.access: expected a text.")
    return access, {name: value for name, value in found.items() if name != "access" and value is not UNSET}


def ec2_request(given: dict[str, Any]) -> Ec2Request:
    """The request to an EC2-like service; raises InvalidField."""
    return convert(given, Ec2Request, "credentials")


def s3_request(given: dict[str, Any]) -> S3Request:
    """The request to an S3-like service; raises InvalidField."""
    return convert(given, S3Request, "credentials")
