"""Access rules of application credentials: which paths a rule's pattern covers (Identity API v3, "Access Rules").

Both pattern and path are a user's, so that no regular expression is made of them: a handful of wildcards would be
enough to keep one busy for years. All places in the pattern that the path may have come to are carried along at once,
one bit each, in time proportional to the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from stackyard.core.caller import AccessRule

_TOKENS = re.compile(r"\*\*+|\*|\{[^}]*\}|.", re.DOTALL)


def is_granted(rules: Iterable[AccessRule], service_type: str, method: str, path: str, mounts: Iterable[str]) -> bool:
    """Whether one of the rules allows `method` on `path` of a service.

    `path` is as the service's routes have it. A rule may name it so, or with any of the service's `mounts` before it,
    as it is on the one port; on a port of the service's own both are the same. In a rule, `*` and `{name}` stand for
    one segment or a part of it, `**` for anything. Whoever has a token may always have it validated.
    """
    own = "/" + "/".join(part for part in path.split("/") if part)
    if service_type == "identity" and method == "GET" and own == "/v3/auth/tokens":
        return True
    names = [own, *(f"{mount}{own}" for mount in mounts)]
    return any(
        rule.service == service_type and rule.method == method and any(covers(rule.path, name) for name in names)
        for rule in rules
    )


def covers(pattern: str, path: str) -> bool:
    """Whether a rule's pattern covers a path; a slash at the pattern's end does not matter."""
    return _compiled(pattern.rstrip("/") or "/").matches(path)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A pattern's places by what leads on from them: bit i is the place before the i-th token.

    `letters` which places a character leads on from · `segment` from which any character but a slash leads on, and
    `staying` where further ones change nothing · `anything` where whatever comes changes nothing, and the place after
    is reached by nothing at all · `end` the place after the last token.
    """

    letters: Mapping[str, int]
    segment: int
    staying: int
    anything: int
    end: int

    def matches(self, path: str) -> bool:
        """Whether the pattern covers the whole path."""
        places = self._free(1)
        for character in path:
            led = (places & self.letters.get(character, 0)) << 1 | places & self.anything
            if character != "/":
                led |= (places & self.segment) << 1 | places & self.staying
            places = self._free(led)
            if not places:
                return False
        return bool(places & self.end)

    def _free(self, places: int) -> int:
        return places | (places & self.anything) << 1


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> _Pattern:
    letters: dict[str, int] = {}
    segment = staying = anything = 0
    place = 1
    for found in _TOKENS.finditer(pattern):
        piece = found[0]
        if piece.startswith("**"):
            anything |= place
        elif piece == "*" or len(piece) > 1:
            segment |= place
            staying |= place << 1
        else:
            letters[piece] = letters.get(piece, 0) | place
        place <<= 1
    return _Pattern(letters, segment, staying, anything, place)
