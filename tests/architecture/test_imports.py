"""Imports go downwards only; the contracts stand in pyproject.toml."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.architecture.sources import ROOT


def test_import_contracts_are_kept() -> None:
    checked = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 broken" in checked.stdout


def test_what_is_needed_late_is_imported_late() -> None:
    late = ["prometheus_client", "yaml", "difflib", "pyroute2", "alembic", "rich"]
    modules = [
        f"stackyard.core.{name}" for name in ("policy", "config", "log", "metrics", "undo", "dispatch", "reconcile")
    ]
    script = f"import sys, {', '.join(modules)}; print(*(set({late!r}) & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.strip()) == (0, ""), ran.stdout + ran.stderr
