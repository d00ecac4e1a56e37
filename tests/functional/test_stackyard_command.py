"""The `stackyard` command, on a cloud that runs and where there is none."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine_fixture import wait_until
from tests.functional.real_cloud import STACKYARD, RealCloud
from tests.functional.traces import traces

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture
def nowhere() -> Iterator[RealCloud]:
    """A cloud that was never started."""
    made = RealCloud()
    yield made
    made.close()


def output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


# -- where there is no cloud ----------------------------------------------------------------------------------------


def test_down_without_a_cloud_has_nothing_to_do(nowhere: RealCloud) -> None:
    assert "nothing to do" in nowhere.succeed("down")
    assert not nowhere.state_dir.exists()


@pytest.mark.parametrize("options", [(), ("--purge",)])
def test_a_directory_that_is_no_clouds_is_left_alone(nowhere: RealCloud, options: tuple[str, ...]) -> None:
    nowhere.state_dir.mkdir()
    precious = nowhere.state_dir / "precious"
    precious.write_text("mine")
    assert "no cloud" in nowhere.succeed("down", *options)
    refused = nowhere.stackyard("up", "--port", str(nowhere.port))
    assert refused.status == 1
    assert "not empty" in refused.err
    assert precious.read_text() == "mine"
    assert [path.name for path in nowhere.state_dir.iterdir() if path.name != "log"] == ["precious"]


@pytest.mark.parametrize("command", ["status", "why x", "bake busybox", "config", "rotate-keys"])
def test_commands_without_a_cloud_say_so_in_one_line(nowhere: RealCloud, command: str) -> None:
    done = nowhere.stackyard(*command.split())
    if command == "config":
        assert done.status == 0
    else:
        assert done.status == 1
        assert "There is no cloud in" in done.err
        assert len(done.err.strip().splitlines()) == 1
    assert not nowhere.state_dir.exists()


def test_a_port_in_use_is_told_in_one_line(nowhere: RealCloud) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = nowhere.stackyard("up", "--port", str(port), "--config", str(nowhere.config))
    assert done.status == 1
    assert len(done.err.strip().splitlines()) == 1
    assert f"127.0.0.1:{port}: Address already in use; choose another with --port" in done.err
    # What was begun is no obstacle to anything.
    for command in (("status",), ("why", "x"), ("bake", "busybox"), ("rotate-keys",)):
        done = nowhere.stackyard(*command)
        assert done.status in (1, 3), f"{command}: {done}"
        assert "Traceback" not in done.err, f"{command}: {done.err}"
    assert "gone" in nowhere.succeed("down", "--purge")


def test_mistaken_options_are_told_in_a_few_lines(nowhere: RealCloud) -> None:
    config = nowhere.root / "wrong.toml"
    config.write_text("[server]\nprot = 5000\n[network]\npublic_cidr = '10.0.0.1/24'\n")
    for options, expected in (
        (("--config", str(config)), "port"),
        (("--port", "99999"), "99999"),
        (("--public-cidr", "nonsense"), "nonsense"),
        (("--host", "192.0.2.1"), "192.0.2.1"),
    ):
        done = nowhere.stackyard("up", *options)
        assert done.status != 0
        assert expected in done.err
        assert "Traceback" not in done.err, done.err
        assert len(done.err.strip().splitlines()) <= 5
    nowhere.succeed("down", "--purge")


# -- on a cloud that runs -------------------------------------------------------------------------------------------


def test_status(own_cloud: RealCloud) -> None:
    found = json.loads(own_cloud.succeed("status", "--json"))
    assert (found["running"], found["pid"], found["cloud_id"]) == (True, own_cloud.pid(), own_cloud.id)
    assert found["url"] == own_cloud.url
    assert {service["type"] for service in found["services"]} >= {"identity", "image", "network", "container"}
    assert 0 < found["memory_mib"] < 300
    said = own_cloud.succeed("status")
    for word in (own_cloud.id, own_cloud.url, "container", "docker"):
        assert word in said.lower()


def test_up_twice_changes_nothing(own_cloud: RealCloud) -> None:
    pid = own_cloud.pid()
    assert f"already runs (process {pid})" in own_cloud.up()
    assert own_cloud.pid() == pid


def test_files_of_the_cloud_are_private(own_cloud: RealCloud) -> None:
    assert own_cloud.state_dir.stat().st_mode & 0o066 == 0  # passed through by name servers, which are not root
    for name in ("images", "log", "clouds.yaml", "openrc", "cloud.json", "stackyard.sqlite"):
        assert (own_cloud.state_dir / name).stat().st_mode & 0o077 == 0, name


def test_openrc_signs_in(own_cloud: RealCloud) -> None:
    script = (
        f". {own_cloud.state_dir}/openrc && curl -sf -o /dev/null -w %{{http_code}} $OS_AUTH_URL && echo $OS_USERNAME"
    )
    assert output("bash", "-c", script).split() == ["200demo"]


def test_doctor_finds_that_all_matches(own_cloud: RealCloud) -> None:
    wait_until(lambda: own_cloud.stackyard("doctor").status == 0, "the doctor is content", 30)
    assert "they match" in own_cloud.succeed("doctor")


def test_why_tells_a_story(own_cloud: RealCloud) -> None:
    tenant = own_cloud.tenant()
    try:
        made = tenant.run(name="storied")
        said = own_cloud.succeed("why", "storied")
        for word in ("Running", "create asked", made["uuid"], tenant.project):
            assert word in said
        (story, *_) = [one for one in json.loads(own_cloud.succeed("why", "--json", made["uuid"])) if one["resources"]]
        assert story["events"]
        network = own_cloud.succeed("why", tenant.network)
        assert "blocked by" in network
    finally:
        tenant.remove()
    assert "delete" in own_cloud.succeed("why", made["uuid"])
    unknown = own_cloud.stackyard("why", "no-such-thing")
    assert unknown.status == 1
    assert "no-such-thing" in unknown.err


def test_config_lists_every_setting(own_cloud: RealCloud) -> None:
    said = own_cloud.succeed("config")
    for word in ("server.port", "network.public_cidr", "engine.own_engine", "quota.containers"):
        assert word in said
    assert own_cloud.public_cidr in said


def test_help(own_cloud: RealCloud) -> None:
    said = output(str(STACKYARD), "--help")
    for command in ("up", "down", "status", "why", "doctor", "bake", "config", "rotate-keys"):
        assert command in said
        assert "--state-dir" in output(str(STACKYARD), command, "--help")
    assert output(str(STACKYARD), "--version").startswith("stackyard")


def test_an_unknown_recipe_names_the_known_ones(own_cloud: RealCloud) -> None:
    done = own_cloud.stackyard("bake", "windows")
    assert done.status == 2
    assert "busybox" in done.err


def test_rotated_keys_leave_tokens_valid(own_cloud: RealCloud) -> None:
    demo = own_cloud.session()
    own_cloud.succeed("rotate-keys")
    assert demo.call("GET", "/network/v2.0/networks")["networks"]
    demo.sign_in()
    assert demo.call("GET", "/network/v2.0/networks")["networks"]
    demo.close()


def test_no_password_is_seen_in_log_or_processes(own_cloud: RealCloud) -> None:
    secrets = {own_cloud.session().password, own_cloud.session("stackyard-admin").password}
    log = (own_cloud.state_dir / "log" / "stackyard.log").read_text()
    words = b"".join(path.read_bytes() for path in Path("/proc").glob(f"{own_cloud.pid()}/cmdline")).decode()
    environment = Path(f"/proc/{own_cloud.pid()}/environ").read_bytes().decode(errors="replace")
    for secret in secrets:
        assert secret not in log + words + environment


def test_a_purge_takes_what_is_the_clouds_and_nothing_else(own_cloud: RealCloud) -> None:
    """Last of this file: nothing is there afterwards."""
    tenant = own_cloud.tenant()
    tenant.router()
    made = tenant.run(image="nginx")
    tenant.floating(next(iter(made["addresses"].values()))[0]["port"])
    tenant.close()
    assert traces(own_cloud.id, own_cloud.root, own_cloud.public_cidr)
    name = f"fo{os.getpid()}"[:14]
    process = subprocess.Popen(["sleep", "600"])
    (own_cloud.root / "beside").write_text("mine")
    looks = (
        ("ip", "addr", "show", name),
        ("nft", "list", "table", "inet", name),
        ("ip", "netns", "exec", name, "ip", "a"),
    )
    try:
        output("ip", "link", "add", name, "type", "bridge")
        output("ip", "addr", "add", "192.0.2.77/32", "dev", name)
        output("nft", f"add table inet {name}; add chain inet {name} c; add rule inet {name} c tcp dport 9 drop")
        output("ip", "netns", "add", name)
        before = [output(*look) for look in looks]
        own_cloud.succeed("down", "--purge")
        assert [output(*look) for look in looks] == before
        assert process.poll() is None
        assert (own_cloud.root / "beside").read_text() == "mine"
        assert not traces(own_cloud.id, own_cloud.root, own_cloud.public_cidr)
        assert "nothing to do" in own_cloud.succeed("down", "--purge")
    finally:
        process.kill()
        process.wait()
        for undo in (
            ("ip", "link", "delete", name),
            ("nft", "delete", "table", "inet", name),
            ("ip", "netns", "delete", name),
        ):
            subprocess.run(undo, check=False, capture_output=True)
