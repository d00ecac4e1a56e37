"""Regular expressions of strangers: matched in time that grows with the text's length, whatever the expression.

Filters of lists take them. Python's own matching can be made to take hours by a short expression, so that one is walked
here with the set of all positions that it can have reached; what would still be slow (repeats within repeats within
repeats) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from re import _constants as kinds  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from stackyard.core.errors import BadRequest

LONGEST = 255
_DEEPEST = 2
_MOST_TIMES = 255

Step = Callable[[str, set[int]], set[int]]
"""From a text and positions in it to those that are reached from there."""


def search(field: str, expression: str) -> Callable[[str], bool]:
    """What tells whether an expression is found in a text; raises BadRequest for one that is wrong or too much."""
    try:
        return _search(expression)
    except ValueError as error:
        raise BadRequest(
            f"Invalid input for query parameters {field}. Value: {expression[:80]}. It is not a regular expression "
            f"that can be used here: {error}"
        ) from None


@lru_cache(256)
def _search(expression: str) -> Callable[[str], bool]:
    if len(expression) > LONGEST:
        raise ValueError(f"it has more than {LONGEST} characters")
    if not re.search(r"[\\^$.|?*+()\[\]{}]", expression):
        return lambda text: expression in text
    try:
        tree = parser.parse(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    walk = _sequence(tree, 0)
    return lambda text: bool(walk(text, set(range(len(text) + 1))))


def _sequence(items: Any, depth: int) -> Step:
    steps = [_step(kind, argument, depth) for kind, argument in items]

    def run(text: str, at: set[int]) -> set[int]:
        for step in steps:
            if not at:
                break
            at = step(text, at)
        return at

    return run


def _step(kind: Any, argument: Any, depth: int) -> Step:
    if kind is kinds.LITERAL:
        return _one(lambda char: ord(char) == argument)
    if kind is kinds.NOT_LITERAL:
        return _one(lambda char: ord(char) != argument)
    if kind is kinds.ANY:
        return _one(lambda char: char != "\n")
    if kind is kinds.IN:
        return _one(_class(argument))
    if kind is kinds.AT:
        return _place(argument)
    if kind is kinds.SUBPATTERN:
        return _sequence(argument[3], depth)
    if kind is kinds.BRANCH:
        ways = [_sequence(way, depth) for way in argument[1]]
        return lambda text, at: set().union(*(way(text, at) for way in ways))
    if kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT):
        least, most, items = argument
        return _repeat(least, most, items, depth)
    raise ValueError("it has something that is more than a regular expression")


def _one(accepts: Callable[[str], bool]) -> Step:
    return lambda text, at: {place + 1 for place in at if place < len(text) and accepts(text[place])}


_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    kinds.CATEGORY_DIGIT: str.isdigit,
    kinds.CATEGORY_NOT_DIGIT: lambda char: not char.isdigit(),
    kinds.CATEGORY_SPACE: str.isspace,
    kinds.CATEGORY_NOT_SPACE: lambda char: not char.isspace(),
    kinds.CATEGORY_WORD: lambda char: char.isalnum() or char == "_",
    kinds.CATEGORY_NOT_WORD: lambda char: not (char.isalnum() or char == "_"),
}


def _class(items: Any) -> Callable[[str], bool]:
    tests: list[Callable[[str], bool]] = []
    negated = False
    for kind, argument in items:
        if kind is kinds.NEGATE:
            negated = True
        elif kind is kinds.LITERAL:
            tests.append(lambda char, code=argument: ord(char) == code)  # type: ignore[misc]
        elif kind is kinds.RANGE:
            tests.append(lambda char, span=argument: span[0] <= ord(char) <= span[1])  # type: ignore[misc]
        elif kind is kinds.CATEGORY and argument in _CATEGORIES:
            tests.append(_CATEGORIES[argument])
        else:
            raise ValueError("it has a class of characters that is not known")
    return lambda char: any(test(char) for test in tests) != negated


def _place(kind: Any) -> Step:
    if kind in (kinds.AT_BEGINNING, kinds.AT_BEGINNING_STRING):
        return lambda _text, at: at & {0}
    if kind in (kinds.AT_END, kinds.AT_END_STRING):
        return lambda text, at: at & {len(text)}
    raise ValueError("it has a place that is not known")


def _repeat(least: int, most: int, items: Any, depth: int) -> Step:
    if depth == _DEEPEST:
        raise ValueError("repeats are nested too deeply")
    if least > _MOST_TIMES or (most != kinds.MAXREPEAT and most > _MOST_TIMES):
        raise ValueError(f"a repeat is of more than {_MOST_TIMES} times")
    step = _sequence(items, depth + 1)

    def run(text: str, at: set[int]) -> set[int]:
        for _ in range(least):
            after = step(text, at)
            if after == at:
                break
            at = after
        found, times = set(at), least
        while at and (most == kinds.MAXREPEAT or times < most):
            at = step(text, at) - found
            found |= at
            times += 1
        return found

    return run
