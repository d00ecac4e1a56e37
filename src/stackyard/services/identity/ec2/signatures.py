"""Amazon's ways to sign a request: versions 1, 2 and 4 of its query API, and what S3 signs.

Version 0, which covers nothing but an action's name and time, is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit

from stackyard.core.errors import Unauthorized
from stackyard.services.identity.ec2.request import Ec2Request, S3Request

V4 = "AWS4-HMAC-SHA256"
_S3_SERVICES = frozenset({"s3", "iam", "sts"})
_INVALID = "Invalid EC2 signature."
_OLD_BOTO = re.compile(r"Boto/2\.[0-9]\.[0-2]")
"""Clients that leave the port out of the host that they sign."""


def invalid(reason: str = _INVALID) -> Unauthorized:
    """A signature that is none."""
    return Unauthorized(reason)


def check_ec2(request: Ec2Request, secret: str) -> None:
    """Raise Unauthorized unless the request is signed with `secret`; a signed host may lack the port it has."""
    if not request.signature:
        raise invalid("EC2 signature not supplied.")
    hosts = [request.host]
    if ":" in request.host:
        hosts.append(_without_port(request.host))
    signer = _signer(request)
    if not any(_same(request.signature, signer(request, host, secret)) for host in hosts):
        raise invalid()


def is_v4(request: Ec2Request) -> bool:
    """Whether a request is signed by version 4, in its header or its query."""
    header = request.headers.get("Authorization")
    return header.startswith(V4) if header is not None else request.parameter("X-Amz-Algorithm") == V4


def _signer(request: Ec2Request) -> Callable[[Ec2Request, str, str], str]:
    version = request.parameter("SignatureVersion")
    if version == "1":
        return _version_1
    if version == "2":
        return _version_2
    if version is None and is_v4(request):
        return _version_4
    raise invalid(f"Unknown signature version: {version}" if version is not None else "Unexpected signature format")


def _without_port(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or host
    except ValueError:
        return host


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _text(value: object) -> str:
    return str(value)


def _version_1(request: Ec2Request, host: str, secret: str) -> str:
    del host
    signed = "".join(f"{name}{_text(request.params[name])}" for name in sorted(request.params, key=str.lower))
    return base64.b64encode(hmac.digest(secret.encode(), signed.encode(), "sha1")).decode()


def _version_2(request: Ec2Request, host: str, secret: str) -> str:
    parameters = {**request.params, "SignatureMethod": "HmacSHA256"}
    signed = f"{request.verb}\n{host}\n{request.path}\n{_query(parameters)}"
    return base64.b64encode(hmac.digest(secret.encode(), signed.encode(), "sha256")).decode()


def _query(parameters: Mapping[str, object]) -> str:
    return "&".join(
        f"{quote(name, safe='')}={quote(_text(parameters[name]), safe='-_~')}" for name in sorted(parameters)
    )


def _version_4(request: Ec2Request, host: str, secret: str) -> str:
    del host  # it is among the headers
    names = _authorization(request, "SignedHeaders")
    parts = _authorization(request, "Credential").split("/")
    date = v4_date(request)
    if len(parts) != 5 or not date.startswith(parts[1]):
        raise invalid("Request date mismatch error")
    # What a POST sends as parameters is in its body, which the hash covers.
    query = "" if request.verb.upper() == "POST" else _query(request.params)
    asked = "\n".join((request.verb.upper(), request.path, query, _headers(request, names), names, request.body_hash))
    digest = hashlib.sha256(asked.encode()).hexdigest()
    return _seal_v4("\n".join((V4, date, "/".join(parts[1:]), digest)), parts[1:4], secret)


def _authorization(request: Ec2Request, name: str) -> str:
    header = request.headers.get("Authorization")
    if header is not None:
        return header.partition(f"{name}=")[2].split(",")[0]
    return request.parameter(f"X-Amz-{name}") or ""


def v4_date(request: Ec2Request) -> str:
    """The time that a signature of version 4 covers, as it is written."""
    return request.headers.get("X-Amz-Date") or request.parameter("X-Amz-Date") or ""


def _headers(request: Ec2Request, names: str) -> str:
    headers = {name.lower().strip(): value.strip() for name, value in request.headers.items()}
    if "host" in headers and _OLD_BOTO.match(headers.get("user-agent", "")):
        headers["host"] = headers["host"].split(":")[0]
    return "\n".join(f"{name}:{headers[name]}" for name in names.split(";") if name in headers) + "\n"


def _seal_v4(signed: str, scope: list[str], secret: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in (*scope, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, signed.encode(), "sha256").hexdigest()


def check_s3(request: S3Request, secret: str) -> list[str]:
    """The lines that an S3 request signed; raises Unauthorized unless it did so with `secret`."""
    try:
        signed = base64.urlsafe_b64decode(request.token).decode()
    except (binascii.Error, ValueError):
        raise invalid() from None
    lines = signed.split("\n")
    if signed.startswith("AWS4"):
        right = _s3_version_4(signed, lines, secret)
    else:
        right = base64.b64encode(hmac.digest(secret.encode(), signed.encode(), "sha1")).decode()
    if not signed or not _same(request.signature, right):
        raise invalid("Credential signature mismatch")
    return lines


def _s3_version_4(signed: str, lines: list[str], secret: str) -> str:
    if len(lines) != 4 or lines[0] != V4:
        raise invalid()
    scope = lines[2].split("/")
    if len(scope) != 4 or scope[3] != "aws4_request" or scope[2] not in _S3_SERVICES:
        raise invalid()
    if not lines[1].startswith(scope[0]):
        raise invalid("Request date mismatch error")
    return _seal_v4(signed, scope[:3], secret)
