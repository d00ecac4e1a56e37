"""What answers have in common: links, moments of change, and what the headers of a request must say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime
from functools import wraps
from typing import Any
from uuid import UUID

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotAcceptable, UnsupportedMediaType

JSON = "application/json"

Operation = Callable[[Transaction, Call], Any]


def fresh(
    call: Call,
    body: Any = None,
    moment: datetime | None = None,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """A reply that tells, since 1.15, when what it shows changed last, and is not to be cached."""
    sent = dict(headers or {})
    if call.since(1, 15):
        sent["Cache-Control"] = "no-cache"
        if moment is not None:
            sent["Last-Modified"] = format_datetime(moment, usegmt=True)
    return Reply(body, status=status, headers=sent)


def latest(rows: Iterable[Any], otherwise: datetime | None) -> datetime | None:
    """When the latest of these rows changed."""
    return max((row.updated_at for row in rows), default=otherwise)


def path(call: Call, below: str) -> str:
    """The path of something of this service, as links have it: without the host."""
    return f"{call.request.scope.get('stackyard.mount', '')}{below}"


def provider_path(call: Call, uuid: str) -> str:
    """The path of a provider."""
    return path(call, f"/resource_providers/{uuid}")


def is_uuid_like(text: str) -> bool:
    """Whether it is a UUID, with dashes or without, in whatever case."""
    try:
        return UUID(text).hex == text.lower().replace("urn:", "").replace("uuid:", "").strip("{}").replace("-", "")
    except ValueError:
        return False


def normal_uuid(text: str, what: str) -> str:
    """A UUID with dashes and in lower case; raises BadRequest naming `what`."""
    if not is_uuid_like(text):
        raise BadRequest(f"JSON does not validate: '{text[:255]}' is not a 'uuid' ({what}).")
    return str(UUID(text))


def shows(operation: Operation) -> Operation:
    """An operation that answers JSON, to who takes JSON."""

    @wraps(operation)
    def checked(tx: Transaction, call: Call) -> Any:
        accepted = call.request.headers.get("accept")
        if accepted:
            kinds = {part.split(";")[0].strip().lower() for part in accepted.split(",")}
            if not kinds & {JSON, "application/*", "*/*"}:
                raise NotAcceptable(f"Only {JSON} is provided")
        return operation(tx, call)

    return checked


def takes(operation: Operation) -> Operation:
    """An operation that takes JSON, said to be JSON."""

    @wraps(operation)
    def checked(tx: Transaction, call: Call) -> Any:
        given = call.request.headers.get("content-type", "").split(";")[0].strip().lower()
        if not given and int(call.request.headers.get("content-length") or 0) > 0:
            raise BadRequest("content-type header required when content-length > 0")
        if given != JSON:
            raise UnsupportedMediaType(f"The media type {given or None} is not supported, use {JSON}")
        return operation(tx, call)

    return checked
