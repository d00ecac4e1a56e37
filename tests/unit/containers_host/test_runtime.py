"""The OCI runtime's script, run by the real sh and sed before a runc that only notes its arguments."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stackyard.host.containers.runtime import MISSING_RECORD, Runtime

HOST = {"type": "network", "path": "/run/docker/netns/default"}
OTHERS = [{"type": "mount"}, {"type": "uts"}, {"type": "pid"}, {"type": "ipc"}]
ID = "f" * 64
# Whether this machine lets root have CAP_SYS_RESOURCE.
HELD = bool(int(Path("/proc/self/status").read_text().split("CapBnd:")[1].split()[0], 16) >> 24 & 1)


class Bundle:
    """A runtime with its fake runc, and one container's bundle."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "log.json"
        self.netns = directory / "netns"
        self.netns.touch()
        self.called = directory / "called"
        runc = directory / "runc"
        runc.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{self.called}\n')
        runc.chmod(0o755)
        self.runtime = Runtime(directory / "state")
        self.runtime.install(str(runc))
        self.config = directory / "bundle" / "config.json"
        self.config.parent.mkdir()

    def write(self, namespaces: list[dict[str, str]], **process: Any) -> None:
        document = {"process": process, "linux": {"namespaces": namespaces}}
        self.config.write_text(json.dumps(document, separators=(",", ":")))

    def read(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.config.read_text())
        return document

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.runtime.path, *words], capture_output=True, text=True, timeout=20)

    def create(self) -> subprocess.CompletedProcess[str]:
        options = ("--root", "/run/runc", "--log", str(self.log), "--log-format", "json")
        return self.run(*options, "create", "--bundle", str(self.config.parent), "--pid-file", "/run/pid", ID)

    def refused(self) -> str:
        """Why; and that runc was not called."""
        done = self.create()
        assert done.returncode != 0
        assert not self.called.exists()
        entry = json.loads(self.log.read_text().splitlines()[-1])
        assert entry["level"] == "error"
        assert entry["msg"] in done.stderr
        return str(entry["msg"])


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle(tmp_path)


@pytest.mark.parametrize(
    "before",
    [[HOST, *OTHERS], [*OTHERS, HOST], [OTHERS[0], HOST, OTHERS[1]], [{"type": "network"}, *OTHERS], OTHERS, [HOST]],
)
def test_the_container_joins_the_recorded_namespace_alone(bundle: Bundle, before: list[dict[str, str]]) -> None:
    bundle.write(before)
    bundle.runtime.record(ID, str(bundle.netns))
    assert bundle.create().returncode == 0
    after = bundle.read()["linux"]["namespaces"]
    assert [entry for entry in after if entry["type"] == "network"] == [{"type": "network", "path": str(bundle.netns)}]
    assert [entry for entry in after if entry["type"] != "network"] == [e for e in before if e["type"] != "network"]
    assert bundle.called.read_text().split()[-1] == ID


def test_what_a_user_wrote_is_left_alone(bundle: Bundle) -> None:
    hostile = ['"namespaces":[', '{"type":"network","path":"/proc/1/ns/net"},', '\\"namespaces\\":[', "a&b\\1"]
    bundle.write([HOST, *OTHERS], args=hostile, env=[f"X={word}" for word in hostile])
    bundle.runtime.record(ID, str(bundle.netns))
    assert bundle.create().returncode == 0
    after = bundle.read()
    assert after["process"] == {"args": hostile, "env": [f"X={word}" for word in hostile]}
    assert after["linux"]["namespaces"][0] == {"type": "network", "path": str(bundle.netns)}


