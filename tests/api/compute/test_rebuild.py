"""rebuild: what it changes at which microversion, and what is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.host.errors import HostError, SpecError


@pytest.fixture
def demo(cloud: TestCloud) -> Nova:
    """The tenant's view."""
    return Nova(cloud, "demo")


def test_a_new_disk(cloud: TestCloud, demo: Nova) -> None:
    """The server has the new image, keeps id, ports and flavor, runs, and its root disk was deleted."""
    server = booted.server(cloud, demo)
    ports = rows.row(cloud, server).interfaces
    image = rows.image(cloud, b"other" * 200)
    body = {
        "imageRef": image,
        "name": "renamed",
        "metadata": {"a": "b"},
        "adminPass": "secret",
        "accessIPv4": "1.2.3.4",
    }
    answer = booted.act(demo, server, "rebuild", body)["server"]
    assert (answer["name"], answer["metadata"], answer["adminPass"]) == ("renamed", {"a": "b"}, "secret")
    assert (answer["accessIPv4"], answer["image"]["id"], answer["status"]) == ("1.2.3.4", image, "REBUILD")
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    row = rows.row(cloud, server)
    assert (row.interfaces, row.image_id, row.flavor_id) == (ports, image, "1")
    spec = cloud.machines["machine"].spec(server)
    assert spec.image is not None
    assert (spec.image.id, spec.hostname) == (image, row.hostname)
    assert "compute_rebuild_instance" in {event.event for event in rows.events(cloud, server)}


def test_one_that_is_stopped_or_in_error(cloud: TestCloud, demo: Nova) -> None:
    """A stopped one is stopped again; one in ERROR runs, without a fault."""
    image = rows.image(cloud)
    server = booted.server(cloud, demo, image=image)
    booted.act(demo, server, "os-stop")
    cloud.settle()
    booted.act(demo, server, "rebuild", {"imageRef": image})
    cloud.settle()
    assert booted.states(cloud, server) == ("stopped", None, "stopped", 4)
    booted.act(demo, server, "os-start")
    cloud.settle()
    booted.act(Nova(cloud, "admin"), server, "os-resetState", {"state": "error"})
    assert booted.status(demo, server) == "ERROR"
    booted.act(demo, server, "rebuild", {"imageRef": image})
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)


def test_fields_by_microversion(cloud: TestCloud, demo: Nova) -> None:
    """Each field is unknown before its microversion; personality is since 2.57."""
    image = rows.image(cloud)
    server = booted.server(cloud, demo, image=image)
    data = base64.b64encode(b"#!/bin/sh").decode()
    for field, value, first, last in (
        ("description", "about", "2.19", None),
        ("key_name", None, "2.54", None),
        ("user_data", data, "2.57", None),
        ("trusted_image_certificates", ["a"], "2.63", None),
        ("hostname", "host-name", "2.90", None),
        ("personality", [{"path": "/etc/x", "contents": data}], "2.1", "2.56"),
    ):
        body = {"imageRef": image, field: value}
        wrong = f"2.{int(first[2:]) - 1}" if last is None else "2.57"
        booted.act(demo, server, "rebuild", body, status=400, version=wrong)
        booted.act(demo, server, "rebuild", body, version=last or first)
        cloud.settle()
    row = rows.row(cloud, server)
    assert (row.description, row.user_data, row.hostname) == ("about", data, "host-name")
    booted.act(demo, server, "rebuild", {"imageRef": image, "hostname": "a.b.example"}, status=400, version="2.93")
    answer = booted.act(demo, server, "rebuild", {"imageRef": image, "hostname": "a.b.example"}, version=LATEST)
    assert answer["server"]["user_data"] == data
    cloud.settle()
    booted.act(demo, server, "rebuild", {"imageRef": image, "user_data": None}, version=LATEST)
    cloud.settle()
    assert rows.row(cloud, server).user_data is None


def test_a_key(cloud: TestCloud, demo: Nova) -> None:
    """The caller's key pair, none, or 400."""
    image = rows.image(cloud)
    server = booted.server(cloud, demo, image=image)
    demo.post("/os-keypairs", {"keypair": {"name": "mine"}})
    answer = booted.act(demo, server, "rebuild", {"imageRef": image, "key_name": "mine"}, version="2.54")
    assert answer["server"]["key_name"] == "mine"
    cloud.settle()
    answer = booted.act(demo, server, "rebuild", {"imageRef": image, "key_name": None}, version="2.54")
    assert answer["server"]["key_name"] is None
    cloud.settle()
    told = booted.act(demo, server, "rebuild", {"imageRef": image, "key_name": "no"}, status=400, version="2.54")
    assert told["message"] == "Invalid key_name provided."


def test_images_that_will_not_do(cloud: TestCloud, demo: Nova) -> None:
    """Unknown, without data, of another kind, or too big for the flavor: 400, and nothing is changed."""
    server = booted.server(cloud, demo)
    before = rows.row(cloud, server)
    admin = cloud.client("admin")
    queued = admin.post(
        "/image/v2/images",
        json={"name": "q", "disk_format": "raw", "container_format": "bare", "visibility": "public"},
    ).json()["id"]
    docker = _docker_image(cloud)
    big = rows.image(cloud)
    patch = [{"op": "replace", "path": "/min_disk", "value": 2}]
    headers = {"content-type": "application/openstack-images-v2.1-json-patch"}
    assert admin.patch(f"/image/v2/images/{big}", json=patch, headers=headers).status_code == 200
    unknown = "00000000-0000-4000-8000-000000000000"
    for image, text in (
        (unknown, "Cannot find image for rebuild"), (queued, "is not active"), (docker, "of the kind container"),
        (big, "minimum size"), ("x", "UUID"), ("", "UUID"),
    ):  # fmt: skip
        told = booted.act(demo, server, "rebuild", {"imageRef": image}, status=400)
        assert text in told["message"]
    assert rows.row(cloud, server) == before


