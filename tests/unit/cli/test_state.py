"""The state directory: made with care, held by one process, never mistaken for somebody's files."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stackyard.state import StateDirectory, StateError, client_files


def test_a_folder_with_other_things_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(StateError, match=r"thesis\.tex"):
        StateDirectory(tmp_path).create("now")
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "log"] == ["thesis.tex"]


def test_an_identity_is_made_once(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "cloud")
    first = state.create("now")
    assert state.create("later") == first
    assert len(first.id) == 8


def test_reading_what_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="stackyard up"):
        StateDirectory(tmp_path).read()


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "cloud.json").write_text("{")
    with pytest.raises(StateError, match=r"cloud\.json"):
        StateDirectory(tmp_path).read()


def test_one_process_holds_it_and_a_stale_file_misleads_nobody(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    assert state.running_pid() is None
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                "import sys; from pathlib import Path; from stackyard.state import StateDirectory\n"
                "s = StateDirectory(Path(sys.argv[1])); print(s.acquire(), flush=True); sys.stdin.read()"
            ),
            str(tmp_path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[3] / "src")},
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert state.running_pid() == holder.pid
        assert state.acquire() is False
    finally:
        holder.kill()
        holder.communicate()
    assert state.running_pid() is None
    assert state.acquire() is True


def test_what_clients_read_is_private_and_survives_odd_passwords(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    password = "p\"a's: #s$(touch x)\\"
    clouds, openrc = client_files("http://h:1", {"stackyard": ("demo", "demo", password)}, "RegionOne")
    path = state.write_private("clouds.yaml", clouds)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert state.client_passwords() == {"demo": password}
    told = subprocess.run(
        ["sh", "-c", f'{openrc}\nprintf %s "$OS_PASSWORD"'], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert told.stdout == password
    assert not (tmp_path / "x").exists()


def test_client_files_follow_the_address(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    clouds, openrc = client_files("http://h:1", {"stackyard": ("demo", "demo", "x")}, "RegionOne")
    state.write_private("clouds.yaml", clouds)
    state.write_private("openrc", openrc)
    state.refresh_urls("https://cloud.example:2")
    found = yaml.safe_load(state.clouds_yaml.read_text())
    assert found["clouds"]["stackyard"]["auth"]["auth_url"] == "https://cloud.example:2/identity/v3"
    assert "export OS_AUTH_URL=https://cloud.example:2/identity/v3" in state.openrc.read_text()
