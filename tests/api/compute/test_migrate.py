"""migrate, os-migrateLive and a server's live migrations: what is refused, with the reason that holds."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.core import ids
from stackyard.core.db import Transaction
from stackyard.services.compute.tables import migrations

LIVE: dict[str, Any] = {"host": None, "block_migration": False, "disk_over_commit": False}


@pytest.fixture
def admin(cloud: TestCloud) -> Nova:
    """The administrator's view."""
    return Nova(cloud, "admin")


def _active(cloud: TestCloud, **columns: Any) -> str:
    given = {"vm_state": "active", "task_state": None, "task": None} | columns
    return rows.insert(cloud, mark=False, **given)


def test_there_is_no_other_host(cloud: TestCloud, admin: Nova) -> None:
    """400, and nothing is changed."""
    server = _active(cloud)
    before = rows.row(cloud, server)
    told = booted.act(admin, server, "migrate", status=400)
    assert told["message"] == "No valid host was found. No valid host found for cold migrate"
    assert "No valid host" in booted.act(admin, server, "os-migrateLive", LIVE, status=400)["message"]
    assert rows.row(cloud, server) == before


def test_hosts_that_do_not_reach_each_other(cloud: TestCloud, admin: Nova) -> None:
    """With another host the reason is another one: where it says nowhere to fetch from, nothing can go there."""
    server = _active(cloud)
    booted.other_host(cloud)
    for action, body, version in (
        ("migrate", None, "2.1"), ("migrate", {"host": "otherhost"}, LATEST),
        ("os-migrateLive", {**LIVE, "block_migration": True}, "2.1"),
        ("os-migrateLive", {"host": "otherhost", "block_migration": "auto"}, LATEST),
    ):  # fmt: skip
        if cloud.database.is_sqlite:  # on PostgreSQL hosts listen for each other
            told = booted.act(admin, server, action, body, status=400, version=version)
            assert "cannot be reached by other hosts" in told["message"] or "No valid host" in told["message"]
    booted.put_down(cloud, "otherhost")
    assert "No valid host" in booted.act(admin, server, "migrate", status=400)["message"]


def test_hosts(cloud: TestCloud, admin: Nova) -> None:
    """Its own, and one that there is not."""
    server = _active(cloud)
    told = booted.act(admin, server, "migrate", {"host": "testhost"}, status=400, version="2.56")
    assert told["message"] == "Cannot migrate to the host where the server exists."
    told = booted.act(admin, server, "migrate", {"host": "nohost"}, status=400, version="2.56")
    assert told["message"] == "Compute host nohost could not be found."
    told = booted.act(admin, server, "os-migrateLive", LIVE | {"host": "nohost"}, status=400)
    assert told["message"] == "Compute host nohost could not be found."
    told = booted.act(admin, server, "os-migrateLive", LIVE | {"host": "testhost"}, status=400)
    assert told["message"] == f"Unable to migrate instance ({server}) to current host (testhost)."


def test_bodies_by_microversion(cloud: TestCloud, admin: Nova) -> None:
    """disk_over_commit until 2.24, auto from 2.25 on, force from 2.30 to 2.67; each wrong one is a 400 of the body."""
    server = _active(cloud)
    auto: dict[str, Any] = {"host": None, "block_migration": "auto"}
    for version, body in (
        ("2.1", auto), ("2.24", LIVE | {"block_migration": "auto"}), ("2.25", LIVE), ("2.25", {"host": None}),
        ("2.29", auto | {"force": True}), ("2.68", auto | {"force": True}), ("2.30", auto | {"force": "x"}),
        ("2.25", auto | {"host": "a b"}), ("2.25", auto | {"host": ""}), ("2.25", {"block_migration": "auto"}),
        ("2.1", {}), ("2.1", None), ("2.25", auto | {"block_migration": "x"}),
    ):  # fmt: skip
        told = booted.act(admin, server, "os-migrateLive", body, status=400, version=version)
        assert "Invalid input for" in told["message"], (version, body, told)
    told = booted.act(admin, server, "os-migrateLive", auto | {"force": True}, status=400, version="2.30")
    assert told["message"] == "Can't force to a non-provided destination"
    for body in ({"host": "a b"}, {"host": 1}, {"other": 1}, "x"):
        told = booted.act(admin, server, "migrate", body, status=400, version="2.56")
        assert "Invalid input for" in told["message"]


def test_states_locks_and_people(cloud: TestCloud, admin: Nova) -> None:
    """409 in a wrong state, 403 for a tenant, 404 for a server that is not there."""
    demo = Nova(cloud, "demo")
    suspended = _active(cloud, vm_state="suspended")
    for action, body in (("migrate", None), ("os-migrateLive", LIVE)):
        assert "vm_state suspended" in booted.act(admin, suspended, action, body, status=409)["message"]
        booted.act(demo, suspended, action, body, status=403)
        booted.act(admin, ids.new_uuid(), action, body, status=404)


