"""Regular expressions of strangers: they find what Python's own do, in a time that nobody can stretch."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.core.errors import BadRequest
from stackyard.services.compute.servers import patterns

_ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "\\w", "\\d", "(a|b)", "(ab)", "^", "$", "-", "\\."])
_REPEATS = st.sampled_from(["", "", "*", "+", "?", "{1,2}", "*?"])
_EXPRESSIONS = st.lists(st.tuples(_ATOMS, _REPEATS), max_size=5).map(
    lambda parts: "".join(atom + ("" if atom in "^$" else repeat) for atom, repeat in parts)
)


@given(_EXPRESSIONS, st.text("ab-.1", max_size=12))
def test_it_finds_what_python_finds(expression: str, text: str) -> None:
    assert patterns.search("name", expression)(text) == (re.search(expression, text) is not None)


@pytest.mark.parametrize("expression", ["(a*)*b", "(a|a)*b", "a*a*a*a*a*a*b", "(a?){50}b", "(.*a){20}"])
def test_none_takes_long(expression: str) -> None:
    test = patterns.search("name", expression)
    began = time.perf_counter()
    assert not test("a" * 19 if expression.startswith("(.*") else "a" * 255)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    "expression", ["[", "(", "*", "a{256}", "(a)\\1", "(?=a)", "((a*)*)*", "a" * 256, "\\b", "(?P<x>a)(?P=x)"]
)
def test_what_is_wrong_or_too_much_is_refused(expression: str) -> None:
    with pytest.raises(BadRequest):
        patterns.search("name", expression)
