"""Volumes of containers: those that are there and those made for them, mounted before they start, given back after."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import disks
from tests.api.containers.zun import PATH, Zun
from tests.cloud import TestCloud

from stackyard.core.ids import new_uuid
from stackyard.host.errors import SpecError


def mounted(cloud: TestCloud, uuid: str) -> list[tuple[str, str, bool]]:
    """What the engine was told to bind."""
    return [(one.source, one.target, one.read_only) for one in cloud.engine._containers[uuid].spec.mounts]


def refused(zun: Zun, status: int, *mounts: dict[str, Any]) -> str:
    found = zun.refused("POST", PATH, status, json={"image": "nginx", "mounts": list(mounts)})
    return str(found["detail"])


def test_a_container_with_a_volume_that_is_there(cloud: TestCloud) -> None:
    zun, volume = Zun(cloud), disks.volume(cloud)
    uuid = zun.create(mounts=[{"source": volume, "destination": "/data"}])["uuid"]
    assert mounted(cloud, uuid) == [(f"/nonexistent/mounts/{volume}", "/data", False)]
    assert disks.attachments(cloud, volume) == [(uuid, "/data", "attached")]
    assert (disks.status(cloud, volume), bool(cloud.volumes["file"].volumes[volume].mounted)) == ("in-use", True)
    assert volume in refused(zun, 409, {"source": volume, "destination": "/data"})
    zun.act(uuid, "rebuild")
    assert disks.attachments(cloud, volume) == [(uuid, "/data", "attached")]
    zun.delete(uuid, stop="true")
    assert (disks.status(cloud, volume), cloud.volumes["file"].volumes[volume].mounted) == ("available", "")


def test_a_volume_is_made_for_a_container_and_goes_with_it(cloud: TestCloud) -> None:
    zun, files = Zun(cloud), {"type": "bind", "source": "aGk=", "destination": "/etc/greeting"}
    uuid = zun.create(mounts=[{"size": "1", "destination": "/data"}, files])["uuid"]
    ((source, target, _), (_, other, _)) = mounted(cloud, uuid)
    volume = source.rpartition("/")[2]
    assert (target, other, disks.attachments(cloud, volume)) == (
        "/data", "/etc/greeting", [(uuid, "/data", "attached")],
    )  # fmt: skip
    zun.delete(uuid, stop="true")
    assert disks.status(cloud, volume) is None


def test_a_volume_is_found_by_its_name(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    volume = disks.volume(cloud, name="data")
    assert "no-such" in refused(zun, 404, {"source": "no-such", "destination": "/data"})
    uuid = zun.create(mounts=[{"source": "data", "destination": "/data", "type": "volume"}])["uuid"]
    assert disks.attachments(cloud, volume) == [(uuid, "/data", "attached")]
    disks.volume(cloud, name="data")
    assert "uuid" in refused(zun, 409, {"source": "data", "destination": "/data"})


def test_a_read_only_volume_is_mounted_so(cloud: TestCloud) -> None:
    zun, volume = Zun(cloud), disks.volume(cloud)
    disks.change(cloud, volume, admin_metadata={"readonly": "True"})
    uuid = zun.create(mounts=[{"source": volume, "destination": "/data"}])["uuid"]
    assert mounted(cloud, uuid)[0][1] == "/data"
    assert cloud.database.read("modes", _modes, volume) == ["ro"]


def _modes(tx: Any, volume: str) -> list[str]:
    from stackyard.services.volume import api as volume_api

    return [one.attach_mode for one in volume_api.attachments_of(tx, volume)]


@pytest.mark.parametrize(
    "mount",
    [
        {"destination": "/data"}, {"size": 0, "destination": "/data"}, {"size": "many", "destination": "/data"},
        {"size": -1, "destination": "/data"}, {"size": 1, "destination": "data"}, {"size": 1, "destination": "/"},
        {"size": 1, "destination": "/a/../b"}, {"size": 1}, {"source": 3, "destination": "/data"},
        {"size": 10**30, "destination": "/data"},
    ],
)  # fmt: skip
def test_what_is_no_volume_is_refused(cloud: TestCloud, mount: dict[str, Any]) -> None:
    refused(Zun(cloud), 400, mount)


def test_volumes_of_others_and_too_many_are_refused(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    refused(zun, 404, {"source": disks.volume(cloud, "admin"), "destination": "/data"})
    refused(zun, 404, {"source": new_uuid(), "destination": "/data"})
    refused(zun, 413, *[{"size": 900, "destination": f"/data{number}"} for number in range(2)])
    assert zun.list() == []


def test_a_volume_that_cannot_be_made_fails_the_container(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    cloud.volumes["file"].fail_next["create"] = SpecError("there is no room")
    answer = zun.http.post(
        PATH, params={"run": "true"}, json={"image": "nginx", "mounts": [{"size": 1, "destination": "/d"}]}
    )
    uuid = answer.json()["uuid"]
    found = zun.until(uuid, "Error")
    assert "no room" in found["status_reason"]
    zun.delete(uuid)
