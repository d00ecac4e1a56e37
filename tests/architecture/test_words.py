"""What no file of ours may say: unfinished work, registries' hosts, paths of one machine."""

from __future__ import annotations

import re

from tests.architecture.sources import at, texts

# Each word is broken by an empty group, so that this file does not find itself.
FORBIDDEN = {
    "unfinished work": re.compile(r"\b(?:TO()DO|FIX()ME|X()XX|HA()CK)\b|\bNotImplemented()Error\b"),
    "a registry's host": re.compile(
        r"\b(?:qu()ay\.io|gh()cr\.io|g()cr\.io|registry\.k8s()\.io|registry-1\.|index\.dock()er\.io|hub\.dock()er\.com"
        r"|mcr\.micro()soft\.com|public\.ecr\.a()ws|py()pi\.org|registry\.npm()js\.org|proxy\.go()lang\.org)"
    ),
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|ho()me/\w+|ro()ot)/"),
}


OF_GUESTS = "src/stackyard/bake/guest/files/"
"""Files that are put into a guest: the paths in them are the guest's."""


def forbidden(text: str) -> list[tuple[int, str]]:
    """Line numbers and what is wrong there."""
    return [
        (number, f"{what}: {line.strip()[:80]}")
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]


def test_no_file_says_what_none_may() -> None:
    found = [
        f"{at(path)}:{number}: {what}"
        for path, text in texts()
        for number, what in forbidden(text)
        if not (str(at(path)).startswith(OF_GUESTS) and what.startswith("a path"))
    ]
    assert not found, "\n".join(found)


def test_the_rule_finds_what_it_should() -> None:
    bad = [
        "# TO" + "DO: later",
        "raise NotImplemented" + "Error",
        "image: qu" + "ay.io/x",
        "/wo" + "rk/main",
        "/ro" + "ot/x",
    ]
    assert [number for number, _ in forbidden("\n".join(bad))] == [1, 2, 3, 4, 5]
    good = "a todo list\nNotImplementedHere\ndocker.io (a package)\n./network/v2.0\nsrc/homework/x\nhttp://x/root/\n"
    assert forbidden(good) == []