def _insert(cloud: TestCloud, server: str, kind: str, status: str) -> int:
    def write(tx: Transaction) -> int:
        row = {
            "uuid": ids.new_uuid(), "server_id": server, "migration_type": kind, "status": status, "details": {},
            "source_compute": "testhost", "created_at": tx.now, "updated_at": tx.now,
        }  # fmt: skip
        tx.execute(migrations.insert(), row)
        return int(tx.scalar(migrations.select().with_only_columns(migrations.c.id).order_by(migrations.c.id.desc())))

    return cloud.database.write("insert", write)


def test_those_under_way(cloud: TestCloud, admin: Nova) -> None:
    """Only live ones are listed and shown, and only while they run, with the fields of the microversion."""
    server = _active(cloud)
    running, done, cold = (
        _insert(cloud, server, kind, status)
        for kind, status in (("live-migration", "running"), ("live-migration", "completed"), ("resize", "migrating"))
    )
    found = admin.get(f"/servers/{server}/migrations", version="2.23")["migrations"]
    assert [one["id"] for one in found] == [running]
    assert (found[0]["source_compute"], found[0]["status"], found[0]["memory_total_bytes"]) == (
        "testhost", "running", None,
    )  # fmt: skip
    assert set(admin.get(f"/servers/{server}/migrations/{running}", version=LATEST)["migration"]) - set(found[0]) == {
        "uuid", "user_id", "project_id",
    }  # fmt: skip
    for number, text in (
        (done, "not in progress"),
        (cold, "not live-migration"),
        (99, "not found"),
        ("x", "not found"),
    ):
        told = admin.get(f"/servers/{server}/migrations/{number}", status=404, version="2.23")
        assert text in told["message"]
    admin.get(f"/servers/{server}/migrations", status=404, version="2.22")
    admin.get(f"/servers/{server}/migrations?x=1", status=400, version="2.102")
    demo = Nova(cloud, "demo")
    demo.get(f"/servers/{server}/migrations", status=403, version="2.23")


def test_completing_and_aborting(cloud: TestCloud, admin: Nova) -> None:
    """A server that does not migrate: 409; a migration that it is not in: 400 and 404."""
    server = _active(cloud)
    path = f"/servers/{server}/migrations/1"
    assert (
        "task_state None"
        in admin.post(f"{path}/action", {"force_complete": None}, status=409, version="2.22")["message"]
    )
    admin.delete(path, status=409, version="2.24")
    moving = _active(cloud, task_state="migrating")
    path = f"/servers/{moving}/migrations"
    admin.post(f"{path}/1/action", {"force_complete": None}, status=400, version="2.22")
    admin.delete(f"{path}/1", status=404, version="2.24")
    done = _insert(cloud, moving, "live-migration", "completed")
    for told in (
        admin.post(f"{path}/{done}/action", {"force_complete": None}, status=400, version="2.22"),
        admin.delete(f"{path}/{done}", status=400, version="2.24"),
    ):
        assert "is completed" in told["message"]
    for body in ({}, {"force_complete": {}}, {"other": None}, {"force_complete": None, "x": 1}):
        admin.post(f"{path}/1/action", body, status=400, version="2.22")
    Nova(cloud, "demo").delete(f"{path}/{done}", status=403, version="2.24")


def test_assisted_snapshots(cloud: TestCloud, admin: Nova) -> None:
    """No server has a volume: 400 that says so, after the body's own faults; tenants may not ask."""
    info = {"snapshot_id": "a", "type": "qcow2", "new_file": "f"}
    good = {"snapshot": {"volume_id": "v", "create_info": info}}
    told = admin.post("/os-assisted-volume-snapshots", good, status=400)
    assert told["message"] == "No volume Block Device Mapping with id v."
    for body in ({}, {"snapshot": {}}, {"snapshot": {"volume_id": "v", "create_info": info | {"type": "raw"}}}):
        assert "Block Device" not in admin.post("/os-assisted-volume-snapshots", body, status=400)["message"]
    path = "/os-assisted-volume-snapshots/s"
    for query in ("", "?delete_info=x", "?delete_info=[]", "?delete_info={}"):
        assert "Block Device" not in admin.delete(path + query, status=400)["message"]
    told = admin.delete(path + '?delete_info={"volume_id":"v"}', status=400)
    assert told["message"] == "No volume Block Device Mapping with id v."
    admin.delete(path + '?delete_info={"volume_id":"v"}&x=1', status=400, version="2.75")
    Nova(cloud, "demo").post("/os-assisted-volume-snapshots", good, status=403)
