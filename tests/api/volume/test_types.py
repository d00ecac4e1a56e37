"""Volume types, their extra specs, who may use which, encryption, and projects' default types."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.volume.cinder import Cinder
from tests.cloud import TestCloud

UNKNOWN = "00000000-0000-0000-0000-000000000000"


def make(admin: Cinder, name: str = "fast", **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = admin.post("/types", {"volume_type": {"name": name} | fields})["volume_type"]
    return found


def project_of(cloud: TestCloud, name: str) -> str:
    answer = cloud.client("admin").get(f"/identity/v3/projects?name={name}")
    return str(answer.json()["projects"][0]["id"])


def test_a_new_cloud_has_a_default_type(still_cloud: TestCloud) -> None:
    demo = Cinder(still_cloud, "demo")
    (found,) = demo.get("/types")["volume_types"]
    assert found["name"] == "__DEFAULT__"
    assert found["extra_specs"] == {}
    assert "qos_specs_id" not in found
    assert demo.get("/types/default")["volume_type"]["id"] == found["id"]


def test_making_changing_and_deleting(still_cloud: TestCloud) -> None:
    admin = Cinder(still_cloud, "admin")
    made = make(admin, description="quick", extra_specs={"volume_backend_name": "file"})
    assert set(made) == {"id", "name", "is_public", "extra_specs", "description", "os-volume-type-access:is_public"}
    changed = admin.put(f"/types/{made['id']}", {"volume_type": {"name": "faster", "is_public": False}})["volume_type"]
    assert (changed["name"], changed["description"], changed["is_public"]) == ("faster", "quick", False)
    seen = admin.get(f"/types/{made['id']}")["volume_type"]
    assert seen["qos_specs_id"] is None
    assert seen["os-volume-type-access:is_public"] is False
    admin.delete(f"/types/{made['id']}", status=202)
    admin.get(f"/types/{made['id']}", status=404)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "volume_type"),
        ({"volume_type": {}}, "name"),
        ({"volume_type": {"name": ""}}, "name"),
        ({"volume_type": {"name": "   "}}, "name"),
        ({"volume_type": {"name": "x" * 256}}, "name"),
        ({"volume_type": {"name": 7}}, "name"),
        ({"volume_type": {"name": "a", "description": "x" * 256}}, "description"),
        ({"volume_type": {"name": "a", "extra_specs": {"k": "v" * 256}}}, "extra_specs"),
        ({"volume_type": {"name": "a", "extra_specs": {"k;drop": "v"}}}, "extra_specs"),
        ({"volume_type": {"name": "a", "os-volume-type-access:is_public": "perhaps"}}, "is_public"),
        ({"volume_type": {"name": "a", "surprise": 1}}, "surprise"),
    ],
)
def test_bad_types_are_refused(still_cloud: TestCloud, body: Any, named: str) -> None:
    assert named in Cinder(still_cloud, "admin").post("/types", body, status=400)["message"]


def test_what_may_not_be_done_to_types(still_cloud: TestCloud) -> None:
    admin, demo = Cinder(still_cloud, "admin"), Cinder(still_cloud, "demo")
    made = make(admin)
    admin.post("/types", {"volume_type": {"name": "fast"}}, status=409)
    admin.put(f"/types/{made['id']}", {"volume_type": {"name": "__DEFAULT__"}}, status=409)
    admin.put(f"/types/{made['id']}", {"volume_type": {}}, status=400)
    default = admin.get("/types/default")["volume_type"]["id"]
    assert "default" in admin.delete(f"/types/{default}", status=400)["message"]
    for method, path in (("POST", "/types"), ("PUT", f"/types/{made['id']}"), ("DELETE", f"/types/{made['id']}")):
        body = None if method == "DELETE" else {"volume_type": {"name": "mine"}}
        demo.call(method, path, body, status=403)
    admin.delete(f"/types/{UNKNOWN}", status=404)


def test_private_types_are_for_some_projects(still_cloud: TestCloud) -> None:
    admin, demo = Cinder(still_cloud, "admin"), Cinder(still_cloud, "demo")
    made = make(admin, "secret", **{"os-volume-type-access:is_public": False})
    path, project = f"/types/{made['id']}", project_of(still_cloud, "demo")
    demo.get(path, status=404)
    assert [one["name"] for one in admin.get("/types?is_public=false")["volume_types"]] == ["secret"]
    assert len(admin.get("/types")["volume_types"]) == 1
    assert len(admin.get("/types?is_public=None")["volume_types"]) == 2
    admin.post(f"{path}/action", {"addProjectAccess": {"project": project}}, status=202)
    admin.post(f"{path}/action", {"addProjectAccess": {"project": project}}, status=409)
    assert admin.get(f"{path}/os-volume-type-access") == {
        "volume_type_access": [{"volume_type_id": made["id"], "project_id": project}]
    }
    assert demo.get(path)["volume_type"]["name"] == "secret"
    assert {one["name"] for one in demo.get("/types")["volume_types"]} == {"secret", "__DEFAULT__"}
    admin.post(f"{path}/action", {"removeProjectAccess": {"project": project}}, status=202)
    admin.post(f"{path}/action", {"removeProjectAccess": {"project": project}}, status=404)
    demo.get(path, status=404)


@pytest.mark.parametrize("body", [{}, {"addProjectAccess": {}}, {"addProjectAccess": {"project": ""}}, {"fly": {}}])
def test_bad_access_is_refused(still_cloud: TestCloud, body: Any) -> None:
    admin = Cinder(still_cloud, "admin")
    made = make(admin, **{"os-volume-type-access:is_public": False})
    admin.post(f"/types/{made['id']}/action", body, status=400)


def test_access_to_public_types_is_not_managed(still_cloud: TestCloud) -> None:
    admin, demo = Cinder(still_cloud, "admin"), Cinder(still_cloud, "demo")
    path = f"/types/{make(admin)['id']}"
    admin.get(f"{path}/os-volume-type-access", status=404)
    admin.post(f"{path}/action", {"addProjectAccess": {"project": "p"}}, status=400)
    demo.post(f"{path}/action", {"addProjectAccess": {"project": "p"}}, status=403)
    demo.get(f"{path}/os-volume-type-access", status=403)


def test_extra_specs(still_cloud: TestCloud) -> None:
    admin, demo = Cinder(still_cloud, "admin"), Cinder(still_cloud, "demo")
    path = f"/types/{make(admin)['id']}/extra_specs"
    specs = {"volume_backend_name": "file", "multiattach": "<is> True"}
    assert admin.post(path, {"extra_specs": specs}) == {"extra_specs": specs}
    assert admin.get(path)["extra_specs"] == specs
    assert demo.get(path)["extra_specs"] == {"multiattach": "<is> True"}
    demo.get(f"{path}/volume_backend_name", status=404)
    assert admin.put(f"{path}/volume_backend_name", {"volume_backend_name": "lvm"}) == {"volume_backend_name": "lvm"}
    admin.put(f"{path}/other", {"volume_backend_name": "lvm"}, status=400)
    admin.put(f"{path}/multiattach", {"a": "1", "multiattach": "2"}, status=400)
    admin.post(path, {"extra_specs": {"bad key": "x"}}, status=400)
    assert "cacheable" in admin.post(path, {"extra_specs": {"cacheable": "<is> True"}}, status=400)["message"]
    admin.delete(f"{path}/multiattach", status=202)
    admin.delete(f"{path}/multiattach", status=404)
    demo.post(path, {"extra_specs": {"a": "b"}}, status=403)
    demo.delete(f"{path}/volume_backend_name", status=403)


def test_types_are_found_by_extra_specs(still_cloud: TestCloud) -> None:
    admin, demo = Cinder(still_cloud, "admin"), Cinder(still_cloud, "demo")
    make(admin, "shared", extra_specs={"multiattach": "<is> True"})
    make(admin, "other", extra_specs={"volume_backend_name": "x"})
    query = "/types?extra_specs={'multiattach':'<is> True'}"
    assert [one["name"] for one in demo.get(query)["volume_types"]] == ["shared"]
    assert [one["name"] for one in admin.get("/types?extra_specs={'volume_backend_name':'x'}")["volume_types"]] == [
        "other"
    ]
    assert demo.get("/types?extra_specs={'volume_backend_name':'x'}")["volume_types"] == []
    for bad in ("7", "{'a': 7}", "__import__('os')", "{'a\"b': 'c'}", "[" * 5000):
        admin.get(f"/types?extra_specs={bad}", status=400)


def test_pages_of_types(still_cloud: TestCloud) -> None:
    admin = Cinder(still_cloud, "admin")
    for name in ("a", "b", "c"):
        make(admin, name)
    first = admin.get("/types?limit=2&sort=name:asc")
    assert [one["name"] for one in first["volume_types"]] == ["__DEFAULT__", "a"]
    assert first["volume_type_links"][0]["rel"] == "next"
    rest = admin.http.get(first["volume_type_links"][0]["href"]).json()
    assert [one["name"] for one in rest["volume_types"]] == ["b", "c"]
    assert [one["name"] for one in admin.get("/types?offset=3&sort_key=name")["volume_types"]] == ["__DEFAULT__"]
    assert admin.get("/types?limit=0")["volume_types"] == []
    for bad in ("limit=-1", "limit=x", "offset=-1", "sort=nope", "sort=name:up", "marker=nobody", "surprise=1"):
        admin.get(f"/types?{bad}", status=400)


def test_encryption_of_a_type(still_cloud: TestCloud) -> None:
    admin, demo = Cinder(still_cloud, "admin"), Cinder(still_cloud, "demo")
    made = make(admin)
    path = f"/types/{made['id']}/encryption"
    assert admin.get(path) == {}
    wanted = {"provider": "luks", "control_location": "front-end", "cipher": "aes-xts-plain64", "key_size": "256"}
    has = admin.post(path, {"encryption": wanted})["encryption"]
    assert has == {**wanted, "key_size": 256, "volume_type_id": made["id"], "encryption_id": has["encryption_id"]}
    admin.post(path, {"encryption": wanted}, status=400)
    seen = admin.get(path)
    assert seen["created_at"]
    assert seen["updated_at"] is None
    assert admin.get(f"{path}/cipher") == {"cipher": "aes-xts-plain64"}
    admin.get(f"{path}/nothing", status=404)
    one = f"{path}/{has['encryption_id']}"
    assert admin.put(one, {"encryption": {"key_size": 512}}) == {"encryption": {"key_size": 512}}
    assert admin.get(path)["key_size"] == 512
    admin.put(one, {"encryption": {"key_size": -1}}, status=400)
    admin.put(one, {"encryption": {"control_location": "moon"}}, status=400)
    admin.put(f"{path}/{UNKNOWN}", {"encryption": {"key_size": 1}}, status=404)
    demo.get(path, status=403)
    admin.delete(one, status=202)
    assert admin.get(path) == {}
    admin.post(path, {"encryption": {"provider": "luks"}}, status=400)


def test_default_types_of_projects(still_cloud: TestCloud) -> None:
    admin, demo = Cinder(still_cloud, "admin"), Cinder(still_cloud, "demo")
    made, project = make(admin), project_of(still_cloud, "demo")
    path = f"/default-types/{project}"
    expected = {"project_id": project, "volume_type_id": made["id"]}
    admin.get(path, status=404)
    assert admin.put(path, {"default_type": {"volume_type": "fast"}}) == {"default_type": expected}
    assert admin.get(path) == {"default_type": expected}
    assert admin.get("/default-types") == {"default_types": [expected]}
    assert demo.get("/types/default")["volume_type"]["name"] == "fast"
    assert "default" in admin.delete(f"/types/{made['id']}", status=400)["message"]
    admin.put(path, {"default_type": {"volume_type": "nothing"}}, status=400)
    admin.put(path, {"default_type": {}}, status=400)
    admin.put("/default-types/nobody", {"default_type": {"volume_type": "fast"}}, status=404)
    admin.get(path, version="3.61", status=404)
    demo.get(path, status=403)
    admin.delete(path, status=204)
    admin.get(path, status=404)
