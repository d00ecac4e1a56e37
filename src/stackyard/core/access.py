"""Access rules of application credentials: which paths a rule's pattern covers (Identity API v3, "Access Rules")."""

from __future__ import annotations

import re
from functools import lru_cache

from stackyard.core.caller import AccessRule


def rule_matches(rule: AccessRule, service_type: str, method: str, path: str) -> bool:
    """Whether `rule` allows `method` on `path` of a service: `*` and `{name}` stand for one segment, `**` for any."""
    return rule.service == service_type and rule.method == method and _pattern(rule.path).fullmatch(path) is not None


@lru_cache(maxsize=4096)
def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\{[^/}]*\})", path)
    return re.compile("".join(_piece(part) for part in parts))


def _piece(part: str) -> str:
    if part == "**":
        return ".*"
    if part == "*" or (part.startswith("{") and part.endswith("}")):
        return "[^/]+"
    return re.escape(part)
