"""What is done about an image follows from its row and whether its upload is at work; ranges are read right."""

from __future__ import annotations

import pytest

from stackyard.services.image.download import byte_range
from stackyard.services.image.faults import RangeNotSatisfiable
from stackyard.services.image.reconcile import Plan, plan


@pytest.mark.parametrize(
    ("status", "upload", "alive", "task", "expected"),
    [
        (None, None, False, False, Plan()),
        (None, None, False, True, Plan()),
        ("saving", "t", True, False, Plan(wait=True)),
        ("uploading", "t", True, False, Plan(wait=True)),
        ("saving", "t", False, False, Plan(requeue=True)),
        ("uploading", "t", False, False, Plan(requeue=True)),
        ("uploading", None, False, False, Plan(keep_staged=True)),
        ("importing", None, False, True, Plan(work=True, keep_data=True, keep_staged=True)),
        ("importing", None, False, False, Plan(requeue=True)),
        ("queued", None, False, False, Plan()),
        ("active", None, False, True, Plan(work=True, keep_data=True, keep_staged=True)),
        ("active", None, False, False, Plan(keep_data=True)),
        ("deactivated", None, False, False, Plan(keep_data=True)),
    ],
)
def test_plan(status: str | None, upload: str | None, alive: bool, task: bool, expected: Plan) -> None:
    assert plan(status, upload, alive=alive, task=task) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-3", (0, 4)),
        ("bytes=2-", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=5-500", (5, 10)),
    ],
)
def test_byte_range(header: str | None, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 10) == expected


@pytest.mark.parametrize(
    "header",
    ["bytes=10-", "bytes=4-3", "bytes=-", "bytes=-0", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "", "bytes=²-"],
)
def test_ranges_that_are_not_there(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        byte_range(header, 10)
