"""The documents of versions, the addresses that mean the same, and the list of extensions."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud


def get(cloud: TestCloud, path: str, status: int = 200, **headers: str) -> Any:
    answer = cloud.http.get(f"/compute{path}", headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_versions(still_cloud: TestCloud) -> None:
    for path in ("", "/"):
        old, new = get(still_cloud, path)["versions"]
        assert (old["id"], old["status"], old["version"], old["min_version"]) == ("v2.0", "DEPRECATED", "", "")
        assert (new["id"], new["status"], new["version"], new["min_version"]) == ("v2.1", "CURRENT", LATEST, "2.1")
        keys = {"id", "status", "version", "min_version", "updated", "links"}
        assert set(old) == set(new) == keys


def test_each_version_is_where_its_link_leads(still_cloud: TestCloud) -> None:
    for version in get(still_cloud, "/")["versions"]:
        path = version["links"][0]["href"].partition("/compute")[2]
        for address in (path, path.rstrip("/")):
            shown = get(still_cloud, address)["version"]
            assert shown["id"] == version["id"]
            assert [link for link in shown["links"] if link["rel"] == "self"] == version["links"]
            assert shown["media-types"][0]["base"] == "application/json"


def test_documents_below_a_version(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    assert demo.get("/versions/v2.0")["version"]["id"] == "v2.0"
    assert demo.get("/versions/v2.1")["version"]["id"] == "v2.1"
    demo.get("/versions/v3", status=404)


def test_other_addresses_are_a_choice(still_cloud: TestCloud) -> None:
    choices = get(still_cloud, "/v3/servers", 300)["choices"]
    assert [choice["id"] for choice in choices] == ["v2.0", "v2.1"]
    assert choices[1]["links"][0]["href"].endswith("/compute/v2.1/v3/servers")
    assert set(choices[0]) == {"id", "status", "links", "media-types"}


def test_both_headers_say_the_microversion(still_cloud: TestCloud) -> None:
    client = still_cloud.client("demo")
    for header in ({"OpenStack-API-Version": "compute 2.55"}, {"X-OpenStack-Nova-API-Version": "2.55"}):
        answer = client.get("/compute/v2.1/flavors/1", headers=header)
        assert answer.headers["OpenStack-API-Version"] == "compute 2.55"
        assert answer.headers["X-OpenStack-Nova-API-Version"] == "2.55"
        assert answer.headers["Vary"] == "OpenStack-API-Version, x-openstack-nova-api-version"
        assert "description" in answer.json()["flavor"]
    get(still_cloud, "/v2.1/flavors", 406, **{"OpenStack-API-Version": "compute 2.105"})
    get(still_cloud, "/v2.1/flavors", 400, **{"OpenStack-API-Version": "compute new"})


def test_a_project_may_stand_in_the_address(still_cloud: TestCloud) -> None:
    demo, admin = Nova(still_cloud, "demo"), Nova(still_cloud, "admin")
    mine = demo.http.get("/identity/v3/auth/projects").json()["projects"][0]["id"]
    other = next(p["id"] for p in admin.http.get("/identity/v3/projects").json()["projects"] if p["id"] != mine)
    assert demo.get(f"/{mine}/flavors/1") == demo.get("/flavors/1")
    assert demo.get(f"/{mine}/flavors/1", version="2.61")["flavor"]["extra_specs"]
    assert demo.get(f"/{mine}/")["version"]["id"] == "v2.1"
    fault = demo.get(f"/{other}/flavors/1", status=400)
    assert "doesn't match Context's project_id" in fault["message"]
    admin.get(f"/{mine}/flavors/1", status=400)
    demo.get("/not-hexadecimal/flavors/1", status=404)
    get(still_cloud, f"/v2.1/{mine}/flavors/1", 401)


def test_the_old_version_is_the_first_microversion(still_cloud: TestCloud) -> None:
    client = still_cloud.client("demo")
    answer = client.get("/compute/v2/flavors/1", headers={"OpenStack-API-Version": "compute 2.61"})
    assert answer.status_code == 200
    assert "description" not in answer.json()["flavor"]
    assert "OpenStack-API-Version" not in answer.headers
    project = client.get("/identity/v3/auth/projects").json()["projects"][0]["id"]
    assert client.get(f"/compute/v2/{project}/flavors/1").json() == answer.json()
    assert client.get("/compute/v2/what").status_code == 404


@pytest.mark.parametrize("path", ["/what", "/flavors/1/what/more", "/flavors/"])
def test_what_is_not_there(still_cloud: TestCloud, path: str) -> None:
    Nova(still_cloud, "demo").get(path, status=404 if "what" in path else 200)


def test_methods_that_are_not_there(still_cloud: TestCloud) -> None:
    Nova(still_cloud, "demo").put("/flavors", {}, status=404)
    Nova(still_cloud, "demo").delete("/os-security-groups/", status=404)


def test_extensions(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    found = demo.get("/extensions")["extensions"]
    assert {"Hosts", "Keypairs", "SecurityGroups"} <= {extension["name"] for extension in found}
    assert len(found) == 99
    shown = demo.get("/extensions/os-consoles")["extension"]
    assert shown in found
    assert set(shown) == {"alias", "name", "description", "links", "namespace", "updated"}
    demo.get("/extensions/none", status=404)
    demo.get("/extensions?what=1")
    demo.get("/extensions?what=1", status=400, version=LATEST)
    get(still_cloud, "/v2.1/extensions", 401)
