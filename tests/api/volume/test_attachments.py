"""Attaching and detaching: by actions, and by the attachments API."""

from __future__ import annotations

from typing import Any

from tests.api.volume import volumes
from tests.api.volume.cinder import Cinder
from tests.api.volume.volumes import SERVER, act, make, show
from tests.cloud import TestCloud

from stackyard.services.volume import hosts

OTHER = "99999999-2222-4333-8444-555555555555"
CONNECTOR = {"host": "elsewhere", "initiator": "iqn.x", "mountpoint": "/dev/vdb", "mode": "rw"}


def reserve(cinder: Cinder, volume_id: str, server: str = SERVER, status: int = 200, **fields: Any) -> Any:
    body = {"attachment": {"volume_uuid": volume_id, "instance_uuid": server} | fields}
    answer = cinder.post("/attachments", body, status=status)
    return answer if status >= 400 else answer["attachment"]


def test_by_actions(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    own = make(demo)
    act(demo, own["id"], "os-reserve", {})
    assert show(demo, own["id"])["status"] == "attaching"
    act(demo, own["id"], "os-reserve", {}, status=400)
    told = act(demo, own["id"], "os-initialize_connection", {"connector": {"host": "x"}}, status=200)
    assert told["connection_info"]["driver_volume_type"] == "local"
    assert told["connection_info"]["data"]["device_path"].endswith(own["id"])
    act(demo, own["id"], "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdc", "host_name": "elsewhere"})
    found = show(demo, own["id"])
    (one,) = found["attachments"]
    assert (found["status"], one["server_id"], one["device"], one["host_name"]) == ("in-use", SERVER, "/dev/vdc", None)
    assert show(admin, own["id"])["attachments"][0]["host_name"] == "elsewhere"
    act(demo, own["id"], "os-begin_detaching", {})
    assert show(demo, own["id"])["status"] == "detaching"
    act(demo, own["id"], "os-begin_detaching", {}, status=400)
    act(demo, own["id"], "os-roll_detaching", {})
    assert show(demo, own["id"])["status"] == "in-use"
    act(demo, own["id"], "os-terminate_connection", {"connector": None})
    act(demo, own["id"], "os-detach", {"attachment_id": one["attachment_id"]})
    found = show(demo, own["id"])
    assert (found["status"], found["attachments"], found["metadata"]) == ("available", [], {"readonly": "False"})


def test_actions_that_are_wrong(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo)
    for name, body in (
        ("os-attach", {"mountpoint": "/dev/vdb"}),
        ("os-attach", {"instance_uuid": SERVER}),
        ("os-attach", {"instance_uuid": SERVER, "mountpoint": ""}),
        ("os-attach", {"instance_uuid": SERVER, "mountpoint": "x" * 256}),
        ("os-attach", {"instance_uuid": "server", "mountpoint": "/dev/vdb"}),
        ("os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb", "mode": "wo"}),
        ("os-detach", {"attachment_id": "x"}),
        ("os-initialize_connection", {}),
        ("os-initialize_connection", {"connector": None}),
        ("os-begin_detaching", {}),
    ):
        act(demo, own["id"], name, body, status=400)
    act(demo, own["id"], "os-detach", {"attachment_id": OTHER}, status=404)
    assert show(demo, own["id"])["status"] == "available"


def test_by_the_attachments_api(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo)
    made = reserve(demo, own["id"])
    assert (made["status"], made["attach_mode"], made["connection_info"]) == ("reserved", "null", {})
    assert show(demo, own["id"])["status"] == "reserved"
    assert "reserved" in reserve(demo, own["id"], OTHER, status=400)["message"]
    path = f"/attachments/{made['id']}"
    told = demo.put(path, {"attachment": {"connector": CONNECTOR}})["attachment"]
    assert (told["status"], told["attach_mode"]) == ("attaching", "rw")
    assert told["connection_info"]["driver_volume_type"] == "local"
    assert told["connection_info"]["attachment_id"] == made["id"]
    assert show(demo, own["id"])["status"] == "attaching"
    demo.post(f"{path}/action", {"os-complete": None}, status=404, version="3.26")
    demo.post(f"{path}/action", {"os-complete": None}, status=400, version="3.43")
    demo.post(f"{path}/action", {"os-complete": {}}, status=204)
    found = show(demo, own["id"])
    assert (found["status"], found["attachments"][0]["device"]) == ("in-use", "/dev/vdb")
    assert demo.get(path)["attachment"]["status"] == "attached"
    assert demo.delete(path) == {"attachments": []}
    assert show(demo, own["id"])["status"] == "available"
    demo.get(path, status=404)


def test_what_is_busy_is_attached_when_it_is_done(still_cloud: TestCloud) -> None:
    hosts.report(still_cloud.runtime)
    admin = Cinder(still_cloud, "admin")
    own = admin.post("/volumes", {"volume": {"size": 1}}, status=202)["volume"]
    act(admin, own["id"], "os-reset_status", {"status": "available"})
    act(admin, own["id"], "os-reimage", {"image_id": volumes.image(still_cloud, "admin")})
    reserve(admin, own["id"])
    assert show(admin, own["id"])["status"] == "downloading"
    still_cloud.start()
    still_cloud.settle()
    assert show(admin, own["id"])["status"] == "reserved"


