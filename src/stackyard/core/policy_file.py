"""An operator's policy.yaml: read at the start, and again when it has changed.

What is wrong with it is told with file and line. A cloud does not start with a file that it cannot use; one that runs
keeps the rules it has, and says so in its log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stackyard.core.policy import PolicyError, PolicySet, Rule
from stackyard.core.policy_language import CheckSource

log = logging.getLogger("stackyard.policy")

Stamp = tuple[int, int, int] | None
"""What changes when a file does: inode, size, time of the last change; None while there is none."""


class PolicyFile:
    """The file at `path`, which need not exist, on top of the services' own rules."""

    def __init__(self, path: Path, rules: Iterable[Rule], *, enforce_scope: bool = True) -> None:
        self._path = path
        self._rules = tuple(rules)
        self._enforce_scope = enforce_scope
        self._seen: Stamp = None

    def read(self) -> PolicySet:
        """The rules in force by what the file says now. Raises PolicyError with file and line."""
        self._seen = _stamp(self._path)
        checks, lines = parse(self._path) if self._seen else ({}, {})
        try:
            return PolicySet(self._rules, checks, enforce_scope=self._enforce_scope)
        except PolicyError as error:
            line = lines.get(error.rule or "")
            place = self._path if line is None else f"{self._path}:{line}"
            raise PolicyError(f"{place}: {error}", error.rule) from None

    def changes(self) -> PolicySet | None:
        """The rules anew when the file has changed since it was last read; None when not, or when it is no good."""
        if _stamp(self._path) == self._seen:
            return None
        try:
            found = self.read()
        except PolicyError as error:
            log.error("the policy file cannot be used; the rules stay as they were", extra={"reason": str(error)})
            return None
        log.info("the policy file was read again", extra={"path": str(self._path)})
        return found


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def parse(path: Path) -> tuple[dict[str, CheckSource], dict[str, int]]:
    """Rule name -> check, and rule name -> line. Raises PolicyError with file, line and rule.

    Whether the names are rules of this cloud is for PolicySet to say, which knows them.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: is not YAML: {error}") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        tree, content = yaml.compose(text, Loader=loader), yaml.load(text, Loader=loader)  # noqa: S506 (both are safe)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = path if mark is None else f"{path}:{mark.line + 1}"
        raise PolicyError(f"{place}: is not YAML: {' '.join(str(error).split())}") from error
    if content is None:
        return {}, {}
    if not isinstance(content, dict):
        raise PolicyError(f"{path}: must be a mapping of rule names to checks, not a {type(content).__name__}")
    lines = _lines(path, tree)
    for name, check in content.items():
        place = f"{path}:{lines.get(str(name), 1)}"
        if not isinstance(name, str):
            raise PolicyError(f"{place}: the rule name {name!r} must be a text, not a {type(name).__name__}")
        if not _is_check_source(check):
            raise PolicyError(f"{place}: rule {name!r}: the check must be a text (quote it), not {check!r}", name)
    return content, lines


def _lines(path: Path, tree: Any) -> dict[str, int]:
    """Rule name -> the line where it stands; a name that stands twice is an error, for only one of them would count."""
    found: dict[str, int] = {}
    for key, _ in tree.value:
        line = key.start_mark.line + 1
        if key.value in found:
            raise PolicyError(f"{path}:{line}: rule {key.value!r} stands in line {found[key.value]} already", key.value)
        found[key.value] = line
    return found


def _is_check_source(check: object) -> bool:
    if isinstance(check, str):
        return True
    return isinstance(check, list) and all(
        isinstance(inner, str) or (isinstance(inner, list) and all(isinstance(text, str) for text in inner))
        for inner in check
    )
