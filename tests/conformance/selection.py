"""Which tests are asked for: ids read from lists, made comparable, merged; and the file of those that must pass."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

PASSING_HEADER = """\
# Ids (without their bracketed attributes) that pass. This list only grows: `run.py --update` adds to it, and
# `run.py --passing` fails when one of them no longer passes.
"""


def normalised(test_id: str) -> str:
    """The id without its bracketed attributes, which change with Tempest's configuration."""
    return test_id.split("[", 1)[0].strip()


def read_list(text: str) -> list[str]:
    """The normalised ids in a list: one a line, blank lines and `#` comments left out, each once, in their order."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return list(dict.fromkeys(identifier for line in lines if (identifier := normalised(line))))


def merged(lists: Iterable[Path]) -> list[str]:
    """The ids of all the lists, each once, sorted. Raises FileNotFoundError, naming the list that is not there."""
    return sorted({identifier for path in lists for identifier in read_list(path.read_text())})


def include_patterns(identifiers: Iterable[str]) -> str:
    """The identifiers as stestr's include list: a regular expression a line that matches just this id."""
    return "".join(f"^{re.escape(identifier)}($|\\[)\n" for identifier in identifiers)


def grown(passing: Iterable[str], passed: Iterable[str]) -> list[str]:
    """The new list of passing tests: all of the old ones, whatever happened to them now, and the new ones."""
    return sorted({*passing, *passed})


def write_passing(path: Path, identifiers: Iterable[str]) -> None:
    """Writes the list of passing tests. Raises ValueError when one that is in the file would be lost."""
    new = set(identifiers)
    lost = set(read_list(path.read_text()) if path.exists() else ()) - new
    if lost:
        raise ValueError(f"the list of passing tests only grows; it would lose {', '.join(sorted(lost))}")
    path.write_text(PASSING_HEADER + "".join(f"{identifier}\n" for identifier in sorted(new)))
