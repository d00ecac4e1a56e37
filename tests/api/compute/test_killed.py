"""Each step of each task may be the last one that is seen: what was done and not written down is done again."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

from stackyard.host.errors import HostError

SNAPSHOT = {"name": "shot"}
BACKUP = {"name": "shot", "backup_type": "daily", "rotation": 1}
CASES: list[tuple[str, Any, str, list[str]]] = [
    ("createImage", SNAPSHOT, "active", ["snapshot"]),
    ("createBackup", BACKUP, "active", ["snapshot"]),
    ("rebuild", {}, "active", ["stop", "remove_root", "define", "start"]),
    ("resize", {"flavorRef": "2"}, "resized", ["stop", "define", "start"]),
    ("revertResize", None, "active", ["stop", "define", "start"]),
    ("rescue", None, "rescued", ["stop", "define", "start"]),
    ("unrescue", None, "active", ["stop", "define", "start"]),
    ("shelve", None, "shelved_offloaded", ["stop", "snapshot", "remove"]),
    ("unshelve", None, "active", ["load_image", "define", "start"]),
]
BEFORE = {"revertResize": ("resize", {"flavorRef": "2"}), "unrescue": ("rescue", None), "unshelve": ("shelve", None)}


def _die_after(cloud: TestCloud, monkeypatch: pytest.MonkeyPatch, step: str) -> list[str]:
    """The next call of a method does what it does, and then nothing more is heard of it."""
    driver = cloud.machines["machine"]
    whole, died = getattr(driver, step), []

    def act(*given: Any) -> Any:
        found = whole(*given)
        if not died:
            died.append(step)
            raise HostError("killed")
        return found

    monkeypatch.setattr(driver, step, act)
    return died


@pytest.mark.parametrize(
    ("action", "body", "state", "step"),
    [(action, body, state, step) for action, body, state, steps in CASES for step in steps],
)
def test_done_again(
    cloud: TestCloud, monkeypatch: pytest.MonkeyPatch, action: str, body: Any, state: str, step: str
) -> None:
    """The task ends as it would have; one image, one port and the flavor's share of the host are held, nothing else."""
    demo, image = Nova(cloud, "demo"), rows.image(cloud)
    server = booted.server(cloud, demo, image=image)
    if action in BEFORE:
        first, given = BEFORE[action]
        booted.act(demo, server, first, given, status=200 if first == "rescue" else 202)
        cloud.settle()
    died = _die_after(cloud, monkeypatch, step)
    given = {"imageRef": image} if action == "rebuild" else body
    booted.act(demo, server, action, given, status=200 if action == "rescue" else 202)
    cloud.settle()
    assert died == [step]
    assert booted.states(cloud, server)[:2] == (state, None)
    seen = cloud.machines["machine"].inspect(server)
    assert (None if seen is None else seen.state) == (None if state == "shelved_offloaded" else "running")
    shots = [one for one in cloud.client("demo").get("/image/v2/images").json()["images"] if one["id"] != image]
    own = [one for one in shots if one.get("instance_uuid") == server]
    assert len(own) == (1 if action in ("createImage", "createBackup", "shelve") else 0)
    assert all(one["status"] == "active" for one in own)
    ports = cloud.client("demo").get(f"/network/v2.0/ports?device_id={server}").json()["ports"]
    assert len(ports) == 1
    demo.delete(f"/servers/{server}", status=204)
    cloud.settle()
    assert (booted.held(cloud, server), booted.used(cloud, rows.row(cloud, server).project_id)) == ({}, (0, 0, 0))
    assert list(cloud.machines["machine"].list()) == []
