"""Volumes for tests of what servers do with them."""

from __future__ import annotations

from typing import Any

from tests.api.compute import rows
from tests.cloud import TestCloud

from stackyard.core.db import Transaction
from stackyard.services.compute.volumes import rows as device_rows
from stackyard.services.volume import api as volume_api
from stackyard.services.volume import tasks


def volume(cloud: TestCloud, user: str = "demo", **fields: Any) -> str:
    """A volume that is there; its id."""
    who = rows.caller(cloud, user)
    wanted = volume_api.Request(**{"size": 1, **fields})
    made = cloud.database.write("test volume", volume_api.create, cloud.runtime, who, wanted)
    cloud.settle()
    assert status(cloud, made.id) == "available", row(cloud, made.id).fault
    return str(made.id)


def row(cloud: TestCloud, volume_id: str) -> Any:
    """Its row; None when it is gone."""
    return cloud.database.read("test volume", volume_api.rows, [volume_id]).get(volume_id)


def status(cloud: TestCloud, volume_id: str) -> str | None:
    """Its status; None when it is gone."""
    found = row(cloud, volume_id)
    return None if found is None else str(found.status)


def change(cloud: TestCloud, volume_id: str, **columns: Any) -> None:
    """Write columns of it."""
    cloud.database.write("test volume", lambda tx: tasks.update(tx, volume_id, **columns))


def attachments(cloud: TestCloud, volume_id: str) -> list[tuple[str, str, str]]:
    """Whose it is: server, mount point and how far that is."""
    found = cloud.database.read("test volume", volume_api.attachments_of, volume_id)
    return [(one.instance_id, one.mountpoint, one.attach_status) for one in found]


def snapshot(cloud: TestCloud, volume_id: str) -> str:
    """A snapshot of a volume; its id."""
    who = rows.caller(cloud)

    def make(tx: Transaction) -> str:
        return str(volume_api.snapshot(tx, cloud.runtime, who, volume_id, "snap", force=True).id)

    made = cloud.database.write("test snapshot", make)
    cloud.settle()
    return made


def of_server(cloud: TestCloud, server_id: str) -> list[Any]:
    """The rows of a server's volumes."""
    return cloud.database.read("test volumes", device_rows.of_server, server_id)


def bootable(cloud: TestCloud, **fields: Any) -> str:
    """A volume that has an image on it."""
    return volume(cloud, image_id=rows.image(cloud), **fields)