def test_a_capability_is_dropped_only_where_the_machine_withholds_it(bundle: Bundle) -> None:
    lists = [["CAP_SYS_RESOURCE"], ["CAP_SYS_RESOURCE", "CAP_KILL"], ["CAP_KILL", "CAP_SYS_RESOURCE"], ["CAP_KILL"]]
    capabilities = dict(zip(("bounding", "effective", "permitted", "ambient"), lists, strict=True))
    bundle.write([HOST], capabilities=capabilities, args=["CAP_SYS_RESOURCE", "x"])
    bundle.runtime.record(ID, str(bundle.netns))
    assert bundle.create().returncode == 0
    process = bundle.read()["process"]
    expected = {k: [c for c in v if HELD or c != "CAP_SYS_RESOURCE"] for k, v in capabilities.items()}
    assert process["capabilities"] == expected
    assert process["args"] == ["CAP_SYS_RESOURCE", "x"]


def test_without_a_record_it_does_not_start(bundle: Bundle) -> None:
    bundle.write([HOST])
    assert MISSING_RECORD in bundle.refused()


def test_without_its_namespace_it_does_not_start(bundle: Bundle) -> None:
    bundle.write([HOST])
    bundle.runtime.record(ID, str(bundle.netns))
    bundle.netns.unlink()
    assert "is gone" in bundle.refused()


@pytest.mark.parametrize("path", ["relative", "", '/x"},{"type":"y', "/x y", "/x#y"])
def test_a_malformed_record_starts_nothing(bundle: Bundle, path: str) -> None:
    bundle.write([HOST])
    bundle.runtime.record(ID, path)
    assert "no path" in (reason := bundle.refused()) or "malformed" in reason


def test_the_hosts_own_namespace_is_refused(bundle: Bundle) -> None:
    bundle.write([HOST])
    bundle.netns.unlink()
    bundle.netns.symlink_to(f"/proc/{os.getpid()}/ns/net")
    bundle.runtime.record(ID, str(bundle.netns))
    assert "of the host itself" in bundle.refused()


@pytest.mark.parametrize("text", ["", "{}", '{"linux":{}}'])
def test_an_unexpected_configuration_starts_nothing(bundle: Bundle, text: str) -> None:
    bundle.runtime.record(ID, str(bundle.netns))
    bundle.config.write_text(text)
    assert "configuration" in bundle.refused()


def test_a_forgotten_container_does_not_start(bundle: Bundle) -> None:
    bundle.write([HOST])
    bundle.runtime.record(ID, str(bundle.netns))
    bundle.runtime.forget(ID)
    bundle.runtime.forget(ID)
    assert MISSING_RECORD in bundle.refused()


@pytest.mark.parametrize(
    "words",
    [
        ("--root", "create", "state", ID),
        ("--log", "/dev/null", "exec", "--cwd", "/", ID, "create", "--bundle", "x", "--process", "/nowhere"),
        ("delete", "--force", ID),
        ("--version",),
        ("kill", ID, "9", "a b", "$(x)"),
    ],
)
def test_everything_else_goes_to_runc_as_it_is(bundle: Bundle, words: tuple[str, ...]) -> None:
    assert bundle.run(*words).returncode == 0
    assert bundle.called.read_text() == "".join(f"{word}\n" for word in words)


def test_a_further_process_gets_no_capability_that_is_withheld(bundle: Bundle) -> None:
    process = bundle.directory / "process.json"
    lists = {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "effective": ["CAP_SYS_RESOURCE"]}
    process.write_text(json.dumps({"args": ["x"], "capabilities": lists}, separators=(",", ":")))
    assert (
        bundle.run("--root", "/r", "exec", "--process", str(process), "--detach", "--pid-file", "/p", ID).returncode
        == 0
    )
    kept = {name: [word for word in words if HELD or word != "CAP_SYS_RESOURCE"] for name, words in lists.items()}
    assert json.loads(process.read_text()) == {"args": ["x"], "capabilities": kept}
    assert bundle.called.read_text().split()[-1] == ID


def test_installing_again_changes_nothing(bundle: Bundle) -> None:
    before = bundle.runtime.path.stat().st_ino
    bundle.runtime.install(str(bundle.directory / "runc"))
    assert bundle.runtime.path.stat().st_ino == before
    bundle.runtime.install("/usr/sbin/other")
    assert "/usr/sbin/other" in bundle.runtime.path.read_text()
