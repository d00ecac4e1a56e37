"""The clock goes on while the system's is set back a little."""

from __future__ import annotations

import pytest

from stackyard.core.clock import Clock


def readings(monkeypatch: pytest.MonkeyPatch, *system: float) -> list[float]:
    """What the clock says while the system's says these, one after another."""
    said = iter(system)
    monkeypatch.setattr("time.time", lambda: next(said))
    clock = Clock()
    return [clock.time() for _ in system]


def test_it_never_stands_still_nor_goes_back_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    found = readings(monkeypatch, 1000.0, 1000.0, 999.5, 940.5, 1000.25, 1001.0)
    assert found == sorted(set(found))
    assert found[0] == 1000.0
    assert found[3] < 1000.001
    assert found[4:] == [1000.25, 1001.0]


def test_a_clock_that_was_far_ahead_is_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert readings(monkeypatch, 5000.0, 1000.0, 1001.0) == [5000.0, 1000.0, 1001.0]
