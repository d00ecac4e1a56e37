"""Regular expressions of mappings, with an end to the time they take: some take for ever on some texts.

Rules are written by administrators, but what they are matched against comes from whoever signs in.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

MAX_LENGTH = 1024
SECONDS = 0.25


class BadPattern(ValueError):
    """A text that is no regular expression."""


class TooSlow(Exception):
    """A rule's expressions took longer than they may."""


@lru_cache(256)
def compiled(pattern: str) -> Any:
    """The expression; raises BadPattern."""
    import regex  # type: ignore[import-untyped]

    if len(pattern) > MAX_LENGTH:
        raise BadPattern(f"a regular expression has at most {MAX_LENGTH} characters")
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        raise BadPattern(f"{pattern!r} is not a regular expression: {error}") from None


class Budget:
    """The time that one sign-in's expressions may take together."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._end = time.monotonic() + seconds

    def matches(self, pattern: str, text: str) -> bool:
        """Whether the pattern is somewhere in the text; raises TooSlow, and BadPattern."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TooSlow
        try:
            return compiled(pattern).search(text, timeout=left, concurrent=True) is not None
        except TimeoutError:
            raise TooSlow from None
