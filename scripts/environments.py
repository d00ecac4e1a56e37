"""Python environments beside the project's own: the clients, the outside judges, the real services to compare with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The machine's certificates, as pip uses them, under the option's older and newer name.
_CERTIFICATES = {"UV_NATIVE_TLS": "true", "UV_SYSTEM_CERTS": "true"}


def make(directory: Path, requirements: Sequence[str], *, python: str = sys.executable) -> None:
    """Make an environment with these requirements (pip's words), by uv where it works, else by pip.

    Raises CalledProcessError, with pip's output, when a package cannot be had.
    """
    own = str(directory / "bin" / "python")
    if not Path(own).exists():
        _run([python, "-m", "venv", str(directory)])
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is not None:
        by_uv = [uv, "pip", "install", "--quiet", "--python", own, *requirements]
        if subprocess.run(by_uv, capture_output=True, env={**os.environ, **_CERTIFICATES}).returncode == 0:
            return
    _run([own, "-m", "pip", "install", "--quiet", *requirements])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
