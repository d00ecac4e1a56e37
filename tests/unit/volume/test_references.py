"""References to what a back end has: an id, alone or after a word; nothing else, and no path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.core.errors import BadRequest
from stackyard.services.volume.managing import references

ID = "0f2c9c1e-8d1b-4c7e-9a55-3e7f8a1b2c3d"


@pytest.mark.parametrize("text", [ID, f"volume-{ID}", f"_snapshot-{ID}"])
def test_ids_are_found(text: str) -> None:
    assert references.read({"source-name": text}) == ID
    assert references.read(text) == ID


@pytest.mark.parametrize(
    "given", [None, 7, {}, {"source-id": ID}, {"source-name": 7}, "", "x" * 300, f"{ID}/..", f"/{ID}"]
)
def test_others_are_refused(given: Any) -> None:
    with pytest.raises(BadRequest):
        references.read(given)


@given(st.text(max_size=80))
def test_what_is_read_is_always_an_id(text: str) -> None:
    try:
        found = references.read(text)
    except BadRequest:
        return
    assert len(found) == 36
    assert "/" not in found


@pytest.mark.parametrize(("size", "gib"), [(0, 1), (1, 1), (1 << 30, 1), ((1 << 30) + 1, 2)])
def test_bytes_are_rounded_up(size: int, gib: int) -> None:
    assert references.gib(size) == gib
