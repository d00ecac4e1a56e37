"""The commands that the documents name exist, and the scripts behind them are sound shell."""

from __future__ import annotations

import os
import subprocess

import pytest
from tests.architecture.sources import ROOT

COMMANDS = [
    "setup",
    "demo",
    "test",
    "check",
    "fix",
    "conformance",
    "conformance-passing",
    "bench",
    "bench-peers",
    "chaos",
    "policy",
    "migration",
    "clean",
]


def _make(*arguments: str) -> str:
    # Not as a part of the `make test` that runs this.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_help_lists_every_command() -> None:
    listed = [line.split()[1] for line in _make("help").splitlines()]
    assert listed == ["help", *COMMANDS]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_no_script_that_is_not_there(command: str) -> None:
    words = _make("--dry-run", command).replace("=", " ").split()
    scripts = {word for word in words if word.startswith(("scripts/", "tests/conformance/"))}
    missing = [script for script in sorted(scripts) if not (ROOT / script).exists()]
    assert not missing, f"make {command} runs {missing}"


@pytest.mark.parametrize(
    "script", [".ci/run", *sorted(f"scripts/{path.name}" for path in (ROOT / "scripts").glob("*.sh"))]
)
def test_scripts_are_executable_shell_that_stops_at_errors(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111, f"{script} is not executable"
    assert "set -euo pipefail" in path.read_text(encoding="utf-8")
    checked = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
