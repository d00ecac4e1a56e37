"""os-simple-tenant-usage: hours of servers, deleted ones too, in a period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.api.compute import rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

PATH = "/os-simple-tenant-usage"
IMAGE = "11111111-1111-4111-8111-111111111111"
START = datetime(2026, 1, 10, tzinfo=UTC)
DAY = "start=2026-01-10T00:00:00&end=2026-01-11T00:00:00"
TOTALS = {
    "tenant_id", "start", "stop", "total_hours", "total_vcpus_usage", "total_memory_mb_usage", "total_local_gb_usage",
}  # fmt: skip
SERVER = {
    "instance_id", "name", "tenant_id", "flavor", "hours", "memory_mb", "local_gb", "vcpus", "started_at", "ended_at",
    "state", "uptime",
}  # fmt: skip


def ran(cloud: TestCloud, begin: float, end: float | None = None, **columns: Any) -> str:
    """A server that ran from and to so many hours after START; its id."""
    times: dict[str, Any] = {"launched_at": START + timedelta(hours=begin)}
    if end is not None:
        ended = START + timedelta(hours=end)
        times |= {"terminated_at": ended, "deleted_at": ended, "vm_state": "deleted"}
    idle = {"mark": False, "task": None, "task_state": None, "interfaces": [], "vm_state": "active"}
    return rows.insert(cloud, IMAGE, **(idle | times | columns))


def test_hours_are_counted_within_the_period(cloud: TestCloud) -> None:
    flavor = rows.FLAVOR | {"vcpus": 2, "ram": 1024, "disk": 10, "ephemeral": 5}
    whole = ran(cloud, -5, flavor=flavor)
    part = ran(cloud, 3, 5, flavor=flavor)
    ran(cloud, -9, -1)
    ran(cloud, 30)
    ran(cloud, 0, launched_at=None)
    project = rows.caller(cloud).project_id
    found = Nova(cloud, "demo").get(f"{PATH}/{project}?{DAY}")["tenant_usage"]
    assert set(found) == TOTALS | {"server_usages"}
    assert (found["start"], found["stop"]) == ("2026-01-10T00:00:00.000000", "2026-01-11T00:00:00.000000")
    assert (found["total_hours"], found["total_vcpus_usage"]) == (26, 52)
    assert (found["total_memory_mb_usage"], found["total_local_gb_usage"]) == (26 * 1024, 26 * 15)
    servers = {one["instance_id"]: one for one in found["server_usages"]}
    assert {key: one["hours"] for key, one in servers.items()} == {whole: 24, part: 2}
    assert all(set(one) == SERVER for one in servers.values())
    assert (servers[whole]["state"], servers[whole]["ended_at"]) == ("active", None)
    assert (servers[part]["state"], servers[part]["uptime"]) == ("terminated", 7200)
    assert servers[part]["ended_at"] == "2026-01-10T05:00:00.000000"


def test_an_administrator_sees_all_projects(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    ran(cloud, 0)
    ran(cloud, 0, project_id="f" * 32)
    found = admin.get(f"{PATH}?{DAY}")["tenant_usages"]
    assert {one["tenant_id"] for one in found} == {rows.caller(cloud).project_id, "f" * 32}
    assert all(set(one) == TOTALS for one in found)
    detailed = admin.get(f"{PATH}?{DAY}&detailed=1")["tenant_usages"]
    assert all(len(one["server_usages"]) == 1 for one in detailed)
    assert admin.get(f"{PATH}/{'f' * 32}?{DAY}")["tenant_usage"]["total_hours"] == 24


def test_no_servers_are_nothing(cloud: TestCloud) -> None:
    project = rows.caller(cloud).project_id
    assert Nova(cloud, "admin").get(PATH) == {"tenant_usages": []}
    assert Nova(cloud, "demo").get(f"{PATH}/{project}") == {"tenant_usage": {}}


def test_pages_of_servers(cloud: TestCloud) -> None:
    admin, project = Nova(cloud, "admin"), rows.caller(cloud).project_id
    made = {ran(cloud, 0) for _ in range(3)}
    assert "tenant_usage_links" not in admin.get(f"{PATH}/{project}?{DAY}&limit=1", version="2.39")
    for path, key in ((PATH, "tenant_usages"), (f"{PATH}/{project}", "tenant_usage")):
        seen: list[str] = []
        asked = f"{path}?{DAY}&detailed=1&limit=2" if path == PATH else f"{path}?{DAY}&limit=2"
        while asked:
            answer = admin.get(asked, version=LATEST)
            one = answer[key][0] if path == PATH else answer[key]
            seen += [server["instance_id"] for server in one["server_usages"]]
            links = answer.get(f"{key}_links")
            asked = links[0]["href"].partition("/v2.1")[2] if links else ""
        assert len(seen) == 3
        assert set(seen) == made
    admin.get(f"{PATH}?marker={IMAGE}", version="2.40", status=400)
    admin.get(f"{PATH}?limit=-1", version="2.40", status=400)


@pytest.mark.parametrize(
    "query",
    [
        "start=yesterday",
        "end=2026-13-01T00:00:00",
        "start=2026-01-11T00:00:00&end=2026-01-10T00:00:00",
        "start=2026-01-11T00:00:00&end=2026-01-11T00:00:00",
        f"start={'9' * 300}",
    ],
)
def test_a_bad_period_is_refused(cloud: TestCloud, query: str) -> None:
    admin = Nova(cloud, "admin")
    admin.get(f"{PATH}?{query}", status=400)
    admin.get(f"{PATH}/{rows.caller(cloud).project_id}?{query}", status=400)


def test_a_project_without_an_id_is_none(cloud: TestCloud) -> None:
    Nova(cloud, "admin").get(f"{PATH}/?{DAY}", status=404)


def test_queries_that_are_not_known(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    admin.get(f"{PATH}?nonsense=1", version="2.74")
    admin.get(f"{PATH}?nonsense=1", version="2.75", status=400)


def test_who_may_see_what(cloud: TestCloud) -> None:
    demo = Nova(cloud, "demo")
    demo.get(PATH, status=403)
    demo.get(f"{PATH}/{rows.caller(cloud, 'admin').project_id}", status=403)