def _docker_image(cloud: TestCloud) -> str:
    """An image of containers, as far as its row tells."""
    from stackyard.services.image import tables

    image_id = rows.image(cloud)
    cloud.database.write("docker", lambda tx: tables.update(tx, image_id, {"container_format": "docker"}))
    return image_id


@pytest.mark.parametrize(
    "body",
    [
        None, {}, {"imageRef": 1}, {"name": ""}, {"name": "x" * 256}, {"adminPass": 1}, {"metadata": {"a": 1}},
        {"metadata": {"x" * 256: "a"}}, {"metadata": {"a": "x" * 256}}, {"OS-DCF:diskConfig": "SOME"},
        {"accessIPv4": "::1"}, {"accessIPv6": "1.2.3.4"}, {"preserve_ephemeral": "maybe"}, {"other": 1},
        {"user_data": "A"}, {"user_data": "A" * 65536}, {"hostname": "-"}, {"hostname": "a_b"}, {"key_name": ""},
        {"trusted_image_certificates": []}, {"trusted_image_certificates": ["a", "a"]}, {"description": "x" * 256},
        {"description": "a\u0000b"},
    ],
)  # fmt: skip
def test_bad_bodies(cloud: TestCloud, demo: Nova, body: Any) -> None:
    """Each is a 400."""
    image = rows.image(cloud)
    server = rows.insert(cloud, image, mark=False, vm_state="active", task_state=None, task=None)
    given = body if not body or "imageRef" in body else {"imageRef": image, **body}
    booted.act(demo, server, "rebuild", given, status=400, version="2.90")


def test_quotas(cloud: TestCloud, demo: Nova) -> None:
    """Metadata and files past the limits are 403."""
    image = rows.image(cloud)
    server = rows.insert(cloud, image, mark=False, vm_state="active", task_state=None, task=None)
    data = base64.b64encode(b"x").decode()
    for body in (
        {"metadata": {f"k{index}": "x" for index in range(129)}},
        {"personality": [{"path": f"/{index}", "contents": data} for index in range(6)]},
        {"personality": [{"path": "/x" * 200, "contents": data}]},
        {"personality": [{"path": "/x", "contents": base64.b64encode(b"x" * 10241).decode()}]},
    ):
        booted.act(demo, server, "rebuild", {"imageRef": image, **body}, status=403)


@pytest.mark.parametrize("state", ["building", "paused", "suspended", "rescued", "resized", "shelved_offloaded"])
def test_states_that_do_not_allow_it(cloud: TestCloud, demo: Nova, state: str) -> None:
    """409."""
    image = rows.image(cloud)
    server = rows.insert(cloud, image, mark=False, vm_state=state, task_state=None, task=None)
    told = booted.act(demo, server, "rebuild", {"imageRef": image}, status=409)
    assert told["message"] == f"Cannot 'rebuild' instance {server} while it is in vm_state {state}"


def test_locks_and_strangers(cloud: TestCloud, demo: Nova) -> None:
    """A locked one is 409 for its user and not for an administrator; a foreign one is 404."""
    image = rows.image(cloud)
    server = booted.server(cloud, demo, image=image)
    booted.act(demo, server, "lock")
    told = booted.act(demo, server, "rebuild", {"imageRef": image}, status=409)
    assert told["message"] == f"Instance {server} is locked"
    booted.act(Nova(cloud, "admin"), server, "rebuild", {"imageRef": image})
    cloud.settle()
    foreign = rows.insert(cloud, image, mark=False, vm_state="active", task=None, task_state=None, project_id="f" * 32)
    booted.act(demo, foreign, "rebuild", {"imageRef": image}, status=404)


@pytest.mark.parametrize("step", ["stop", "remove_root", "define", "start"])
def test_failures(cloud: TestCloud, demo: Nova, step: str) -> None:
    """What may pass is tried again; what cannot be is ERROR with a fault, and the server can be rebuilt or deleted."""
    image = rows.image(cloud)
    server = booted.server(cloud, demo, image=image)
    driver = cloud.machines["machine"]
    driver.fail_next[step] = HostError("busy")
    booted.act(demo, server, "rebuild", {"imageRef": image})
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    driver.fail_next[step] = SpecError("it cannot be")
    booted.act(demo, server, "rebuild", {"imageRef": image})
    cloud.settle()
    shown = demo.get(f"/servers/{server}")["server"]
    assert shown["status"] == "ERROR"
    assert "it cannot be" in shown["fault"]["message"]
    booted.act(demo, server, "rebuild", {"imageRef": image})
    cloud.settle()
    assert booted.states(cloud, server) == ("active", None, "running", 1)
    demo.delete(f"/servers/{server}", status=204)
    cloud.settle()
    demo.get(f"/servers/{server}", status=404)