def test_lists(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    first, second = make(demo), make(demo)
    ids = [reserve(demo, one["id"], connector=CONNECTOR, mode="ro")["id"] for one in (first, second)]
    assert [one["id"] for one in demo.get("/attachments")["attachments"]] == ids[::-1]
    found = demo.get(f"/attachments/detail?volume_id={first['id']}")["attachments"]
    assert [(one["id"], one["volume_id"]) for one in found] == [(ids[0], first["id"])]
    assert demo.get("/attachments?instance_id=none")["attachments"] == []
    assert admin.get("/attachments")["attachments"] == []
    assert len(admin.get("/attachments?all_tenants=1")["attachments"]) == 2
    demo.get("/attachments?none=such", status=400)
    demo.get("/attachments", status=404, version="3.26")


def test_what_is_wrong_is_named(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    own = make(demo)
    for body, named in (
        ({}, "volume_uuid"),
        ({"volume_uuid": "x"}, "volume_uuid"),
        ({"volume_uuid": own["id"], "instance_uuid": None}, "instance_uuid"),
        ({"volume_uuid": own["id"], "connector": "x"}, "connector"),
        ({"volume_uuid": own["id"], "connector": {"host": "x" * 300}}, "connector.host"),
        ({"volume_uuid": own["id"], "connector": {"x": "y" * 20_000}}, "connector"),
        ({"volume_uuid": own["id"], "mode": "wo"}, "mode"),
        ({"volume_uuid": own["id"], "more": 1}, "more"),
    ):
        assert named in demo.post("/attachments", {"attachment": body}, status=400)["message"], body
    assert show(demo, own["id"])["status"] == "available"
    for path in (f"/attachments/{OTHER}", "/attachments/nope"):
        demo.get(path, status=404)
        demo.put(path, {"attachment": {"connector": CONNECTOR}}, status=404)
        demo.delete(path, status=404)
    foreign = reserve(admin, make(admin)["id"])
    demo.get(f"/attachments/{foreign['id']}", status=404)
    demo.delete(f"/attachments/{foreign['id']}", status=404)
    act(admin, own["id"], "os-reset_status", {"status": "error"})
    assert "error" in reserve(demo, own["id"], status=400)["message"]


def test_several_at_once(cloud: TestCloud) -> None:
    admin = Cinder(cloud, "admin")
    admin.post("/types", {"volume_type": {"name": "many", "extra_specs": {"multiattach": "<is> True"}}})
    own = make(admin, volume_type="many")
    assert own["multiattach"]
    made = []
    for server in (SERVER, OTHER):
        one = reserve(admin, own["id"], server, connector=CONNECTOR)
        admin.post(f"/attachments/{one['id']}/action", {"os-complete": None}, status=204)
        made.append(one["id"])
    assert {one["attachment_id"] for one in show(admin, own["id"])["attachments"]} == set(made)
    act(admin, own["id"], "os-detach", {}, status=400)
    admin.delete(f"/attachments/{made[0]}")
    assert show(admin, own["id"])["status"] == "in-use"
    admin.delete(f"/attachments/{made[1]}")
    assert show(admin, own["id"])["status"] == "available"


def test_one_that_moves_with_its_server_is_attached_twice(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo)
    here = reserve(demo, own["id"], connector=CONNECTOR)
    demo.post(f"/attachments/{here['id']}/action", {"os-complete": None}, status=204)
    there = reserve(demo, own["id"], connector=CONNECTOR | {"host": "there"})
    reserve(demo, own["id"], OTHER, status=400)
    demo.delete(f"/attachments/{here['id']}")
    demo.post(f"/attachments/{there['id']}/action", {"os-complete": None}, status=204)
    found = show(demo, own["id"])
    assert (found["status"], len(found["attachments"])) == ("in-use", 1)


def test_what_a_server_has_only_the_server_lets_go(cloud: TestCloud) -> None:
    from stackyard.services import keys

    demo = Cinder(cloud, "demo")
    own = make(demo)
    made = reserve(demo, own["id"], connector=CONNECTOR)
    asked: list[tuple[str, str]] = []

    def has(_tx: object, server_id: str, attachment_id: str) -> bool:
        asked.append((server_id, attachment_id))
        return True

    cloud.runtime.provide(keys.VOLUME_HOLDERS, has)
    assert "Compute API" in demo.delete(f"/attachments/{made['id']}", status=409)["message"]
    act(demo, own["id"], "os-detach", {}, status=409)
    act(demo, own["id"], "os-terminate_connection", {"connector": None}, status=409)
    assert asked == [(SERVER, made["id"])] * 3
    assert volumes.show(demo, own["id"])["status"] == "attaching"
