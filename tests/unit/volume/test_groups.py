"""What becomes of a group, by what becomes of its volumes."""

from __future__ import annotations

import pytest

from stackyard.services.volume.reconcile.groups import GONE, status_of


@pytest.mark.parametrize(
    ("wanted", "members", "status"),
    [
        ("creating", [], "available"),
        ("creating", ["creating", "error"], None),
        ("creating", ["available", "in-use"], "available"),
        ("creating", ["available", "error"], "error"),
        ("deleting", [], GONE),
        ("deleting", ["deleting", "error_deleting"], None),
        ("deleting", ["error_deleting"], "error"),
        ("available", ["error"], "available"),
        ("error", [], "error"),
    ],
)
def test_a_group_follows_its_volumes(wanted: str, members: list[str], status: str | None) -> None:
    assert status_of(wanted, members) == status
