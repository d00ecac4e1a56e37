"""Faults as Zun words them: a list of one error, with a code made of the service's name and the kind of fault."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stackyard.core.errors import (
    ApiError,
    BadRequest,
    Conflict,
    NotAcceptable,
    NotFound,
    ServiceUnavailable,
)
from stackyard.host.errors import ConflictError, EngineUnavailableError, HostError, NotFoundError, SpecError

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]{2,}(?=[A-Z][a-z]|\d|\W|$)|\d+")
_MINIMUM, _MAXIMUM = "1.1", "1.40"


def fault(error: ApiError, request_id: str) -> Mapping[str, Any]:
    """`{"errors": [{request_id, code, status, title, detail, links}]}`; a refused microversion also says the range."""
    found: dict[str, Any] = {
        "request_id": request_id,
        "code": f"container.{_code(error.kind)}",
        "status": error.status,
        "title": error.message,
        "detail": error.message,
        "links": [],
    }
    if isinstance(error, NotAcceptable):
        found |= {
            "code": "zun.microversion-unsupported",
            "title": error.title,
            "max_version": _MAXIMUM,
            "min_version": _MINIMUM,
        }
    return {"errors": [found]}


def _code(kind: str) -> str:
    return "-".join(word.lower() for word in _WORDS.findall(kind))


@contextmanager
def as_api_errors() -> Iterator[None]:
    """Turn what the host's drivers raise into faults of the API."""
    try:
        yield
    except EngineUnavailableError as error:
        raise ServiceUnavailable(f"The container engine does not answer: {error}") from error
    except NotFoundError as error:
        raise BadRequest(str(error), kind="Invalid") from error
    except ConflictError as error:
        raise Conflict(str(error)) from error
    except SpecError as error:
        raise BadRequest(str(error), kind="Invalid") from error
    except HostError as error:
        raise ServiceUnavailable(str(error)) from error


def container_not_found(ident: str) -> NotFound:
    """No such container, or not the caller's."""
    return NotFound(f"Container {ident} could not be found.", kind="ContainerNotFound")


def parameter_since(name: str, version: str, used: object) -> BadRequest:
    """A parameter that the asked microversion does not have yet."""
    return BadRequest(
        f"Invalid param {name} because current request version is {used}. "
        f"{name} is only supported from version {version}",
        kind="InvalidParamInVersion",
    )
