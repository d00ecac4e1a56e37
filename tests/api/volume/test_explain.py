"""What `stackyard why`, `status` and `doctor` say of volumes."""

from __future__ import annotations

from tests.api.volume.cinder import Cinder
from tests.cloud import TestCloud

from stackyard import insight
from stackyard.host.errors import SpecError


def test_told(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    fields = {"size": 1, "name": "page"}
    volume_id = demo.post("/volumes", {"volume": fields}, status=202)["volume"]["id"]
    cloud.settle()
    made = demo.post("/snapshots", {"snapshot": {"volume_id": volume_id, "name": "kept"}}, status=202, version="3.0")
    kept = made["snapshot"]["id"]
    cloud.settle()
    (found,) = cloud.database.read("test", insight.explain, volume_id)
    assert (found.kind, found.name, found.status) == ("volume", "page", "available")
    assert found.blockers == (f"snapshot {kept}",)
    assert "host testhost@file#file" in found.uses
    (found,) = cloud.database.read("test", insight.explain, kept)
    assert f"volume {volume_id}" in found.uses
    assert cloud.database.read("test", insight.find_by_name, "page") == [volume_id]
    assert cloud.database.read("test", insight.counts)["volumes available"] == 1


def test_expected_is_what_the_driver_has(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    first = demo.post("/volumes", {"volume": {"size": 1}}, status=202)["volume"]["id"]
    cloud.settle()
    cloud.volumes["file"].fail_next["create"] = SpecError("no")
    second = demo.post("/volumes", {"volume": {"size": 1}}, status=202)["volume"]["id"]
    cloud.settle()
    found = cloud.database.read("test", insight.expected)
    assert found["volume"] == {first}
    assert found["volume?"] == {second}
    (told,) = cloud.database.read("test", insight.explain, second)
    assert told.reason == "no."
