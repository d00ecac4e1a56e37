"""Names: those made up for containers without one, and the host name that follows from a name."""

from __future__ import annotations

import random
import re

_LETTERS = re.findall(
    r"\w+",
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu "
    "nu xi omicron pi rho sigma tau upsilon phi chi psi omega",
)
_NOT_IN_LABEL = re.compile(r"[^a-zA-Z0-9-]+")


def generated() -> str:
    """A name such as zeta-22-container."""
    return f"{random.choice(_LETTERS)}-{random.randint(1, 24)}-container"  # noqa: S311


def dns_label(name: str) -> str:
    """The name as one DNS label: other containers of the network find it by this."""
    return _NOT_IN_LABEL.sub("-", name)[:63].strip("-").lower() or "container"
