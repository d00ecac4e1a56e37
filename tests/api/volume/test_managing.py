"""Letting go of volumes and snapshots, and taking over what a back end has."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.volume.cinder import Cinder
from tests.cloud import TestCloud

HOST = "testhost@file#file"
QUOTED = HOST.replace("#", "%23")
UNKNOWN = "00000000-0000-0000-0000-00000000000a"


def volume(cinder: Cinder) -> str:
    made = cinder.post("/volumes", {"volume": {"size": 2}}, status=202)["volume"]["id"]
    cinder.cloud.settle()
    return str(made)


def test_a_volume_is_let_go_and_taken_over(cloud: TestCloud) -> None:
    admin, demo = Cinder(cloud, "admin"), Cinder(cloud, "demo")
    old = volume(admin)
    cloud.volumes["file"].volumes[old].content = b"kept"
    demo.get(f"/os-volume-manage?host={QUOTED}", status=403)
    (known,) = admin.get(f"/manageable_volumes/detail?host={QUOTED}")["manageable-volumes"]
    assert (known["safe_to_manage"], known["reason_not_safe"], known["cinder_id"]) == (False, "already managed", old)
    admin.post(f"/volumes/{old}/action", {"os-unmanage": {}}, status=202)
    admin.get(f"/volumes/{old}", status=404)
    assert admin.get("/limits")["limits"]["absolute"]["totalGigabytesUsed"] == 0
    (free,) = admin.get(f"/os-volume-manage?host={QUOTED}")["manageable-volumes"]
    assert free == {"reference": {"source-name": old}, "size": 2, "safe_to_manage": True}
    body = {"host": HOST, "ref": {"source-name": f"volume-{old}"}, "name": "again", "bootable": True}
    made = admin.post("/os-volume-manage", {"volume": body}, status=202)["volume"]["id"]
    cloud.settle()
    found = admin.get(f"/volumes/{made}")["volume"]
    assert (found["status"], found["size"], found["name"], found["bootable"]) == ("available", 2, "again", "true")
    assert cloud.volumes["file"].volumes[made].content == b"kept"
    assert old not in cloud.volumes["file"].volumes
    assert admin.get("/limits")["limits"]["absolute"]["totalGigabytesUsed"] == 2
    admin.post("/os-volume-manage", {"volume": body | {"ref": {"source-name": made}}}, status=400)


def test_a_snapshot_is_let_go_and_taken_over(cloud: TestCloud) -> None:
    admin = Cinder(cloud, "admin")
    of = volume(admin)
    old = admin.post("/snapshots", {"snapshot": {"volume_id": of}}, status=202)["snapshot"]["id"]
    cloud.settle()
    admin.post(f"/volumes/{of}/action", {"os-unmanage": {}}, status=400)
    admin.post(f"/snapshots/{old}/action", {"os-unmanage": {}}, status=202)
    admin.get(f"/snapshots/{old}", status=404)
    (free,) = admin.get(f"/os-snapshot-manage/detail?host={QUOTED}")["manageable-snapshots"]
    assert free["safe_to_manage"] is True
    body = {"volume_id": of, "ref": {"source-name": f"_snapshot-{old}"}, "name": "again"}
    made = admin.post("/os-snapshot-manage", {"snapshot": body}, status=202)["snapshot"]["id"]
    cloud.settle()
    assert admin.get(f"/snapshots/{made}")["snapshot"]["status"] == "available"


def test_what_is_not_there_is_not_taken_over(cloud: TestCloud) -> None:
    admin = Cinder(cloud, "admin")
    body = {"host": HOST, "ref": {"source-name": UNKNOWN}}
    made = admin.post("/os-volume-manage", {"volume": body}, status=202)["volume"]["id"]
    cloud.settle()
    assert admin.get(f"/volumes/{made}")["volume"]["status"] == "error"  # so Cinder shows error_managing
    admin.delete(f"/volumes/{made}", status=202)
    cloud.settle()
    admin.get(f"/volumes/{made}", status=404)
    assert admin.get("/limits")["limits"]["absolute"]["totalVolumesUsed"] == 0


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"host": HOST},
        {"host": HOST, "ref": {}},
        {"host": HOST, "ref": {"source-name": "/etc/passwd"}},
        {"host": HOST, "ref": {"source-name": 7}},
        {"host": "nowhere@file", "ref": {"source-name": UNKNOWN}},
        {"ref": {"source-name": UNKNOWN}},
        {"host": HOST, "cluster": "c", "ref": {"source-name": UNKNOWN}},
        {"host": HOST, "ref": {"source-name": UNKNOWN}, "surprise": 1},
        {"host": HOST, "ref": {"source-name": UNKNOWN}, "bootable": "perhaps"},
    ],
)
def test_bad_asks_are_refused(cloud: TestCloud, fields: Any) -> None:
    Cinder(cloud, "admin").post("/os-volume-manage", {"volume": fields}, status=400)


def test_lists_of_what_can_be_taken_over_are_cut_and_sorted(cloud: TestCloud) -> None:
    admin, demo = Cinder(cloud, "admin"), Cinder(cloud, "demo")
    ids = sorted((volume(admin), volume(admin)))
    found = admin.get(f"/os-volume-manage?host={QUOTED}&sort=reference:asc&limit=1&offset=1")["manageable-volumes"]
    assert [one["reference"]["source-name"] for one in found] == ids[1:]
    for bad in (
        "",
        "host=nowhere@file",
        f"host={QUOTED}&sort=colour",
        f"host={QUOTED}&sort=size:up",
        f"host={QUOTED}&limit=x",
    ):
        admin.get(f"/os-volume-manage?{bad}", status=400)
    admin.get(f"/manageable_volumes?host={QUOTED}", version="3.7", status=404)
    demo.post("/os-volume-manage", {"volume": {"host": HOST, "ref": {"source-name": UNKNOWN}}}, status=403)
    demo.post(f"/volumes/{ids[0]}/action", {"os-unmanage": {}}, status=404)
