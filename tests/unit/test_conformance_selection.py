"""The conformance run's choice of tests: comparable ids, merged lists, and a list of passing tests that only grows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conformance import selection

IDENTIFIERS = st.lists(st.from_regex(r"[a-z_]{1,5}(\.[a-zA-Z_]{1,5}){1,3}", fullmatch=True), max_size=12)


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        ("a.B.test_c[id-1,smoke]", "a.B.test_c"),
        ("a.B.test_c", "a.B.test_c"),
        ("  a.B.test_c[id-1]\n", "a.B.test_c"),
        ("a.B.test_c_1_x[y[z]]", "a.B.test_c_1_x"),
    ],
)
def test_normalised_drops_the_attributes(given_id: str, expected: str) -> None:
    assert selection.normalised(given_id) == expected


def test_read_list_leaves_out_comments_blanks_and_repeats() -> None:
    text = "# a comment\n\nb.test[id-2]\na.test\n  # another\nb.test[id-3,slow]\n"
    assert selection.read_list(text) == ["b.test", "a.test"]


def test_merged_takes_each_id_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("b.test[id-1]\na.test\n")
    (tmp_path / "two").write_text("c.test\nb.test[id-1,smoke]\n")
    assert selection.merged([tmp_path / "one", tmp_path / "two"]) == ["a.test", "b.test", "c.test"]


def test_merged_names_the_missing_list(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        selection.merged([tmp_path / "absent.txt"])


def test_include_patterns_match_that_id_alone() -> None:
    patterns = selection.include_patterns(["a.B.test_c"]).splitlines()
    assert len(patterns) == 1
    matches = ["a.B.test_c", "a.B.test_c[id-1,smoke]"]
    others = ["a.B.test_cd", "xa.B.test_c", "aXB.test_c", "a.B.test_c_1[id-1]"]
    assert [text for text in matches + others if re.search(patterns[0], text)] == matches


@given(IDENTIFIERS, IDENTIFIERS)
def test_the_passing_list_never_shrinks(passing: list[str], passed: list[str]) -> None:
    grown = selection.grown(passing, passed)
    assert set(grown) == set(passing) | set(passed)
    assert grown == sorted(grown)


def test_write_passing_round_trips(tmp_path: Path) -> None:
    path = tmp_path / "passing.txt"
    selection.write_passing(path, ["b.test", "a.test"])
    selection.write_passing(path, ["c.test", "b.test", "a.test"])
    assert selection.read_list(path.read_text()) == ["a.test", "b.test", "c.test"]


def test_write_passing_refuses_to_lose_a_test(tmp_path: Path) -> None:
    path = tmp_path / "passing.txt"
    selection.write_passing(path, ["a.test", "b.test"])
    with pytest.raises(ValueError, match=r"would lose b\.test"):
        selection.write_passing(path, ["a.test", "c.test"])
    assert selection.read_list(path.read_text()) == ["a.test", "b.test"]
