"""Volumes that come to servers which are there, and leave them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import booted, disks
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.core.ids import new_uuid
from stackyard.host.errors import HostError, SpecError
from stackyard.services import keys


@pytest.fixture
def demo(cloud: TestCloud) -> Nova:
    return Nova(cloud, "demo")


def attach(
    nova: Nova, server_id: str, volume_id: str, *, status: int = 200, version: str = "2.1", **fields: Any
) -> Any:
    body = {"volumeAttachment": {"volumeId": volume_id, **fields}}
    return nova.post(f"/servers/{server_id}/os-volume_attachments", body, status=status, version=version)


def detach(nova: Nova, server_id: str, volume_id: str, *, status: int = 202, version: str = "2.1") -> Any:
    return nova.delete(f"/servers/{server_id}/os-volume_attachments/{volume_id}", status=status, version=version)


def action(nova: Nova, server_id: str, name: str) -> dict[str, Any]:
    """The newest action of that name, with its events."""
    listed = nova.get(f"/servers/{server_id}/os-instance-actions", version="2.58")["instanceActions"]
    request = next(one["request_id"] for one in listed if one["action"] == name)
    found: dict[str, Any] = nova.get(f"/servers/{server_id}/os-instance-actions/{request}", version="2.58")
    return dict(found["instanceAction"])


def plugged(cloud: TestCloud, server_id: str) -> list[str]:
    seen = cloud.machines["machine"].inspect(server_id)
    return [] if seen is None else list(seen.volumes)


def test_a_volume_comes_to_a_running_server_and_leaves_it(cloud: TestCloud, demo: Nova) -> None:
    server, volume = booted.server(cloud, demo), disks.volume(cloud)
    shown = attach(demo, server, volume)["volumeAttachment"]
    assert shown == {"id": volume, "volumeId": volume, "serverId": server, "device": "/dev/vdb"}
    cloud.settle()
    assert plugged(cloud, server) == [volume]
    assert (disks.status(cloud, volume), disks.attachments(cloud, volume)) == (
        "in-use", [(server, "/dev/vdb", "attached")],
    )  # fmt: skip
    assert demo.get(f"/servers/{server}")["server"]["os-extended-volumes:volumes_attached"] == [{"id": volume}]
    listed = demo.get(f"/servers/{server}/os-volume_attachments", version=LATEST)["volumeAttachments"]
    (row,) = disks.of_server(cloud, server)
    assert listed == [
        {
            "volumeId": volume, "serverId": server, "device": "/dev/vdb", "tag": None, "delete_on_termination": False,
            "attachment_id": row.attachment_id, "bdm_uuid": row.id,
        }
    ]  # fmt: skip
    told = action(demo, server, "attach_volume")
    assert (told["message"], [event["event"] for event in told["events"]]) == (None, ["compute_attach_volume"])
    detach(demo, server, volume)
    assert disks.status(cloud, volume) in ("detaching", "available")  # its host may have been quicker
    cloud.settle()
    assert plugged(cloud, server) == []
    assert (disks.status(cloud, volume), disks.attachments(cloud, volume)) == ("available", [])
    assert demo.get(f"/servers/{server}/os-volume_attachments")["volumeAttachments"] == []
    demo.get(f"/servers/{server}/os-volume_attachments/{volume}", status=404)
    assert action(demo, server, "detach_volume")["message"] is None


def test_a_server_without_power_has_its_volumes_when_it_starts(cloud: TestCloud, demo: Nova) -> None:
    server, volumes = booted.server(cloud, demo), [disks.volume(cloud), disks.volume(cloud)]
    booted.act(demo, server, "os-stop")
    cloud.settle()
    devices = [attach(demo, server, volume)["volumeAttachment"]["device"] for volume in volumes]
    assert devices == ["/dev/vdb", "/dev/vdc"]
    cloud.settle()
    assert [disks.status(cloud, volume) for volume in volumes] == ["in-use"] * 2
    detach(demo, server, volumes[0])
    cloud.settle()
    assert disks.status(cloud, volumes[0]) == "available"
    booted.act(demo, server, "os-start")
    cloud.settle()
    assert plugged(cloud, server) == [volumes[1]]
    assert [one.device for one in cloud.machines["machine"].spec(server).volumes] == ["vdc"]


def test_an_offloaded_server_keeps_and_changes_its_volumes(cloud: TestCloud, demo: Nova) -> None:
    server, kept, gone = booted.server(cloud, demo), disks.volume(cloud), disks.volume(cloud)
    for volume in (kept, gone):
        attach(demo, server, volume)
    cloud.settle()
    booted.act(demo, server, "shelve")
    cloud.settle()
    assert booted.status(demo, server) == "SHELVED_OFFLOADED"
    assert disks.status(cloud, kept) == "in-use"
    assert "attach_volume" in attach(demo, server, disks.volume(cloud), status=409)["message"]
    added = disks.volume(cloud)
    attach(demo, server, added, version="2.20")
    assert disks.status(cloud, added) == "in-use"
    detach(demo, server, gone, status=409)
    detach(demo, server, gone, version="2.20")
    assert disks.status(cloud, gone) == "available"
    attach(demo, server, disks.volume(cloud), version="2.49", tag="one", status=400)
    booted.act(demo, server, "unshelve")
    cloud.settle()
    assert set(plugged(cloud, server)) == {kept, added}


def test_what_the_host_refuses_leaves_the_volume_free(cloud: TestCloud, demo: Nova) -> None:
    server, volume = booted.server(cloud, demo), disks.volume(cloud)
    cloud.machines["machine"].fail_next["attach_volume"] = SpecError("no slot is left")
    attach(demo, server, volume)
    cloud.settle()
    assert (disks.status(cloud, volume), disks.of_server(cloud, server)) == ("available", [])
    told = action(demo, server, "attach_volume")
    assert (told["message"], told["events"][0]["result"]) == ("Error", "Error")
    attach(demo, server, volume)
    cloud.settle()
    assert disks.status(cloud, volume) == "in-use"


def test_a_guest_that_never_lets_go_keeps_its_volume(
    cloud: TestCloud, demo: Nova, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, volume = booted.server(cloud, demo), disks.volume(cloud)
    attach(demo, server, volume)
    cloud.settle()

    def refuse(machine_id: str, volume_id: str) -> None:
        raise HostError(f"the system inside does not let go of the device ({machine_id}, {volume_id})")

    with monkeypatch.context() as patched:
        patched.setattr(cloud.machines["machine"], "detach_volume", refuse)
        patched.setattr("stackyard.services.compute.reconcile.volumes._AGAIN_SECONDS", 0.01)
        detach(demo, server, volume)
        cloud.settle()
    assert (disks.status(cloud, volume), plugged(cloud, server)) == ("in-use", [volume])
    assert action(demo, server, "detach_volume")["message"] == "Error"
    detach(demo, server, volume)
    cloud.settle()
    assert disks.status(cloud, volume) == "available"


def test_a_server_takes_its_volumes_with_it_only_when_told_to(cloud: TestCloud, demo: Nova) -> None:
    server, stays, goes, changed = booted.server(cloud, demo), *(disks.volume(cloud) for _ in range(3))
    attach(demo, server, stays)
    attach(demo, server, goes, version="2.79", delete_on_termination=True)
    attach(demo, server, changed)
    cloud.settle()
    path = f"/servers/{server}/os-volume_attachments/{changed}"
    body = {"volumeAttachment": {"volumeId": changed, "delete_on_termination": True}}
    demo.put(path, body, status=202, version="2.85")
    assert demo.get(path, version="2.85")["volumeAttachment"]["delete_on_termination"] is True
    demo.delete(f"/servers/{server}", status=204)
    cloud.settle()
    assert [disks.status(cloud, one) for one in (stays, goes, changed)] == ["available", None, None]
    assert disks.attachments(cloud, stays) == []


def test_a_volume_that_grows_is_seen_by_its_server(cloud: TestCloud, demo: Nova) -> None:
    server, volume = booted.server(cloud, demo), disks.volume(cloud)
    attach(demo, server, volume)
    cloud.settle()
    cloud.database.write("grown", cloud.runtime[keys.VOLUME_EVENTS], server, "volume-extended", volume)
    cloud.settle()
    assert cloud.machines["machine"]._machines[server].grown == [volume]
    events = {"events": [{"name": "volume-extended", "server_uuid": server, "tag": volume}]}
    Nova(cloud, "admin").post("/os-server-external-events", events, version="2.51")
    cloud.settle()
    assert cloud.machines["machine"]._machines[server].grown == [volume] * 2
    assert [row.state for row in disks.of_server(cloud, server)] == ["attached"]
    found = action(Nova(cloud, "admin"), server, "extend_volume")
    assert found["user_id"] == demo.get(f"/servers/{server}")["server"]["user_id"]
    assert [(one["event"], one["result"]) for one in found["events"]] == [("compute_extend_volume", "Success")]


def test_several_servers_share_a_volume_that_allows_it(cloud: TestCloud, demo: Nova) -> None:
    servers, volume = [booted.server(cloud, demo) for _ in range(2)], disks.volume(cloud)
    disks.change(cloud, volume, multiattach=True)
    assert "2.60" in attach(demo, servers[0], volume, status=400)["message"]
    for server in servers:
        attach(demo, server, volume, version="2.60")
        cloud.settle()
    attach(demo, servers[0], volume, version="2.60", status=400)
    assert len(disks.attachments(cloud, volume)) == 2
    assert all(cloud.machines["machine"]._machines[one].volumes[volume].shared for one in servers)
    detach(demo, servers[0], volume)
    cloud.settle()
    assert disks.status(cloud, volume) == "in-use"
    detach(demo, servers[1], volume)
    cloud.settle()
    assert disks.status(cloud, volume) == "available"


def test_what_cannot_be_attached_is_refused(cloud: TestCloud, demo: Nova) -> None:
    server, other, volume = booted.server(cloud, demo), booted.server(cloud, demo), disks.volume(cloud)
    attach(demo, server, new_uuid(), status=404)
    attach(demo, server, "no-id", status=400)
    attach(demo, server, disks.volume(cloud, "admin"), status=404)
    attach(demo, new_uuid(), volume, status=404)
    attach(demo, server, volume, device="/dev/vd b", status=400)
    attach(demo, server, volume, device=3, status=400)
    attach(demo, server, volume, tag="one", status=400)
    attach(demo, server, volume, tag="a,b", status=400, version="2.49")
    attach(demo, server, volume, delete_on_termination="perhaps", status=400, version="2.79")
    attach(demo, server, volume, unknown=1, status=400)
    disks.change(cloud, volume, status="error")
    assert "error" in attach(demo, server, volume, status=400)["message"]
    disks.change(cloud, volume, status="available", host="elsewhere")
    assert "elsewhere" in attach(demo, server, volume, status=400)["message"]
    disks.change(cloud, volume, host="testhost")
    attach(demo, server, volume)
    assert "already attached" in attach(demo, server, volume, status=400)["message"]
    assert "already attached" in attach(demo, other, volume, status=400)["message"]
    cloud.settle()
    detach(demo, other, volume, status=404)
    detach(demo, server, new_uuid(), status=404)


def test_a_locked_server_keeps_its_volumes(cloud: TestCloud, demo: Nova) -> None:
    server, volume = booted.server(cloud, demo), disks.volume(cloud)
    attach(demo, server, volume)
    cloud.settle()
    booted.act(Nova(cloud, "admin"), server, "lock")
    detach(demo, server, volume, status=409)
    attach(demo, server, disks.volume(cloud), status=409)
    assert disks.status(cloud, volume) == "in-use"


def test_a_server_has_so_many_volumes_and_no_more(
    cloud: TestCloud, demo: Nova, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stackyard.services.compute.volumes.naming.MOST", 1)
    server = booted.server(cloud, demo)
    attach(demo, server, disks.volume(cloud))
    assert "(1)" in attach(demo, server, disks.volume(cloud), status=403)["message"]


def test_swapping_is_for_volumes_that_move(cloud: TestCloud, demo: Nova) -> None:
    server, volume, other = booted.server(cloud, demo), disks.volume(cloud), disks.volume(cloud)
    attach(demo, server, volume)
    cloud.settle()
    path = f"/servers/{server}/os-volume_attachments/{volume}"
    demo.put(path, {"volumeAttachment": {"volumeId": other}}, status=403)
    admin = Nova(cloud, "admin")
    assert "not migrating" in admin.put(path, {"volumeAttachment": {"volumeId": other}}, status=409)["message"]
    changes = {"volumeId": volume, "device": "/dev/vdz"}
    assert "device" in demo.put(path, {"volumeAttachment": changes}, status=400, version="2.85")["message"]


def test_a_read_only_volume_is_given_read_only(cloud: TestCloud, demo: Nova) -> None:
    server, volume = booted.server(cloud, demo), disks.volume(cloud)
    disks.change(cloud, volume, admin_metadata={"readonly": "True"})
    attach(demo, server, volume)
    cloud.settle()
    assert cloud.machines["machine"]._machines[server].volumes[volume].read_only


def test_snapshots_of_volumes_are_the_volume_service_s(cloud: TestCloud, demo: Nova) -> None:
    server, volume = booted.server(cloud, demo), disks.volume(cloud)
    attach(demo, server, volume)
    admin, path = Nova(cloud, "admin"), "/os-assisted-volume-snapshots"
    info = {"snapshot_id": new_uuid(), "type": "qcow2", "new_file": "x"}
    told = {}
    for one in (volume, new_uuid()):
        told[one] = admin.post(path, {"snapshot": {"volume_id": one, "create_info": info}}, status=400)["message"]
    assert "by itself" in told.pop(volume)
    assert "No volume Block Device Mapping" in str(told)
