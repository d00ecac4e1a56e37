"""Unified limits: what an operator registers in the identity service is what images are kept within."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.cloud import TestCloud

OCTETS = {"Content-Type": "application/octet-stream"}
MIB = 1024 * 1024
LIMITS = "/identity/v3/registered_limits"
IMAGES = "/image/v2/images"


def register(cloud: TestCloud, **limits: int) -> dict[str, str]:
    """Register limits of the image service; their ids."""
    admin = cloud.client("admin")
    service = admin.get("/identity/v3/services?type=image").json()["services"][0]["id"]
    wanted = [{"service_id": service, "resource_name": name, "default_limit": limit} for name, limit in limits.items()]
    made = admin.post(LIMITS, json={"registered_limits": wanted})
    assert made.status_code == 201, made.text
    return {entry["resource_name"]: entry["id"] for entry in made.json()["registered_limits"]}


def create(client: TestClient, **body: Any) -> Any:
    return client.post(IMAGES, json={"disk_format": "raw", "container_format": "bare", **body})


def made(client: TestClient) -> str:
    response = create(client)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def upload(client: TestClient, image_id: str, mib: int, *, announced: bool = True, to: str = "file") -> int:
    def chunks() -> Iterator[bytes]:
        for _ in range(mib):
            yield bytes(MIB)

    content: Any = bytes(mib * MIB) if announced else chunks()
    return client.put(f"{IMAGES}/{image_id}/{to}", content=content, headers=OCTETS).status_code


def usage(client: TestClient) -> dict[str, tuple[int, int]]:
    shown = client.get("/image/v2/info/usage").json()["usage"]
    return {name: (entry["usage"], entry["limit"]) for name, entry in shown.items()}


def test_what_nobody_registered_is_not_limited(still_cloud: TestCloud) -> None:
    demo = still_cloud.client("demo")
    image_id = made(demo)
    assert upload(demo, image_id, 2) == 204
    assert usage(demo) == {
        "image_size_total": (2, -1),
        "image_stage_total": (0, -1),
        "image_count_total": (1, -1),
        "image_count_uploading": (0, -1),
    }


def test_the_count_of_images(still_cloud: TestCloud) -> None:
    demo = still_cloud.client("demo")
    register(still_cloud, image_count_total=2)
    first, _ = made(demo), made(demo)
    refused = create(demo)
    assert refused.status_code == 413
    assert "image_count_total" in refused.json()["error"]["message"]
    assert usage(demo)["image_count_total"] == (2, 2)
    assert len(demo.get(IMAGES).json()["images"]) == 2
    assert create(still_cloud.client("admin")).status_code == 201
    assert demo.delete(f"{IMAGES}/{first}").status_code == 204
    made(demo)


def test_a_projects_own_limit_counts_before_the_registered_one(still_cloud: TestCloud) -> None:
    demo, admin = still_cloud.client("demo"), still_cloud.client("admin")
    register(still_cloud, image_count_total=1)
    project = admin.get("/identity/v3/projects?name=demo").json()["projects"][0]["id"]
    service = admin.get("/identity/v3/services?type=image").json()["services"][0]["id"]
    own = {"service_id": service, "resource_name": "image_count_total", "project_id": project, "resource_limit": 2}
    assert admin.post("/identity/v3/limits", json={"limits": [own]}).status_code == 201
    made(demo), made(demo)
    assert create(demo).status_code == 413
    assert usage(demo)["image_count_total"] == (2, 2)


def test_the_size_of_all_images(still_cloud: TestCloud) -> None:
    demo = still_cloud.client("demo")
    register(still_cloud, image_size_total=5)
    first = made(demo)
    assert upload(demo, first, 3) == 204
    second = made(demo)
    assert upload(demo, second, 3) == 413
    assert demo.get(f"{IMAGES}/{second}").json()["status"] == "queued"
    # What is not announced comes in while there is room, and the limit holds against the next.
    assert upload(demo, second, 3, announced=False) == 204
    third = made(demo)
    assert upload(demo, third, 1, announced=False) == 413
    assert usage(demo)["image_size_total"] == (6, 5)
    assert demo.delete(f"{IMAGES}/{first}").status_code == 204
    assert upload(demo, third, 1) == 204


def test_staged_data(still_cloud: TestCloud) -> None:
    demo = still_cloud.client("demo")
    register(still_cloud, image_stage_total=2, image_size_total=1)
    first, second = made(demo), made(demo)
    assert upload(demo, first, 2, to="stage") == 204
    assert usage(demo)["image_stage_total"] == (2, 2)
    assert upload(demo, second, 1, to="stage") == 413
    refused = demo.post(f"{IMAGES}/{first}/import", json={"method": {"name": "glance-direct"}})
    assert refused.status_code == 413
    assert "image_size_total" in refused.json()["error"]["message"]
    assert demo.get(f"{IMAGES}/{first}").json()["status"] == "uploading"
    assert demo.delete(f"{IMAGES}/{first}").status_code == 204
    assert upload(demo, second, 1, to="stage") == 204


def test_how_many_come_in_at_once(still_cloud: TestCloud) -> None:
    demo = still_cloud.client("demo")
    register(still_cloud, image_count_uploading=1)
    first, second = made(demo), made(demo)
    assert upload(demo, first, 1, to="stage") == 204
    assert usage(demo)["image_count_uploading"] == (1, 1)
    assert upload(demo, second, 1) == 413
    assert upload(demo, second, 1, to="stage") == 413
    assert demo.delete(f"{IMAGES}/{first}").status_code == 204
    assert upload(demo, second, 1) == 204
    assert usage(demo)["image_count_uploading"] == (0, 1)


@pytest.mark.parametrize("limit", [-1, 0])
def test_none_and_any_number(still_cloud: TestCloud, limit: int) -> None:
    demo = still_cloud.client("demo")
    register(still_cloud, image_count_total=limit)
    assert create(demo).status_code == (201 if limit else 413)


def test_limits_of_one_project_are_not_anothers(still_cloud: TestCloud) -> None:
    demo, admin = still_cloud.client("demo"), still_cloud.client("admin")
    register(still_cloud, image_size_total=1)
    assert upload(admin, made(admin), 1) == 204
    assert usage(admin)["image_size_total"] == (1, 1)
    assert usage(demo)["image_size_total"] == (0, 1)
    assert upload(demo, made(demo), 1) == 204
