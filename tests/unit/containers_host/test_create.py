"""A spec as the engine's request, and the files that the container sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stackyard.host.containers.docker_create import (
    HostFeatures,
    check_spec,
    container_files,
    container_name,
    create_body,
    hostname_of,
    is_image_name,
)
from stackyard.host.containers.docker_images import split_name
from stackyard.host.errors import SpecError
from stackyard.host.specs import BindMount, ContainerSpec, HealthCheck

ALL = HostFeatures(cpu_quota=True, disk_limit=True)
NONE = HostFeatures(cpu_quota=False, disk_limit=False)


def spec(**fields: Any) -> ContainerSpec:
    return ContainerSpec(**{"id": "0f-1", "image": "nginx", **fields})


def body(features: HostFeatures = ALL, **fields: Any) -> dict[str, Any]:
    return create_body(spec(**fields), "cloud", Path("/files"), features)


def test_the_least_says_little() -> None:
    made = body()
    assert (made["Image"], made["Env"]) == ("nginx", [])
    assert not {"Cmd", "Entrypoint", "WorkingDir", "Healthcheck"} & set(made)
    assert not {"Memory", "NanoCpus", "StorageOpt"} & set(made["HostConfig"])
    assert made["HostConfig"]["RestartPolicy"] == {"Name": "", "MaximumRetryCount": 0}


def test_units_are_the_engines() -> None:
    check = HealthCheck(command="true", interval=1.5, timeout=2, retries=4)
    made = body(memory=64, cpus=0.25, disk=100, health_check=check)
    config = made["HostConfig"]
    assert (config["Memory"], config["NanoCpus"], config["StorageOpt"]) == (64 << 20, 250_000_000, {"size": "100M"})
    assert made["Healthcheck"] == {
        "Test": ["CMD-SHELL", "true"],
        "Interval": 1_500_000_000,
        "Timeout": 2_000_000_000,
        "Retries": 4,
    }


def test_limits_that_the_machine_lacks_are_left_out() -> None:
    config = body(NONE, memory=64, cpus=1, disk=100)["HostConfig"]
    assert config["Memory"] == 64 << 20
    assert not {"NanoCpus", "StorageOpt"} & set(config)


def test_retries_count_on_failure_only() -> None:
    retried = body(restart_policy="on-failure", restart_retries=3)["HostConfig"]["RestartPolicy"]
    assert retried == {"Name": "on-failure", "MaximumRetryCount": 3}
    always = body(restart_policy="always", restart_retries=3)["HostConfig"]["RestartPolicy"]
    assert always == {"Name": "always", "MaximumRetryCount": 0}


def test_an_empty_entrypoint_takes_the_images_away() -> None:
    assert body(entrypoint=())["Entrypoint"] == [""]
    assert body(entrypoint=("a",), command=())["Cmd"] == []


def test_labels_of_ours_win() -> None:
    labels = body(labels={"a": "1", "stackyard.cloud": "evil", "stackyard.other": "x"})["Labels"]
    assert labels == {"a": "1", "stackyard.cloud": "cloud", "stackyard.id": "0f-1", "stackyard.hostname": "0f1"}


def test_files_are_mounted_before_what_is_asked() -> None:
    mounts = body(mounts=(BindMount(source="/srv", target="/data", read_only=True),))["HostConfig"]["Mounts"]
    assert [mount["Target"] for mount in mounts] == ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/data"]
    assert mounts[-1] == {"Type": "bind", "Source": "/srv", "Target": "/data", "ReadOnly": True}


def test_the_resolver_is_the_specs_alone() -> None:
    files = container_files(spec(dns_servers=("10.0.0.2", "fd00::2"), dns_search=("a.b", "c")))
    assert files["resolv.conf"] == "nameserver 10.0.0.2\nnameserver fd00::2\nsearch a.b c\n"
    assert container_files(spec())["resolv.conf"] == ""


def test_a_container_knows_its_own_name_and_those_given() -> None:
    files = container_files(spec(hostname="web", hosts={"db": "10.0.0.9"}))
    assert files["hostname"] == "web\n"
    assert files["hosts"].endswith("127.0.1.1\tweb\n10.0.0.9\tdb\n")
    own = container_files(spec(hostname="web", hosts={"web": "10.0.0.5"}))["hosts"]
    assert own.endswith("10.0.0.5\tweb\n")
    assert "127.0.1.1" not in own
    assert hostname_of(spec()) == "0f1"


@pytest.mark.parametrize("name", ["nginx", "nginx:1", "a/b/c:1.2", "host:5000/a/b", "a@sha256:00", "sha256:00"])
def test_names_of_images(name: str) -> None:
    assert is_image_name(name)
    check_spec(spec(image=name))


@pytest.mark.parametrize("name", ["", "a b", "/a", "a/../b", "a//b", "a\n", "a?b", "a%2fb", "-a", "a" * 256])
def test_no_names_of_images(name: str) -> None:
    assert not is_image_name(name)
    with pytest.raises(SpecError):
        split_name(name)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("nginx", ("nginx", "latest")),
        ("nginx:1", ("nginx", "1")),
        ("host:5000/a", ("host:5000/a", "latest")),
        ("host:5000/a/b:2", ("host:5000/a/b", "2")),
        ("a@sha256:00", ("a", "sha256:00")),
    ],
)
def test_a_name_is_a_repository_and_a_tag(name: str, parts: tuple[str, str]) -> None:
    assert split_name(name) == parts


@pytest.mark.parametrize("container_id", ["", "a/b", "..", "a b", "a\n", "?x=1"])
def test_an_id_is_safe_in_a_path(container_id: str) -> None:
    with pytest.raises(SpecError):
        container_name(container_id)
