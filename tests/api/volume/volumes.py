"""What tests of volumes begin with: volumes that are made, images to make them from."""

from __future__ import annotations

from typing import Any

from tests.api.volume.cinder import Cinder
from tests.cloud import TestCloud

UNKNOWN = "00000000-0000-0000-0000-000000000000"
SERVER = "11111111-2222-4333-8444-555555555555"


def make(cinder: Cinder, status: str = "available", version: str = "3.71", **fields: Any) -> dict[str, Any]:
    """A volume of one GiB (or what the fields say), once it has the status."""
    body = {"volume": {"size": 1} | fields}
    made = cinder.post("/volumes", body, status=202, version=version)["volume"]
    cinder.cloud.settle()
    found = show(cinder, made["id"])
    assert found["status"] == status, found
    return found


def show(cinder: Cinder, volume_id: str, version: str = "3.71") -> dict[str, Any]:
    """A volume as it is."""
    found: dict[str, Any] = cinder.get(f"/volumes/{volume_id}", version=version)["volume"]
    return found


def act(
    cinder: Cinder, volume_id: str, name: str, body: Any = None, *, status: int = 202, version: str = "3.71"
) -> Any:
    """An action on a volume."""
    return cinder.post(f"/volumes/{volume_id}/action", {name: body}, status=status, version=version)


def snapshot(cinder: Cinder, volume_id: str, **fields: Any) -> dict[str, Any]:
    """A snapshot of a volume, once it is there."""
    made = cinder.post("/snapshots", {"snapshot": {"volume_id": volume_id} | fields}, status=202)["snapshot"]
    cinder.cloud.settle()
    found: dict[str, Any] = cinder.get(f"/snapshots/{made['id']}")["snapshot"]
    assert found["status"] == "available", found
    return found


def image(cloud: TestCloud, user: str = "demo", content: bytes = b"an image", **fields: Any) -> str:
    """An active image; its id."""
    http = cloud.client(user)
    given = {"name": "disk", "disk_format": "raw", "container_format": "bare"} | fields
    made = http.post("/image/v2/images", json=given)
    assert made.status_code == 201, made.text
    image_id = str(made.json()["id"])
    headers = {"Content-Type": "application/octet-stream"}
    assert http.put(f"/image/v2/images/{image_id}/file", content=content, headers=headers).status_code == 204
    return image_id


def used(cinder: Cinder) -> dict[str, int]:
    """What is counted against the quota: volumes, snapshots, GiB."""
    found = cinder.get("/limits")["limits"]["absolute"]
    return {name: found[f"total{name}Used"] for name in ("Volumes", "Snapshots", "Gigabytes")}
