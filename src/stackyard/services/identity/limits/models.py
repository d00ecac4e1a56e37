"""Enforcement models: what the limits of a domain and of its projects have to do with each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from stackyard.core.errors import Forbidden

FLAT = "flat"
STRICT_TWO_LEVEL = "strict_two_level"

DESCRIPTIONS = {
    FLAT: "Limit enforcement and validation does not take project hierarchy into consideration.",
    STRICT_TWO_LEVEL: "This model requires project hierarchy never exceeds a depth of two",
}

UNLIMITED = -1


class Wanted(NamedTuple):
    """A limit to be: of a project in `domain_id`, or, without a project, of that domain itself."""

    registered_limit_id: str
    project_id: str | None
    domain_id: str
    limit: int


def is_over(one: int, other: int) -> bool:
    """Whether a limit allows more than another; -1 allows anything."""
    return other != UNLIMITED and (one == UNLIMITED or one > other)


def lesser(one: int, other: int) -> int:
    """The stricter of two limits."""
    return other if is_over(one, other) else one


def check_two_level(
    wanted: Sequence[Wanted], existing: Iterable[Wanted], defaults: Mapping[str, int], described: Sequence[str]
) -> None:
    """Raise Forbidden unless each project's limit lies within its domain's, which is the default where it has none.

    `wanted` replace those of `existing` for the same project or domain; `defaults` are the registered limits' by id,
    `described` names each of `wanted` for the message.
    """
    known: dict[tuple[str, str | None, str], int] = {}
    for one in (*existing, *wanted):
        known[one.registered_limit_id, one.project_id, one.domain_id] = one.limit
    for one, description in zip(wanted, described, strict=True):
        if one.project_id is None:
            below = [
                limit
                for (registered_id, project_id, domain_id), limit in known.items()
                if project_id is not None and (registered_id, domain_id) == (one.registered_limit_id, one.domain_id)
            ]
            wrong = any(is_over(limit, one.limit) for limit in below)
        else:
            above = known.get((one.registered_limit_id, None, one.domain_id), defaults[one.registered_limit_id])
            wrong = is_over(one.limit, above)
        if wrong:
            raise Forbidden(
                f"Invalid resource limit: The resource limit ({description}) doesn't satisfy current hierarchy model."
            )


def view(name: str) -> dict[str, Any]:
    """A model as the API shows it."""
    return {"name": name, "description": DESCRIPTIONS[name]}
