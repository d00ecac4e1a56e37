"""What is asked of a running container: logs, commands, use, files; and images made of it."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

import pytest
from tests.api.containers.zun import PATH, Zun
from tests.cloud import TestCloud

from stackyard.host.containers.memory import Outcome


def tar(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def test_logs_come_as_text(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create()["uuid"]
    cloud.engine.write(uuid, b"hello\n")
    cloud.engine.write(uuid, b"wrong\n", stderr=True)
    assert zun.http.get(f"{PATH}/{uuid}/logs").json() == "hello\nwrong\n"
    assert zun.http.get(f"{PATH}/{uuid}/logs", params={"stderr": "False", "since": "None"}).json() == "hello\n"
    assert zun.http.get(f"{PATH}/{uuid}/logs", params={"tail": "1"}).json() == "wrong\n"
    assert zun.http.get(f"{PATH}/{uuid}/logs", params={"tail": "all", "since": "0"}).json() == "hello\nwrong\n"
    for query in ({"tail": "x"}, {"since": "yesterday"}, {"stdout": "perhaps"}, {"colour": "red"}):
        zun.refused("GET", f"{PATH}/{uuid}/logs", 400, params=query)


@pytest.mark.parametrize("in_body", [True, False])
def test_execute_answers_with_output_and_exit_code(cloud: TestCloud, in_body: bool) -> None:
    zun = Zun(cloud)
    uuid = zun.create()["uuid"]
    cloud.engine._run = lambda words: Outcome(stdout=" ".join(words[1:]).encode(), exit_code=4)
    asked = {"command": "echo 'hello there'"}
    response = zun.http.post(f"{PATH}/{uuid}/execute", **({"json": asked} if in_body else {"params": asked}))
    assert response.json() == {"output": "hello there", "exit_code": 4, "exec_id": None, "proxy_url": None}
    zun.refused("POST", f"{PATH}/{uuid}/execute", 400)
    zun.refused("POST", f"{PATH}/{uuid}/execute", 400, params={"command": "echo 'open"})


def test_interactive_sessions_are_refused_clearly(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create(interactive=True)["uuid"]
    asked = {"command": "sh", "run": "false", "interactive": "true"}
    assert "run=true" in zun.refused("POST", f"{PATH}/{uuid}/execute", 501, params=asked)["detail"]
    zun.refused("GET", f"{PATH}/{uuid}/attach", 501)
    zun.refused("POST", f"{PATH}/{uuid}/resize", 501, params={"h": 10, "w": 10})


def test_use_and_processes(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create(name="web", memory=256, command=["sleep", "9"])["uuid"]
    used = zun.http.get(f"{PATH}/{uuid}/stats").json()
    assert (used["CONTAINER"], used["MEM LIMIT(MiB)"], used["NET I/O(B)"]) == ("web", 256.0, "0/0")
    top = zun.http.get(f"{PATH}/{uuid}/top", params={"ps_args": "None"}).json()
    assert top["Processes"][0][-1] == "sleep 9"
    zun.refused("GET", f"{PATH}/{uuid}/top", 400, params={"ps_args": "; rm"})


def test_files_go_in_and_out(cloud: TestCloud) -> None:
    zun, old = Zun(cloud), Zun(cloud, version="1.24")
    uuid = zun.create()["uuid"]
    data = base64.b64encode(tar("a.txt", b"text")).decode()
    response = zun.http.post(f"{PATH}/{uuid}/put_archive", params={"path": "/tmp"}, json={"data": data})
    assert response.status_code == 200
    found = zun.http.get(f"{PATH}/{uuid}/get_archive", params={"path": "/tmp/a.txt"}).json()
    assert found["stat"]["name"] == "a.txt"
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(found["data"]))) as archive:
        member = archive.extractfile("a.txt")
        assert member is not None
        assert member.read() == b"text"
    plain = {"data": tar("b.txt", b"old").decode()}
    assert old.http.post(f"{PATH}/{uuid}/put_archive", params={"path": "/tmp"}, json=plain).status_code == 200
    assert "old" in old.http.get(f"{PATH}/{uuid}/get_archive", params={"path": "/tmp/b.txt"}).json()["data"]
    zun.refused("GET", f"{PATH}/{uuid}/get_archive", 400, params={"path": "/nothing"})
    zun.refused("POST", f"{PATH}/{uuid}/put_archive", 400, params={"path": "/tmp"}, json={"data": "?"})
    zun.refused("POST", f"{PATH}/{uuid}/put_archive", 400, params={"path": "/tmp"})


def test_commit_makes_an_image_that_containers_run_from(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create()["uuid"]
    response = zun.http.post(f"{PATH}/{uuid}/commit", params={"repository": "myrepo"})
    assert response.status_code == 202
    cloud.settle()
    image = zun.http.get(f"/image/v2/images/{response.json()['uuid']}").json()
    assert (image["name"], image["status"], image["container_format"]) == ("myrepo", "active", "docker")
    found = zun.create(image="myrepo", image_driver="glance")
    assert (found["status"], found["image"], found["image_driver"]) == ("Running", "myrepo", "glance")


def test_image_of_the_image_service_must_be_there_and_usable(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    zun.refused("POST", PATH, 404, json={"image": "nothing", "image_driver": "glance"})
    zun.http.post("/image/v2/images", json={"name": "empty", "container_format": "docker", "disk_format": "raw"})
    assert "queued" in zun.refused("POST", PATH, 409, json={"image": "empty", "image_driver": "glance"})["detail"]
    taken = {"image": "stackyard-image/9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"}
    assert "reserved" in zun.refused("POST", PATH, 400, json=taken)["detail"]


def test_a_file_that_came_along_is_mounted(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    content = base64.b64encode(b"Random text").decode()
    uuid = zun.create(mounts=[{"type": "bind", "source": content, "destination": "/data/testfile"}])["uuid"]
    (mount,) = cloud.engine._containers[uuid].spec.mounts
    assert mount.target == "/data/testfile"
    assert Path(mount.source).read_bytes() == b"Random text"
    zun.delete(uuid, stop="true")
    assert not Path(mount.source).exists()


def test_limits_change_on_the_host(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    uuid = zun.create(cpu=0.1, memory=100)["uuid"]
    found = zun.http.patch(f"{PATH}/{uuid}", json={"cpu": 0.2, "memory": "200"}).json()
    assert (found["cpu"], found["memory"]) == (0.2, "200")
    cloud.settle()
    spec = cloud.engine._containers[uuid].spec
    assert (spec.cpus, spec.memory) == (0.2, 200)
    assert zun.quota_use()["memory"] == 200
    response = zun.http.post(f"{PATH}/{uuid}/resize_container", json={"memory": 64})
    assert (response.status_code, response.json()["memory"]) == (202, "64")
    for body in ({"memory": 1}, {"cpu": "x"}, {"name": "?"}, {"name": None}, {"image": "x"}):
        zun.refused("PATCH", f"{PATH}/{uuid}", 400, json=body)
