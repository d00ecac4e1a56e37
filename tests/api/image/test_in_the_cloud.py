"""Images in the whole cloud: real tokens, the catalogue's address, and a reconciler that frees space by itself."""

from __future__ import annotations

from tests.api.image.test_data import docker_archive
from tests.cloud import TestCloud

from stackyard.services.image import api

OCTETS = {"Content-Type": "application/octet-stream"}


def test_an_image_from_registration_to_removal(cloud: TestCloud) -> None:
    admin, demo = cloud.client("admin"), cloud.client("demo")
    body = {"name": "nginx", "container_format": "docker", "disk_format": "raw", "visibility": "public"}
    image_id = admin.post("/image/v2/images", json=body).json()["id"]
    data = docker_archive()
    assert admin.put(f"/image/v2/images/{image_id}/file", content=data, headers=OCTETS).status_code == 204
    assert demo.get(f"/image/v2/images/{image_id}/file").content == data
    assert demo.delete(f"/image/v2/images/{image_id}").status_code == 403
    path = api.image_path(cloud.runtime, image_id)
    assert path.read_bytes() == data
    assert admin.delete(f"/image/v2/images/{image_id}").status_code == 204
    cloud.settle()
    assert not path.exists()


def test_staged_data_is_imported_by_itself(cloud: TestCloud) -> None:
    demo = cloud.client("demo")
    body = {"name": "disk", "container_format": "bare", "disk_format": "raw"}
    image_id = demo.post("/image/v2/images", json=body).json()["id"]
    assert demo.put(f"/image/v2/images/{image_id}/stage", content=b"boot", headers=OCTETS).status_code == 204
    direct = {"method": {"name": "glance-direct"}}
    assert demo.post(f"/image/v2/images/{image_id}/import", json=direct).status_code == 202
    cloud.settle()
    image = demo.get(f"/image/v2/images/{image_id}").json()
    assert (image["status"], image["size"]) == ("active", 4)


def test_a_file_at_hand_is_there_for_everyone(cloud: TestCloud) -> None:
    file = api.images_dir(cloud.runtime).parent / "busybox.tar"
    file.write_bytes(docker_archive())
    image_id = api.register_file(cloud.runtime, file, name="busybox")
    cloud.settle()
    found = cloud.client("demo").get("/image/v2/images?name=busybox").json()["images"]
    assert [image["id"] for image in found] == [image_id]
