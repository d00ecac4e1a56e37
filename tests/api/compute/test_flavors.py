"""Flavors: DevStack's, an administrator's own, their extra specs, and who may use which."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

FIRST = {
    "id", "name", "links", "ram", "disk", "vcpus", "swap", "OS-FLV-EXT-DATA:ephemeral", "OS-FLV-DISABLED:disabled",
    "os-flavor-access:is_public", "rxtx_factor",
}  # fmt: skip
SMALL = {"name": "small", "ram": 64, "vcpus": 1, "disk": 1}


def make(admin: Nova, version: str = "2.1", **fields: Any) -> dict[str, Any]:
    flavor: dict[str, Any] = admin.post("/flavors", {"flavor": SMALL | fields}, version=version)["flavor"]
    return flavor


def ids_of(nova: Nova, query: str = "", **options: Any) -> list[str]:
    return [flavor["id"] for flavor in nova.get(f"/flavors{query}", **options)["flavors"]]


def test_a_new_cloud_has_devstacks(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    found = {flavor["name"]: flavor for flavor in demo.get("/flavors/detail")["flavors"]}
    sizes = {name: (flavor["id"], flavor["ram"], flavor["disk"], flavor["vcpus"]) for name, flavor in found.items()}
    assert sizes["m1.tiny"] == ("1", 512, 1, 1)
    assert sizes["m1.xlarge"] == ("5", 16384, 160, 8)
    assert sizes["m1.nano"] == ("42", 192, 1, 1)
    assert sizes["ds4G"] == ("d4", 4096, 20, 4)
    assert len(sizes) == 12
    assert set(found["m1.tiny"]) == FIRST
    assert found["m1.tiny"]["swap"] == ""


@pytest.mark.parametrize(
    ("version", "more", "less"),
    [
        ("2.54", set(), set()),
        ("2.55", {"description"}, set()),
        ("2.61", {"description", "extra_specs"}, set()),
        ("2.102", {"description", "extra_specs"}, {"rxtx_factor", "OS-FLV-DISABLED:disabled"}),
    ],
)
def test_what_each_microversion_shows(still_cloud: TestCloud, version: str, more: set[str], less: set[str]) -> None:
    demo = Nova(still_cloud, "demo")
    expected = (FIRST | more) - less
    assert set(demo.get("/flavors/1", version=version)["flavor"]) == expected
    assert set(demo.get("/flavors/detail", version=version)["flavors"][0]) == expected
    brief = {"id", "name", "links"} | (more & {"description"})
    assert set(demo.get("/flavors", version=version)["flavors"][0]) == brief


def test_swap_is_a_number_since_2_75(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    assert demo.get("/flavors/1", version="2.74")["flavor"]["swap"] == ""
    assert demo.get("/flavors/1", version="2.75")["flavor"]["swap"] == 0


def test_make_describe_and_delete(still_cloud: TestCloud) -> None:
    admin, demo = Nova(still_cloud, "admin"), Nova(still_cloud, "demo")
    flavor = make(
        admin, "2.55", id="mine", swap="32", rxtx_factor="1.5", description="first", **{"OS-FLV-EXT-DATA:ephemeral": 3}
    )
    assert (flavor["id"], flavor["swap"], flavor["rxtx_factor"]) == ("mine", 32, 1.5)
    assert (flavor["OS-FLV-EXT-DATA:ephemeral"], flavor["description"]) == (3, "first")
    changed = admin.put("/flavors/mine", {"flavor": {"description": None}}, version="2.55")["flavor"]
    assert changed["description"] is None
    assert demo.get("/flavors/mine", version="2.55")["flavor"] == changed
    admin.delete("/flavors/mine", status=202)
    demo.get("/flavors/mine", status=404)
    admin.delete("/flavors/mine", status=404)


def test_an_id_is_made_and_numbers_are_texts(still_cloud: TestCloud) -> None:
    admin = Nova(still_cloud, "admin")
    assert len(make(admin)["id"]) == 36
    assert make(admin, name="numbered", id=777)["id"] == "777"
    assert make(admin, name="none", id=None)["id"]


def test_names_and_ids_are_unique(still_cloud: TestCloud) -> None:
    admin = Nova(still_cloud, "admin")
    make(admin, id="mine")
    fault = admin.post("/flavors", {"flavor": SMALL}, status=409)
    assert fault["message"] == "Flavor with name small already exists."
    fault = admin.post("/flavors", {"flavor": SMALL | {"name": "other", "id": "mine"}}, status=409)
    assert fault["message"] == "Flavor with ID mine already exists."


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": " edge"}, {"name": "n" * 256}, {"name": 1}, {"name": "a\nb"},
        {"ram": 0}, {"ram": -1}, {"ram": "much"}, {"ram": 2**31}, {"ram": 1.5}, {"ram": True},
        {"vcpus": 0}, {"vcpus": None}, {"disk": -1}, {"swap": -1}, {"OS-FLV-EXT-DATA:ephemeral": "-1"},
        {"id": ""}, {"id": " a"}, {"id": "a/b"}, {"id": "i" * 256},
        {"rxtx_factor": 0}, {"rxtx_factor": "-1"}, {"rxtx_factor": "x"}, {"rxtx_factor": 4e38},
        {"os-flavor-access:is_public": "perhaps"}, {"os-flavor-access:is_public": 5},
        {"description": "not yet"}, {"unknown": 1},
    ],
)  # fmt: skip
def test_flavors_that_cannot_be(still_cloud: TestCloud, wrong: dict[str, Any]) -> None:
    admin = Nova(still_cloud, "admin")
    admin.post("/flavors", {"flavor": SMALL | wrong}, status=400)
    assert len(ids_of(admin)) == 12


def test_bodies_that_are_none(still_cloud: TestCloud) -> None:
    admin = Nova(still_cloud, "admin")
    for body in ({}, {"flavor": {}}, {"flavor": None}, []):
        admin.post("/flavors", body, status=400)
    admin.post("/flavors", {"flavor": SMALL | {"rxtx_factor": 1.0}}, status=400, version="2.102")
    admin.put("/flavors/1", {"flavor": {"description": "x" * 65536}}, status=400, version="2.55")
    admin.put("/flavors/1", {"flavor": {"name": "x"}}, status=400, version="2.55")
    admin.put("/flavors/1", {"flavor": {"description": "x"}}, status=404, version="2.54")
    admin.put("/flavors/none", {"flavor": {"description": "x"}}, status=404, version="2.55")


def test_only_administrators_change_them(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    demo.post("/flavors", {"flavor": SMALL}, status=403)
    demo.put("/flavors/1", {"flavor": {"description": "x"}}, status=403, version="2.55")
    demo.delete("/flavors/1", status=403)
    demo.post("/flavors/1/os-extra_specs", {"extra_specs": {"a": "b"}}, status=403)
    demo.put("/flavors/1/os-extra_specs/a", {"a": "b"}, status=403)
    demo.delete("/flavors/1/os-extra_specs/hw_rng:allowed", status=403)
    demo.get("/flavors/1/os-flavor-access", status=403)
    for action in ("addTenantAccess", "removeTenantAccess"):
        demo.post("/flavors/1/action", {action: {"tenant": "x"}}, status=403)


def test_pages_and_order(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    everything = ids_of(demo)
    assert everything == sorted(everything)
    seen: list[str] = []
    path: str = "/flavors?limit=5"
    while True:
        page = demo.get(path)
        seen += [flavor["id"] for flavor in page["flavors"]]
        if "flavors_links" not in page:
            break
        path = "/flavors" + page["flavors_links"][0]["href"].partition("/flavors")[2]
    assert seen == everything
    assert ids_of(demo, "?sort_key=memory_mb&sort_dir=desc&limit=2") == ["5", "4"]
    assert ids_of(demo, "?minRam=8192") == ["4", "5"]
    assert ids_of(demo, "?minDisk=80&minRam=10000") == ["5"]
    assert ids_of(demo, "?limit=0") == []
    assert ids_of(demo, "?name=m1.tiny", version="2.102") == ["1"]


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=x", "marker=none", "sort_key=secret", "sort_dir=up", "minRam=x", "minDisk=1.5", "marker="],
)
def test_lists_that_cannot_be(still_cloud: TestCloud, query: str) -> None:
    demo = Nova(still_cloud, "demo")
    demo.get(f"/flavors?{query}", status=400)
    demo.get(f"/flavors/detail?{query}", status=400)


def test_unknown_parameters_are_refused_since_2_75(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    assert len(ids_of(demo, "?what=1", version="2.74")) == 12
    demo.get("/flavors?what=1", status=400, version="2.75")
    demo.get("/flavors?name=x", status=400, version="2.101")
    demo.get("/flavors?sort_key=rxtx_factor", status=400, version="2.102")
    demo.get("/flavors/1?what=1", version="2.101")
    demo.get("/flavors/1?what=1", status=400, version=LATEST)


def test_private_flavors_are_for_those_let_in(still_cloud: TestCloud) -> None:
    admin, demo = Nova(still_cloud, "admin"), Nova(still_cloud, "demo")
    project = still_cloud.client("demo").get("/identity/v3/auth/projects").json()["projects"][0]["id"]
    make(admin, id="hidden", **{"os-flavor-access:is_public": False})
    demo.get("/flavors/hidden", status=404)
    demo.get("/flavors?marker=hidden", status=400)
    assert "hidden" not in ids_of(demo)
    assert "hidden" not in ids_of(admin)
    assert ids_of(admin, "?is_public=false") == ["hidden"]
    assert len(ids_of(admin, "?is_public=None")) == 13
    admin.get("/flavors?is_public=perhaps", status=400)
    assert admin.get("/flavors/hidden/os-flavor-access") == {"flavor_access": []}
    access = {"flavor_access": [{"flavor_id": "hidden", "tenant_id": project}]}
    assert admin.post("/flavors/hidden/action", {"addTenantAccess": {"tenant": project}}) == access
    assert admin.get("/flavors/hidden/os-flavor-access") == access
    assert "hidden" in ids_of(demo)
    assert demo.get("/flavors/hidden")["flavor"]["os-flavor-access:is_public"] is False
    admin.post("/flavors/hidden/action", {"addTenantAccess": {"tenant": project}}, status=409)
    assert admin.post("/flavors/hidden/action", {"removeTenantAccess": {"tenant": project}}) == {"flavor_access": []}
    admin.post("/flavors/hidden/action", {"removeTenantAccess": {"tenant": project}}, status=404)
    demo.get("/flavors/hidden", status=404)


def test_access_that_cannot_be(still_cloud: TestCloud) -> None:
    admin = Nova(still_cloud, "admin")
    project = still_cloud.client("demo").get("/identity/v3/auth/projects").json()["projects"][0]["id"]
    admin.get("/flavors/1/os-flavor-access", status=404)
    admin.post("/flavors/1/action", {"addTenantAccess": {"tenant": project}}, status=409, version="2.7")
    admin.post("/flavors/1/action", {"addTenantAccess": {"tenant": "nobody"}}, status=400)
    admin.post("/flavors/none/action", {"addTenantAccess": {"tenant": project}}, status=404)
    both = {"addTenantAccess": {"tenant": project}, "removeTenantAccess": {"tenant": project}}
    for body in ({}, both, {"addTenantAccess": {}}, {"addTenantAccess": {"tenant": ""}}, {"reboot": {}}):
        admin.post("/flavors/1/action", body, status=400)


def test_extra_specs(still_cloud: TestCloud) -> None:
    admin, demo = Nova(still_cloud, "admin"), Nova(still_cloud, "demo")
    make(admin, id="mine")
    given = {"extra_specs": {"hw:numa_nodes": "2", "count": 3}}
    assert admin.post("/flavors/mine/os-extra_specs", given) == given
    assert demo.get("/flavors/mine/os-extra_specs") == {"extra_specs": {"hw:numa_nodes": "2", "count": "3"}}
    assert demo.get("/flavors/mine/os-extra_specs/count") == {"count": "3"}
    assert admin.put("/flavors/mine/os-extra_specs/count", {"count": "4"}) == {"count": "4"}
    assert admin.put("/flavors/mine/os-extra_specs/new", {"new": "5"}) == {"new": "5"}
    admin.delete("/flavors/mine/os-extra_specs/hw:numa_nodes")
    admin.delete("/flavors/mine/os-extra_specs/hw:numa_nodes", status=404)
    demo.get("/flavors/mine/os-extra_specs/hw:numa_nodes", status=404)
    assert demo.get("/flavors/mine", version="2.61")["flavor"]["extra_specs"] == {"count": "4", "new": "5"}
    demo.get("/flavors/none/os-extra_specs", status=404)


@pytest.mark.parametrize(
    "specs", [{"": "x"}, {"a/b": "x"}, {"k" * 256: "x"}, {"a": "v" * 256}, {"a": None}, {"a": {}}, {"a": True}, "x"]
)
def test_extra_specs_that_cannot_be(still_cloud: TestCloud, specs: Any) -> None:
    admin = Nova(still_cloud, "admin")
    admin.post("/flavors/1/os-extra_specs", {"extra_specs": specs}, status=400)
    admin.put("/flavors/1/os-extra_specs/a", specs, status=400)
    admin.put("/flavors/1/os-extra_specs/a", {"a": "1", "b": "2"}, status=400)
    admin.put("/flavors/1/os-extra_specs/a", {"b": "2"}, status=400)
    assert set(admin.get("/flavors/1/os-extra_specs")["extra_specs"]) == {"hw_rng:allowed"}


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        ("hw:cpu_policy", "dedicated", True), ("hw:cpu_policy", "fast", False),
        ("hw:numa_nodes", "0", False), ("hw:numa_cpus.0", "0-3,^2", True), ("hw:numa_cpus.x", "0", False),
        ("hw:boot_menu", "yes", True), ("hw:boot_menu", "perhaps", False), ("hw:nothing_known", "1", False),
        ("quota:disk_read_iops_sec", "100", True), ("quota:disk_read_iops_sec", "-1", False),
        ("trait:CUSTOM_GOLD", "required", True), ("trait:CUSTOM_GOLD", "nice", False),
        ("resources1:VCPU", "2", True), ("resources:VCPU", "many", False),
        ("of:others", "anything", True), ("plain", "anything", True), ("group_policy", "some", False),
    ],
)  # fmt: skip
def test_values_are_checked_since_2_86(still_cloud: TestCloud, key: str, value: str, fits: bool) -> None:
    admin = Nova(still_cloud, "admin")
    body = {"extra_specs": {key: value}}
    admin.post("/flavors/1/os-extra_specs", body, status=200 if fits else 400, version="2.86")
    admin.put(f"/flavors/1/os-extra_specs/{key}", {key: value}, status=200 if fits else 400, version="2.86")
    admin.post("/flavors/1/os-extra_specs", body, version="2.85")
