"""What is done about an image follows from its row and whether its upload is at work; ranges are read right."""

from __future__ import annotations

import pytest

from stackyard.services.image.download import byte_range
from stackyard.services.image.faults import RangeNotSatisfiable
from stackyard.services.image.reconcile import Plan, plan


@pytest.mark.parametrize(
    ("status", "upload", "alive", "expected"),
    [
        (None, None, False, Plan(remove_data=True, remove_staged=True)),
        ("saving", "t", True, Plan(wait=True)),
        ("uploading", "t", True, Plan(wait=True)),
        ("saving", "t", False, Plan(requeue=True, remove_data=True, remove_staged=True)),
        ("uploading", "t", False, Plan(requeue=True, remove_data=True, remove_staged=True)),
        ("uploading", None, False, Plan(remove_data=True)),
        ("importing", None, False, Plan(do_import=True)),
        ("queued", None, False, Plan(remove_data=True, remove_staged=True)),
        ("active", None, False, Plan(remove_staged=True)),
        ("deactivated", None, False, Plan(remove_staged=True)),
    ],
)
def test_plan(status: str | None, upload: str | None, alive: bool, expected: Plan) -> None:
    assert plan(status, upload, alive) == expected


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
