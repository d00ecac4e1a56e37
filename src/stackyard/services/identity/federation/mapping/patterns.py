"""Regular expressions of mappings, with an end to the time they take: some take for ever on some texts.

Rules are written by administrators, but what they are matched against comes from whoever signs in.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import Any

MAX_LENGTH = 1024
MAX_REPEATS = 20_000
"""What the counts of a pattern's `{n}` may come to, multiplied: a pattern is written out so often when compiled."""
SECONDS = 0.25

_COUNT = re.compile(r"\{\s*([0-9]*)\s*(?:,\s*([0-9]*)\s*)?\}")


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
    if _repeats(pattern) > MAX_REPEATS:
        raise BadPattern(f"the repeats of a regular expression come to at most {MAX_REPEATS}")
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        raise BadPattern(f"{pattern!r} is not a regular expression: {error}") from None


def _repeats(pattern: str) -> int:
    product = 1
    for counts in _COUNT.findall(pattern):
        product *= max([int(count[:9]) for count in counts if count] + [1])
    return product


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
