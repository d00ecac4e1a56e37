"""Lists of volumes: whose, filters, order, pages, counts, sums."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from tests.api.volume import volumes
from tests.api.volume.cinder import Cinder
from tests.cloud import TestCloud

from stackyard.services.volume import hosts


def names(cinder: Cinder, query: str = "", version: str = "3.71") -> list[str]:
    return [one["name"] for one in cinder.get(f"/volumes/detail{query}", version=version)["volumes"]]


@pytest.fixture
def three(still_cloud: TestCloud) -> Cinder:
    hosts.report(still_cloud.runtime)
    demo = Cinder(still_cloud, "demo")
    for name, size, metadata in (("a", 3, {"k": "v", "x": "y"}), ("b", 1, {"k": "v"}), ("c", 2, {})):
        demo.post("/volumes", {"volume": {"name": name, "size": size, "metadata": metadata}}, status=202)
    return demo


def test_filters(three: Cinder) -> None:
    assert names(three) == ["c", "b", "a"]
    for query, expected in (
        ("?name=a", ["a"]),
        ("?name=a&name=b", ["b", "a"]),
        ("?name~=a", ["a"]),
        ("?name~=%25", []),
        ("?status=creating", ["c", "b", "a"]),
        ("?status=none-such", []),
        ("?size=2", ["c"]),
        ("?bootable=true", []),
        ("?bootable=0", ["c", "b", "a"]),
        ("?availability_zone=nova", ["c", "b", "a"]),
        ("?consumes_quota=false", []),
        (f"?metadata={quote(str({'k': 'v'}))}", ["b", "a"]),
        (f"?metadata={quote(str({'k': 'v', 'x': 'y'}))}", ["a"]),
        (f"?metadata={quote(str({'k': 'other'}))}", []),
        (f"?glance_metadata={quote(str({'image_name': 'x'}))}", []),
        ("?created_at=gt:2020-01-01T00:00:00", ["c", "b", "a"]),
        ("?created_at=lt:2020-01-01T00:00:00,neq:2021-01-01T00:00:00%2B00:00", []),
    ):
        assert names(three, query) == expected, query


def test_filters_that_are_wrong(three: Cinder) -> None:
    for query, named in (
        ("?none=such", "none"),
        ("?host=x", "host"),
        ("?project_id=x", "project_id"),
        ("?bootable=perhaps", "bootable"),
        ("?size=large", "size"),
        ("?metadata=nonsense(", "metadata"),
        ("?metadata=__import__('os')", "metadata"),
        ("?created_at=after:2020-01-01", "created_at"),
        ("?created_at=gt:yesterday", "created_at"),
        ("?limit=-1", "limit"),
        ("?limit=x", "limit"),
        ("?offset=-1", "offset"),
        ("?sort=none:asc", "sort"),
        ("?sort=name:sideways", "sort"),
        ("?with_count=perhaps", "with_count"),
    ):
        assert named in three.get(f"/volumes{query}", status=400)["message"], query
    three.get(f"/volumes?marker={volumes.UNKNOWN}", status=404)
    assert names(three, "?none=such", version="3.0") == ["c", "b", "a"]


def test_order_and_pages(three: Cinder) -> None:
    assert names(three, "?sort=size:asc") == ["b", "c", "a"]
    assert names(three, "?sort_key=name&sort_dir=asc") == ["a", "b", "c"]
    assert names(three, "?sort=display_name:asc") == ["a", "b", "c"]
    first = three.get("/volumes?limit=2&sort=name:asc&with_count=true")
    assert [one["name"] for one in first["volumes"]] == ["a", "b"]
    assert first["count"] == 3
    (link,) = first["volumes_links"]
    assert link["rel"] == "next"
    rest = three.http.get(link["href"], headers={"OpenStack-API-Version": "volume 3.71"}).json()
    assert [one["name"] for one in rest["volumes"]] == ["c"]
    assert "volumes_links" not in rest
    assert names(three, "?sort=name:asc&offset=1&limit=1") == ["b"]
    assert names(three, "?limit=0") == []


def test_without_details_there_is_little(three: Cinder) -> None:
    found = three.get("/volumes")["volumes"]
    assert {frozenset(one) for one in found} == {frozenset({"id", "name", "links"})}


def test_sums(three: Cinder) -> None:
    assert three.get("/volumes/summary", version="3.12") == {"volume-summary": {"total_count": 3, "total_size": 6}}
    found = three.get("/volumes/summary")["volume-summary"]
    assert {key: sorted(values) for key, values in found["metadata"].items()} == {"k": ["v"], "x": ["y"]}
    admin = Cinder(three.cloud, "admin")
    assert admin.get("/volumes/summary")["volume-summary"]["total_count"] == 0
    assert admin.get("/volumes/summary?all_tenants=1")["volume-summary"]["total_count"] == 3


def test_administrators_see_all_when_they_ask(three: Cinder) -> None:
    admin = Cinder(three.cloud, "admin")
    assert names(admin) == []
    assert names(admin, "?all_tenants=1") == ["c", "b", "a"]
    assert names(admin, "?all_tenants=1&host=testhost@file%23file") == ["c", "b", "a"]
    assert names(admin, "?all_tenants=1&host=elsewhere") == []
    project = three.get("/volumes/detail")["volumes"][0]["os-vol-tenant-attr:tenant_id"]
    assert names(admin, f"?all_tenants=1&project_id={project}") == ["c", "b", "a"]
    assert names(admin, "?all_tenants=1&project_id=none") == []
