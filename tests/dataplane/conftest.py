"""The laboratory as a fixture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dataplane.lab import Lab, free_port


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, host_ports=(free_port(),))
    try:
        yield made
    finally:
        made.close()
