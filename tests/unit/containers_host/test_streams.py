"""The streams of a Docker Engine, cut anywhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.host.containers.streams import demultiplex, json_lines

frames = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=40)), max_size=10)
cuts = st.lists(st.integers(min_value=1, max_value=7), min_size=1, max_size=5)


def framed(parts: list[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes([stream, 0, 0, 0]) + len(data).to_bytes(4) + data for stream, data in parts)


def chopped(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        chunks.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return chunks


@given(frames, cuts)
def test_frames_come_out_as_they_went_in(parts: list[tuple[int, bytes]], sizes: list[int]) -> None:
    assert list(demultiplex(chopped(framed(parts), sizes))) == parts


def test_a_cut_frame_gives_what_came() -> None:
    assert list(demultiplex([framed([(1, b"whole"), (2, b"cut off")])[:-3]])) == [(1, b"whole"), (2, b"cut ")]


@pytest.mark.parametrize("data", [b"\x07\0\0\0\0\0\0\x01x", b"plain text output\n"])
def test_what_is_not_framed_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="multiplexed"):
        list(demultiplex([data]))


@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers(), max_size=3), max_size=6), cuts)
def test_lines_of_json_come_out_as_they_went_in(objects: list[dict[str, int]], sizes: list[int]) -> None:
    data = "".join(f"{json.dumps(one)}\r\n" for one in objects).encode()
    assert list(json_lines(chopped(data, sizes))) == objects


def test_a_last_line_needs_no_end_and_text_is_kept() -> None:
    assert list(json_lines([b'oops\n{"a": 1}'])) == [{"stream": "oops"}, {"a": 1}]
