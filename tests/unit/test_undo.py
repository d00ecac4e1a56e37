"""Undo unmakes what was made, in reverse, unless everything was made."""

from __future__ import annotations

import logging

import pytest

from stackyard.core.undo import Undo


def _fail(reason: str) -> None:
    raise OSError(reason)


def _make_two_of_three(undone: list[str], error: BaseException) -> None:
    with Undo("test") as undo:
        undo.add(undone.append, "first")
        undo.add(undone.append, "second")
        raise error


@pytest.mark.parametrize("error", [ValueError("third step"), KeyboardInterrupt()])
def test_steps_run_in_reverse_when_the_block_fails(error: BaseException) -> None:
    undone: list[str] = []
    with pytest.raises(type(error)) as caught:
        _make_two_of_three(undone, error)
    assert caught.value is error
    assert undone == ["second", "first"]


def test_nothing_is_undone_after_commit() -> None:
    undone: list[str] = []
    with Undo("test") as undo:
        undo.add(undone.append, "first")
        undo.commit()
    assert undone == []


def test_what_is_made_after_a_commit_is_undone() -> None:
    undone: list[str] = []
    with Undo("test") as undo:
        undo.add(undone.append, "kept")
        undo.commit()
        undo.add(undone.append, "late")
    assert undone == ["late"]


def test_leaving_early_without_commit_undoes() -> None:
    undone: list[str] = []
    with Undo("test") as undo:
        undo.add(undone.append, "first")
    assert undone == ["first"]


def _make_with_a_step_that_fails(undone: list[str]) -> None:
    with Undo("wire port") as undo:
        undo.add(undone.append, "first")
        undo.add(_fail, reason="device is busy")
        undo.add(undone.append, "third")
        raise ValueError("the reason")


def test_a_failing_step_is_logged_and_the_others_run(caplog: pytest.LogCaptureFixture) -> None:
    undone: list[str] = []
    with pytest.raises(ValueError, match="the reason"), caplog.at_level(logging.ERROR):
        _make_with_a_step_that_fails(undone)
    assert undone == ["third", "first"]
    (record,) = caplog.records
    assert record.what == "wire port"  # type: ignore[attr-defined]
    assert record.step == "_fail"  # type: ignore[attr-defined]
    assert record.exc_info
    assert str(record.exc_info[1]) == "device is busy"
