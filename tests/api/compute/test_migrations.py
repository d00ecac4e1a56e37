"""os-migrations: the record of moves, for administrators."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.api.compute import rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.core import ids
from stackyard.services.compute import migrations

PATH = "/os-migrations"
AT_FIRST = {
    "id", "instance_uuid", "status", "old_instance_type_id", "new_instance_type_id", "created_at", "updated_at",
    "source_compute", "source_node", "dest_compute", "dest_node", "dest_host",
}  # fmt: skip


def move(cloud: TestCloud, kind: str = "migration", **columns: Any) -> str:
    """A move of a server of demo's; its uuid."""
    who = rows.caller(cloud)
    server = SimpleNamespace(id=ids.new_uuid(), project_id=who.project_id, host="testhost")
    call: Any = SimpleNamespace(caller=who)
    return str(cloud.database.write("move", migrations.record, call, server, kind, **columns))


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("2.1", AT_FIRST),
        ("2.23", AT_FIRST | {"migration_type"}),
        ("2.59", AT_FIRST | {"migration_type", "uuid"}),
        ("2.80", AT_FIRST | {"migration_type", "uuid", "user_id", "project_id"}),
        (LATEST, AT_FIRST | {"migration_type", "uuid", "user_id", "project_id"}),
    ],
)
def test_a_move_at_each_microversion(cloud: TestCloud, version: str, keys: set[str]) -> None:
    move(cloud, dest_compute="other", old_instance_type_id=1, new_instance_type_id=2)
    found = Nova(cloud, "admin").get(PATH, version=version)["migrations"]
    assert [set(one) for one in found] == [keys]
    assert (found[0]["source_compute"], found[0]["dest_compute"]) == ("testhost", "other")
    assert isinstance(found[0]["id"], int)


def test_a_live_migration_under_way_has_links(cloud: TestCloud) -> None:
    moved = move(cloud, "live-migration", status="running")
    admin = Nova(cloud, "admin")
    one = admin.get(PATH, version="2.23")["migrations"][0]
    assert one["links"][0]["href"].endswith(f"/servers/{one['instance_uuid']}/migrations/{one['id']}")
    cloud.database.write("end", lambda tx: migrations.update(tx, moved, status="completed"))
    assert "links" not in admin.get(PATH, version="2.23")["migrations"][0]


def test_a_list_is_narrowed(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    move(cloud, "resize", status="confirmed")
    move(cloud, "evacuation", source_compute="dead", dest_compute="testhost")
    for query, count in (
        ("", 2), ("status=confirmed", 1), ("migration_type=evacuation", 1), ("source_compute=dead", 1),
        ("host=testhost", 2), ("host=dead", 1), ("hidden=1", 0), ("hidden=0", 2),
        (f"instance_uuid={ids.new_uuid()}", 0),
    ):  # fmt: skip
        assert len(admin.get(f"{PATH}?{query}")["migrations"]) == count, query
        assert len(admin.get(f"{PATH}?{query}", version="2.59")["migrations"]) == count, query
    project = rows.caller(cloud).project_id
    assert len(admin.get(f"{PATH}?project_id={project}", version="2.80")["migrations"]) == 2
    assert admin.get(f"{PATH}?user_id={ids.new_hex()}", version="2.80")["migrations"] == []


def test_moves_that_changed_in_a_period(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    move(cloud)
    for query, count in (
        ("changes-since=2020-01-01T00:00:00Z", 1),
        ("changes-since=2099-01-01T00:00:00Z", 0),
        ("changes-before=2020-01-01T00:00:00", 0),
        ("changes-since=2020-01-01&changes-before=2099-01-01", 1),
    ):
        assert len(admin.get(f"{PATH}?{query}", version="2.66")["migrations"]) == count, query
    admin.get(f"{PATH}?changes-since=2021-01-01&changes-before=2020-01-01", version="2.66", status=400)
    admin.get(f"{PATH}?changes-since=soon", version="2.59", status=400)
    admin.get(f"{PATH}?changes-before=2020-01-01", version="2.65", status=400)
    assert len(admin.get(f"{PATH}?changes-since=soon", version="2.58")["migrations"]) == 1


def test_pages_the_newest_first(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    made = [move(cloud) for _ in range(3)]
    first = admin.get(f"{PATH}?limit=2", version="2.59")
    assert [one["uuid"] for one in first["migrations"]] == [made[2], made[1]]
    rest = admin.get(first["migrations_links"][0]["href"].partition("/v2.1")[2], version="2.59")
    assert [one["uuid"] for one in rest["migrations"]] == [made[0]]
    assert "migrations_links" not in rest
    assert len(admin.get(f"{PATH}?limit=1")["migrations"]) == 3
    admin.get(f"{PATH}?marker={ids.new_uuid()}", version="2.59", status=400)
    admin.get(f"{PATH}?limit=x", version="2.59", status=400)
    admin.get(f"{PATH}?nonsense=1", version="2.59", status=400)
    admin.get(f"{PATH}?project_id=1", version="2.79", status=400)


def test_members_are_refused(cloud: TestCloud) -> None:
    demo = Nova(cloud, "demo")
    demo.get(PATH, status=403)
    demo.get(f"{PATH}?project_id={rows.caller(cloud).project_id}", version=LATEST, status=403)
