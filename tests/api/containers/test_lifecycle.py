"""A container's life: create, run, stop, start, pause, reboot, rebuild, kill, delete."""

from __future__ import annotations

import pytest
from tests.api.containers.zun import PATH, Zun, eventually
from tests.cloud import TestCloud

from stackyard.host.errors import HostError
from stackyard.services.containers.quotas import RESOURCES


def running(cloud: TestCloud, uuid: str) -> bool:
    seen = cloud.engine.inspect(uuid)
    return seen is not None and seen.state == "running"


def test_run_gives_a_running_container_with_an_address(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    found = zun.create(name="web", environment={"A": "1"}, labels={"l": "2"}, cpu=0.5, memory=100)
    assert (found["status"], found["task_state"], found["status_reason"]) == ("Running", None, None)
    assert found["status_detail"].startswith("Up ")
    assert (found["cpu"], found["memory"]) == (0.5, "100")
    assert (found["environment"], found["labels"]) == ({"A": "1"}, {"l": "2"})
    assert found["ports"] == [80]
    ((address, *_),) = found["addresses"].values()
    assert address["version"] in (4, 6)
    assert address["preserve_on_delete"] is False
    seen = cloud.engine.inspect(found["uuid"])
    assert seen is not None
    assert seen.state == "running"
    assert seen.hostname == "web"


def test_create_without_run_waits_to_be_started(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    made = zun.create(run=False, name="box")
    assert (made["status"], made["status_detail"]) == ("Created", "Created")
    assert zun.act("box", "start")["status"] == "Running"


def test_name_is_made_up_when_none_is_given(cloud: TestCloud) -> None:
    assert Zun(cloud).create()["name"].endswith("-container")


def test_every_action_leads_where_it_should(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create(name="web")["uuid"]
    assert zun.act(uuid, "pause")["status"] == "Paused"
    assert zun.act(uuid, "unpause")["status"] == "Running"
    assert zun.act(uuid, "stop", timeout=1)["status"] == "Stopped"
    assert zun.act(uuid, "start")["status"] == "Running"
    before = cloud.engine.inspect(uuid)
    assert zun.act(uuid, "reboot", timeout=1)["status"] == "Running"
    after = cloud.engine.inspect(uuid)
    assert before is not None
    assert after is not None
    assert after.pid != before.pid
    assert zun.act(uuid, "rebuild", image="busybox")["image"] == "busybox"
    rebuilt = cloud.engine.inspect(uuid)
    assert rebuilt is not None
    assert (rebuilt.image, rebuilt.state) == ("busybox:latest", "running")
    assert zun.act(uuid, "kill", signal="SIGKILL")["status"] == "Stopped"
    assert zun.act(uuid, "rebuild")["status"] == "Created"


def test_kill_with_a_harmless_signal_leaves_it_running(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create()["uuid"]
    assert zun.act(uuid, "kill", signal="hup")["status"] == "Running"
    zun.refused("POST", f"{PATH}/{uuid}/kill", 400, params={"signal": "SIGNONE"})


def test_wrong_state_is_409_and_says_so(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create(run=False)["uuid"]
    fault = zun.refused("POST", f"{PATH}/{uuid}/stop", 409)
    assert fault["code"] == "container.invalid-state-exception"
    assert f"Cannot stop container {uuid} in Created state" in fault["detail"]
    running = zun.create()["uuid"]
    fault = zun.refused("DELETE", f"{PATH}/{running}", 409)
    assert "in Running state" in fault["detail"]


def test_delete_gives_everything_back(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create(cpu=1, memory=64, disk=1, exposed_ports={"80/tcp": {}})["uuid"]
    assert zun.quota_use() == {"containers": 1, "cpu": 1, "memory": 64, "disk": 1}
    zun.delete(uuid, stop="true")
    assert zun.list() == []
    assert zun.quota_use() == dict.fromkeys(RESOURCES, 0)
    assert cloud.engine.inspect(uuid) is None
    assert cloud.engine.sandboxes() == frozenset()
    zun.refused("GET", f"{PATH}/{uuid}", 404)


def test_forced_delete_is_for_administrators(cloud: TestCloud) -> None:
    zun, admin = Zun(cloud), Zun(cloud, "admin")
    uuid = zun.create()["uuid"]
    zun.refused("DELETE", f"{PATH}/{uuid}", 403, params={"force": "true"})
    admin.delete(uuid, force="true")
    assert zun.list() == []


@pytest.mark.parametrize("version", ["1.6"])
def test_force_and_stop_need_their_versions(cloud: TestCloud, version: str) -> None:
    zun = Zun(cloud, "admin", version)
    uuid = zun.create(run=False)["uuid"]
    assert "force" in zun.refused("DELETE", f"{PATH}/{uuid}", 400, params={"force": "true"})["detail"]
    assert "stop" in zun.refused("DELETE", f"{PATH}/{uuid}", 400, params={"stop": "true"})["detail"]


def test_unknown_image_ends_in_error_with_the_cause_and_can_be_deleted(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    found = zun.create(image="no-such-image")
    assert found["status"] == "Error"
    assert "no-such-image" in found["status_reason"]
    zun.delete(found["uuid"])
    assert zun.list() == []
    assert zun.quota_use() == dict.fromkeys(RESOURCES, 0)


def test_missing_command_ends_in_error_and_start_tries_again(cloud: TestCloud) -> None:
    from stackyard.host.containers.memory import MemoryImage

    zun = Zun(cloud)
    cloud.engine.store.add("small", MemoryImage(programs=frozenset({"sh"})))
    found = zun.create(image="small", command=["nothere"])
    assert found["status"] == "Error"
    assert "nothere" in found["status_reason"]
    assert zun.act(found["uuid"], "start")["status"] == "Error"
    zun.delete(found["uuid"])
    assert cloud.engine.sandboxes() == frozenset()


def test_a_failure_that_passes_is_tried_again(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    cloud.engine.fail_next("create", HostError("no space just now"))
    cloud.engine.fail_next("start", HostError("busy"))
    assert zun.create()["status"] == "Running"


def test_a_process_that_ends_by_itself_is_seen(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create()["uuid"]
    cloud.engine.finish(uuid, 3)
    found = zun.until(uuid, "Stopped")
    assert "exit code 3" in found["status_reason"]
    assert found["status_detail"].startswith("Exited(3)")


def test_auto_remove_deletes_it_then(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create(auto_remove=True)["uuid"]
    cloud.engine.finish(uuid, 0)
    zun.until(uuid, None)
    assert zun.quota_use() == dict.fromkeys(RESOURCES, 0)


def test_restart_policy_is_left_to_the_engine(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    made = zun.create(restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})
    assert made["restart_policy"] == {"Name": "on-failure", "MaximumRetryCount": "2"}
    cloud.engine.finish(made["uuid"], 1)
    assert zun.until(made["uuid"], "Running")["status"] == "Running"


def test_a_container_that_vanished_is_error_and_start_makes_it_anew(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create()["uuid"]
    cloud.engine.remove(uuid, force=True)
    assert "removed it" in zun.until(uuid, "Error")["status_reason"]
    assert zun.act(uuid, "start")["status"] == "Running"


def test_auto_heal_makes_it_anew_by_itself(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create(auto_heal=True)["uuid"]
    cloud.engine.remove(uuid, force=True)
    eventually(lambda: running(cloud, uuid))
    assert zun.until(uuid, "Running")["task_state"] is None


def test_engine_away_is_waited_for(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    cloud.engine.available = False
    response = zun.http.post(PATH, params={"run": "true"}, json={"image": "nginx"})
    assert response.status_code == 202
    uuid = response.json()["uuid"]
    assert zun.show(uuid)["status"] == "Creating"
    zun.refused("GET", "/container/v1/hosts", 403)
    cloud.engine.available = True
    assert zun.until(uuid, "Running")["status"] == "Running"


def test_actions_are_kept_with_their_outcome(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create()["uuid"]
    response = zun.http.post(f"{PATH}/{uuid}/rebuild")
    zun.rested(uuid)
    request_id = response.headers["x-openstack-request-id"]
    action = zun.http.get(f"{PATH}/{uuid}/container_actions/{request_id}").json()
    assert (action["action"], action["message"]) == ("rebuild", None)
    assert action["finish_time"] is not None
    assert action["events"][0]["result"] == "Success"
    names = [a["action"] for a in zun.http.get(f"{PATH}/{uuid}/container_actions").json()["containerActions"]]
    assert names == ["rebuild", "create"]
