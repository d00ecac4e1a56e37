"""Lists, names, who sees what, and the faults of bad questions."""

from __future__ import annotations

import pytest
from tests.api.containers.zun import PATH, Zun
from tests.cloud import TestCloud

from stackyard.services.containers.containers import views


def test_pages_sorts_and_filters(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    for name in ("bb", "aa", "cc"):
        zun.create(name=name, run=False)
    assert [c["name"] for c in zun.list()] == ["bb", "aa", "cc"]
    assert [c["name"] for c in zun.list(sort_key="name", sort_dir="desc")] == ["cc", "bb", "aa"]
    assert [c["name"] for c in zun.list(name="aa")] == ["aa"]
    assert [c["name"] for c in zun.list(status="Created", memory=512)] == ["bb", "aa", "cc"]
    assert zun.list(status="Running") == []
    first = zun.http.get(PATH, params={"limit": 2}).json()
    assert [c["name"] for c in first["containers"]] == ["bb", "aa"]
    second = zun.http.get(first["next"]).json()
    assert [c["name"] for c in second["containers"]] == ["cc"]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"colour": "red"}, "colour"),
        ({"limit": "0"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"sort_key": "nothing"}, "sort_key"),
        ({"sort_dir": "up"}, "sort_dir"),
        ({"marker": "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"}, "arker"),
        ({"all_projects": "perhaps"}, "all_projects"),
    ],
)
def test_bad_questions_name_the_parameter(cloud: TestCloud, query: dict[str, str], word: str) -> None:
    assert word in Zun(cloud).refused("GET", PATH, 400, params=query)["detail"]


def test_projects_do_not_see_each_other(cloud: TestCloud) -> None:
    demo, admin = Zun(cloud), Zun(cloud, "admin")
    uuid = demo.create(name="mine", run=False)["uuid"]
    assert admin.list() == []
    assert [c["uuid"] for c in admin.list(all_projects="true")] == [uuid]
    assert admin.show(uuid)["uuid"] == uuid
    demo.refused("GET", PATH, 403, params={"all_projects": "true"})
    theirs = admin.create(name="theirs", run=False)["uuid"]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/start"), ("GET", "/logs")):
        fault = demo.refused(method, f"{PATH}/{theirs}{path}", 404)
        assert fault["code"] == "container.container-not-found"


def test_host_is_shown_to_administrators_only(cloud: TestCloud) -> None:
    demo, admin = Zun(cloud), Zun(cloud, "admin")
    assert not {"host", "privileged", "runtime", "image_pull_policy"} & set(demo.create(run=False))
    assert admin.create(run=False, host="testhost", image_pull_policy="never", privileged=True)["host"] == "testhost"
    demo.refused("POST", PATH, 403, json={"image": "nginx", "privileged": True})
    demo.refused("POST", PATH, 403, json={"image": "nginx", "host": "testhost"})
    assert "host" in admin.refused("POST", PATH, 400, json={"image": "nginx", "host": "elsewhere"})["detail"]


def test_a_name_that_two_have_is_ambiguous(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    zun.create(name="twin", run=False)
    zun.create(name="twin", run=False)
    assert "uuid" in zun.refused("GET", f"{PATH}/twin", 409)["detail"]


def test_show_has_every_key_that_clients_read(cloud: TestCloud) -> None:
    found = Zun(cloud, "admin").create(run=False)
    expected = (
        "uuid links name image image_driver image_pull_policy command entrypoint status status_reason status_detail "
        "task_state cpu cpu_policy memory disk environment workdir ports hostname labels addresses host restart_policy "
        "interactive tty security_groups auto_remove auto_heal runtime privileged healthcheck registry_id user_id "
        "project_id created_at updated_at"
    )
    assert set(found) == set(expected.split())
    assert found["links"][0]["href"].endswith(f"/container/v1/containers/{found['uuid']}")


def test_what_is_kept_of_a_view_never_outlives_a_change(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create(name="one", run=False)["uuid"]
    assert zun.list()[0]["name"] == "one"
    assert zun.http.patch(f"{PATH}/{uuid}", json={"name": "two"}).json()["name"] == "two"
    assert zun.list()[0]["name"] == "two"
    assert uuid in views._kept


def test_versions(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    root = zun.http.get("/container/").json()
    assert (root["versions"][0]["min_version"], root["versions"][0]["max_version"]) == ("1.1", "1.40")
    response = zun.http.get("/container/v1")
    assert response.json()["containers"][0]["rel"] == "self"
    assert response.headers["openstack-api-version"] == "container 1.40"
    refused = cloud.client("demo", **{"OpenStack-API-Version": "container 1.41"}).get(PATH)
    assert refused.status_code == 406
    assert refused.json()["errors"][0]["max_version"] == "1.40"
