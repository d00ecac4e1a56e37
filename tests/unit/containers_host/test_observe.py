"""What the engine's answers mean."""

from __future__ import annotations

from typing import Any

import pytest

from stackyard.host.containers.docker_http import error_message, raise_for_status
from stackyard.host.containers.docker_observe import (
    container_observation,
    container_stats,
    host_features,
    listed_observation,
    network_counters,
    plain_reason,
    pull_error,
    start_error,
)
from stackyard.host.errors import ConflictError, HostError, NotFoundError, SpecError

RUNC = "OCI runtime create failed: runc create failed: unable to start container process: "


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        (f'{RUNC}exec: "web": executable file not found in $PATH: unknown', "the command 'web' is not in the image"),
        (
            f'{RUNC}exec: "/web": stat /web: no such file or directory: unknown',
            "the command '/web' is not in the image",
        ),
        (f'{RUNC}exec: "/etc": permission denied: unknown', "the command '/etc' is not executable"),
        (f'{RUNC}exec: "/etc": is a directory: unknown', "the command '/etc' is a directory"),
        (
            f'{RUNC}chdir to cwd ("/x") set in config.json failed: not a directory: unknown',
            "the working directory '/x' cannot be used",
        ),
        ("No command specified", "neither the container nor its image names a command"),
        (f"{RUNC}something else: unknown", "something else"),
    ],
)
def test_causes_are_plain(message: str, plain: str) -> None:
    assert plain_reason(message) == plain


def test_a_start_that_can_never_succeed_is_told_from_one_that_may() -> None:
    assert isinstance(start_error(500, f'{RUNC}exec: "x": executable file not found in $PATH'), SpecError)
    later = start_error(500, "no space left on device")
    assert isinstance(later, HostError)
    assert not isinstance(later, SpecError)


@pytest.mark.parametrize(
    ("message", "never"),
    [
        ("pull access denied for x, repository does not exist or may require 'docker login'", True),
        ("manifest for x:1 not found: manifest unknown: manifest unknown", True),
        ("unauthorized: authentication required", True),
        ("dial tcp: lookup registry on 10.0.0.1:53: no such host", False),
        ("Get https://registry/v2/: net/http: request canceled (Client.Timeout exceeded)", False),
        ("toomanyrequests: You have reached your pull rate limit", False),
        ("unexpected EOF", False),
    ],
)
def test_a_refused_pull_is_told_from_an_outage(message: str, never: bool) -> None:
    error = pull_error("x", message)
    assert isinstance(error, SpecError) is never
    assert message in str(error)


@pytest.mark.parametrize(
    ("status", "kind"), [(400, SpecError), (404, NotFoundError), (409, ConflictError), (500, HostError)]
)
def test_an_error_status_keeps_the_engines_words(status: int, kind: type[HostError]) -> None:
    with pytest.raises(kind, match=r"^too bad$") as caught:
        raise_for_status(status, b'{"message": "too bad\\n"}')
    assert type(caught.value) is kind


def test_a_good_status_is_no_error() -> None:
    raise_for_status(204, b"")
    raise_for_status(304, b"")


def test_an_error_without_a_document_is_still_told() -> None:
    assert error_message(b"page not found\n") == "page not found"
    assert error_message(b"") == "the engine gave no reason"


def inspected(**state: Any) -> dict[str, Any]:
    base = {"Status": "created", "Pid": 0, "ExitCode": 0, "Error": "", "OOMKilled": False}
    times = {"StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"}
    return {"State": {**base, **times, **state}, "Config": {"Labels": None, "Env": ["A=b=c", "D"], "Cmd": None}}


def test_a_container_that_never_ran_has_no_times_and_no_code() -> None:
    found = container_observation(inspected())
    assert (found.state, found.exit_code, found.started_at, found.finished_at) == ("created", None, None, None)
    assert found.environment == {"A": "b=c", "D": ""}


@pytest.mark.parametrize(
    ("state", "told", "code"),
    [
        ("running", "running", None),
        ("exited", "exited", 5),
        ("restarting", "restarting", 5),
        ("removing", "exited", None),
    ],
)
def test_states_and_codes(state: str, told: str, code: int | None) -> None:
    found = container_observation(inspected(Status=state, ExitCode=5, StartedAt="2026-01-02T03:04:05.6Z"))
    assert (found.state, found.exit_code, found.started_at) == (told, code, "2026-01-02T03:04:05.6Z")


@pytest.mark.parametrize(
    ("state", "status", "code", "health"),
    [
        ("exited", "Exited (137) 3 seconds ago", 137, None),
        ("running", "Up 2 seconds (healthy)", None, "healthy"),
        ("running", "Up 2 seconds (unhealthy)", None, "unhealthy"),
        ("running", "Up 2 seconds (health: starting)", None, "starting"),
        ("created", "Created", None, None),
    ],
)
def test_a_listing_tells_code_and_health(state: str, status: str, code: int | None, health: str | None) -> None:
    found = listed_observation({"State": state, "Status": status, "Image": "x", "Labels": {"stackyard.id": "1"}})
    assert (found.id, found.exit_code, found.health, found.labels) == ("1", code, health, {})


def sample(cpu: int, system: int, **memory: Any) -> dict[str, Any]:
    usage = {"cpu_usage": {"total_usage": cpu}, "system_cpu_usage": system, "online_cpus": 2}
    return {"cpu_stats": usage, "memory_stats": memory}


def test_cpu_is_measured_between_the_samples() -> None:
    stats = container_stats(sample(1000, 10_000), sample(2000, 14_000), (7, 8))
    assert stats.cpu_percent == pytest.approx(50)
    assert (stats.network_received, stats.network_sent) == (7, 8)
    assert container_stats(sample(5, 10), sample(5, 10), (0, 0)).cpu_percent == 0


@pytest.mark.parametrize("name", ["total_inactive_file", "inactive_file"])
def test_cache_is_not_use_in_either_version_of_cgroups(name: str) -> None:
    stats = container_stats(sample(0, 0), sample(0, 0, usage=100, limit=500, stats={name: 40}), (0, 0))
    assert (stats.memory_used, stats.memory_limit) == (60, 500)


def test_block_io_is_added_up() -> None:
    entries = [
        {"op": "Read", "value": 1},
        {"op": "Write", "value": 2},
        {"op": "read", "value": 3},
        {"op": "Total", "value": 9},
    ]
    after = {**sample(0, 0), "blkio_stats": {"io_service_bytes_recursive": entries}}
    stats = container_stats(sample(0, 0), after, (0, 0))
    assert (stats.block_read, stats.block_written) == (4, 2)


def test_links_are_added_up_but_loopback() -> None:
    header = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n"
    row = "{}: {} 1 0 0 0 0 0 0 {} 1 0 0 0 0 0 0\n"
    assert network_counters(
        header + row.format("lo", 9, 9) + row.format(" eth0", 10, 20) + row.format("eth1", 1, 2)
    ) == (
        11,
        22,
    )


@pytest.mark.parametrize(
    ("driver", "backing", "limit"),
    [("overlay2", "extfs", False), ("overlay2", "xfs", True), ("btrfs", "", True), ("vfs", "xfs", False)],
)
def test_disks_are_limited_where_the_driver_can(driver: str, backing: str, limit: bool) -> None:
    info = {"Driver": driver, "DriverStatus": [["Backing Filesystem", backing]], "CpuCfsQuota": True}
    assert host_features(info).disk_limit is limit
