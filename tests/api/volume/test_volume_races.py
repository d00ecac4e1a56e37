"""Callers who ask for what only one of them can have."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.api.volume import volumes
from tests.api.volume.cinder import Cinder
from tests.cloud import TestCloud

HEADERS = {"OpenStack-API-Version": "volume 3.71"}


def at_once(*asks: Callable[[], Any]) -> list[int]:
    """The status of each, all asked at the same time."""
    with ThreadPoolExecutor(len(asks)) as threads:
        return [answer.result().status_code for answer in [threads.submit(ask) for ask in asks]]


def test_one_volume_is_reserved_once(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = volumes.make(demo)
    body = {"attachment": {"volume_uuid": own["id"]}}

    def ask() -> Any:
        return cloud.client("demo").post("/volume/v3/attachments", json=body, headers=HEADERS)

    assert sorted(at_once(*[ask] * 4)) == [200, 400, 400, 400]
    assert len(demo.get("/attachments")["attachments"]) == 1


def test_no_quota_is_passed(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    project = volumes.make(demo)["os-vol-tenant-attr:tenant_id"]
    admin.put(f"/os-quota-sets/{project}", {"quota_set": {"volumes": 3}})

    def ask() -> Any:
        return cloud.client("demo").post("/volume/v3/volumes", json={"volume": {"size": 1}}, headers=HEADERS)

    assert sorted(at_once(*[ask] * 4)) == [202, 202, 413, 413]
    cloud.settle()
    assert volumes.used(demo)["Volumes"] == 3


def test_a_snapshot_and_its_volumes_end(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    for _ in range(3):
        own = volumes.make(demo)
        body = {"snapshot": {"volume_id": own["id"]}}
        took, ended = at_once(
            lambda: cloud.client("demo").post("/volume/v3/snapshots", json=body, headers=HEADERS),  # noqa: B023
            lambda: cloud.client("demo").delete(f"/volume/v3/volumes/{own['id']}", headers=HEADERS),  # noqa: B023
        )
        assert (took, ended) in ((202, 400), (400, 202), (404, 202))
        cloud.settle()
        demo.get(f"/volumes/{own['id']}", status=404 if ended == 202 else 200)
        assert all(one["status"] == "available" for one in demo.get("/snapshots")["snapshots"])
