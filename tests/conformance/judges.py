"""The suites and clients, in an environment of their own, made again when their list of versions changes."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from scripts import environments

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ENVIRONMENT = environments.ROOT / ".cache" / "conformance-venv"


def ensure() -> Path:
    """Installs what is missing and returns the environment's directory. Raises CalledProcessError."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    stamp = ENVIRONMENT / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return ENVIRONMENT
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    environments.make(ENVIRONMENT, ["--requirement", str(REQUIREMENTS)])
    stamp.write_text(wanted)
    return ENVIRONMENT
