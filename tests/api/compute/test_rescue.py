"""rescue and unrescue: from which image, how it is plugged in, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

from stackyard.host.errors import HostError, SpecError
from stackyard.services.image import tables


@pytest.fixture
def demo(cloud: TestCloud) -> Nova:
    """The tenant's view."""
    return Nova(cloud, "demo")


def test_there_and_back(cloud: TestCloud, demo: Nova) -> None:
    """By default from the server's own image; the password is told; then from its own disk again."""
    image = rows.image(cloud)
    server = booted.server(cloud, demo, image=image)
    assert booted.act(demo, server, "rescue", {"adminPass": "secret"}, status=200) == {"adminPass": "secret"}
    cloud.settle()
    assert booted.status(demo, server) == "RESCUE"
    assert booted.states(cloud, server) == ("rescued", None, "running", 1)
    rescue = cloud.machines["machine"].spec(server).rescue
    assert rescue is not None
    assert (rescue.image.id, rescue.stable) == (image, False)
    booted.act(demo, server, "unrescue")
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    assert cloud.machines["machine"].spec(server).rescue is None
    told = {event.event for event in rows.events(cloud, server)}
    assert told >= {"compute_rescue_instance", "compute_unrescue_instance"}


def told(cloud: TestCloud, server: str) -> str | None:
    """The password that the server's config drive has; None without a drive, or without a password on it."""
    drive = cloud.machines["machine"].spec(server).config_drive
    return None if drive is None else json.loads(drive["openstack/latest/meta_data.json"]).get("admin_pass")


@pytest.mark.parametrize("with_drive", [False, True])
def test_the_password_is_on_a_drive_that_only_the_rescued_system_sees(
    cloud: TestCloud, demo: Nova, with_drive: bool
) -> None:
    server = booted.server(cloud, demo, adminPass="first", config_drive=with_drive)
    assert told(cloud, server) == ("first" if with_drive else None)
    booted.act(demo, server, "rescue", {"adminPass": 'a"b'}, status=200)
    cloud.settle()
    assert told(cloud, server) == 'a"b'
    booted.act(demo, server, "unrescue")
    cloud.settle()
    assert told(cloud, server) is None


def test_from_another_image(cloud: TestCloud, demo: Nova) -> None:
    """An image that says how it is to be plugged in is, without taking the place of the server's own disk."""
    server = booted.server(cloud, demo)
    image = rows.image(cloud, b"rescue" * 100)
    properties = {"hw_rescue_device": "cdrom", "hw_rescue_bus": "scsi"}
    cloud.database.write("properties", lambda tx: tables.update(tx, image, {"properties": properties}))
    assert len(booted.act(demo, server, "rescue", {"rescue_image_ref": image}, status=200)["adminPass"]) == 12
    cloud.settle()
    rescue = cloud.machines["machine"].spec(server).rescue
    assert rescue is not None
    assert (rescue.image.id, rescue.stable, rescue.device, rescue.bus) == (image, True, "cdrom", "scsi")
    booted.act(demo, server, "reboot", {"type": "HARD"}, status=409)
    demo.delete(f"/servers/{server}", status=204)
    cloud.settle()
    demo.get(f"/servers/{server}", status=404)


def test_one_that_is_stopped_or_in_error(cloud: TestCloud, demo: Nova) -> None:
    """Both can be rescued."""
    server = booted.server(cloud, demo)
    booted.act(demo, server, "os-stop")
    cloud.settle()
    booted.act(demo, server, "rescue", status=200)
    cloud.settle()
    assert booted.states(cloud, server)[0] == "rescued"
    booted.act(demo, server, "unrescue")
    cloud.settle()
    booted.act(Nova(cloud, "admin"), server, "os-resetState", {"state": "error"})
    booted.act(demo, server, "rescue", status=200)
    cloud.settle()
    assert booted.states(cloud, server)[0] == "rescued"


def test_images_that_will_not_do(cloud: TestCloud, demo: Nova) -> None:
    """Unknown ones, those of containers, devices and buses that no machine has: 400."""
    server = booted.server(cloud, demo)
    docker, odd = rows.image(cloud), rows.image(cloud)

    def change(tx: Any) -> None:
        tables.update(tx, docker, {"container_format": "docker"})
        tables.update(tx, odd, {"properties": {"hw_rescue_bus": "xen"}})

    cloud.database.write("images", change)
    for image in ("00000000-0000-4000-8000-000000000000", docker, odd):
        told = booted.act(demo, server, "rescue", {"rescue_image_ref": image}, status=400)
        assert "Requested rescue" in told["message"]
    assert booted.states(cloud, server)[:2] == ("active", None)


@pytest.mark.parametrize(
    "body", [{"adminPass": 1}, {"rescue_image_ref": "x"}, {"rescue_image_ref": None}, {"a": 1}, "x"]
)
def test_bad_bodies(cloud: TestCloud, demo: Nova, body: Any) -> None:
    """Each is a 400."""
    server = rows.insert(cloud, mark=False, vm_state="active", task_state=None, task=None)
    booted.act(demo, server, "rescue", body, status=400)


def test_containers_cannot_be(cloud: TestCloud, demo: Nova, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of server whose driver cannot is told so."""
    server = rows.insert(cloud, mark=False, vm_state="active", task_state=None, task=None, kind="container")
    monkeypatch.setattr(cloud.machines["container"], "abilities", frozenset(), raising=False)
    told = booted.act(demo, server, "rescue", status=400)
    assert told["message"].startswith(f"Instance {server} cannot be rescued:")


@pytest.mark.parametrize("state", ["building", "paused", "suspended", "rescued", "resized", "shelved_offloaded"])
def test_states_that_do_not_allow_it(cloud: TestCloud, demo: Nova, state: str) -> None:
    """409."""
    server = rows.insert(cloud, mark=False, vm_state=state, task_state=None, task=None)
    told = booted.act(demo, server, "rescue", status=409)
    assert told["message"] == f"Cannot 'rescue' instance {server} while it is in vm_state {state}"
    if state != "rescued":
        booted.act(demo, server, "unrescue", status=409)


def test_locks_and_strangers(cloud: TestCloud, demo: Nova) -> None:
    """409 for a locked one, 404 for a foreign one."""
    server = rows.insert(cloud, mark=False, vm_state="active", task_state=None, task=None, locked=True)
    assert "is locked" in booted.act(demo, server, "rescue", status=409)["message"]
    foreign = rows.insert(cloud, mark=False, vm_state="active", task=None, task_state=None, project_id="f" * 32)
    for action in ("rescue", "unrescue"):
        booted.act(demo, foreign, action, status=404)


@pytest.mark.parametrize("step", ["stop", "define", "start"])
def test_failures(cloud: TestCloud, demo: Nova, step: str) -> None:
    """Tried again while it may pass; else the server runs from its own disk again, and the action has failed."""
    server = booted.server(cloud, demo)
    driver = cloud.machines["machine"]
    driver.fail_next[step] = SpecError("it cannot be")
    booted.act(demo, server, "rescue", status=200)
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    assert driver.spec(server).rescue is None
    assert "it cannot be" in str([event.details for event in rows.events(cloud, server)])
    for action, state in (("rescue", "rescued"), ("unrescue", "active")):
        driver.fail_next[step] = HostError("busy")
        booted.act(demo, server, action, status=200 if action == "rescue" else 202)
        cloud.settle()
        assert booted.states(cloud, server) == (state, None, "running", 1)
