"""Runs openstack commands and remembers which of the client's own list have been tried, so that none is forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from tests.functional.real_cloud import Done, RealCloud

ADMIN = "stackyard-admin"


class EveryCommand:
    """The commands of some of the client's groups (its entry points), by default as the administrator.

    Of a group that several files of tests share, each names those that it answers for (`mine`).
    """

    def __init__(self, cloud: RealCloud, *groups: str, mine: Callable[[str], bool] = lambda name: True) -> None:
        self.cloud = cloud
        listed = json.loads(cloud.openstack("command", "list", "-f", "json"))
        self._known = {name for entry in listed if entry["Command Group"] in groups for name in _names(entry)}
        self.listed = {name for name in self._known if mine(name)}
        self.tried: set[str] = set()

    def __call__(self, *words: str, cloud: str = ADMIN) -> str:
        """What a command prints, which must succeed."""
        self._note(words)
        return self.cloud.openstack(*words, cloud=cloud)

    def ends(self, *words: str, cloud: str = ADMIN) -> Done:
        """However it ends."""
        self._note(words)
        return self.cloud.client(*words, cloud=cloud)

    def look(self, *words: str, cloud: str = ADMIN) -> Any:
        """Its answer as data."""
        self._note(words)
        return self.cloud.look(*words, cloud=cloud)

    def column(self, *words: str, name: str = "Name", cloud: str = ADMIN) -> set[Any]:
        """One column of a list."""
        return {row[name] for row in self.look(*words, cloud=cloud)}

    def _note(self, words: Iterable[str]) -> None:
        """The longest of the listed names that the words begin with, options before them left out."""
        text = " ".join(words) + " "
        named = [name for name in self._known if text.startswith(f"{name} ") or f" {name} " in text]
        assert named, f"the client has no such command: {text}"
        self.tried.add(max(named, key=len))


def _names(entry: dict[str, Any]) -> list[str]:
    commands = entry["Commands"]
    return commands if isinstance(commands, list) else str(commands).splitlines()
