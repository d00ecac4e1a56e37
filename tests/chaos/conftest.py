"""A cloud of its own for each file of tests, whose process they kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.chaos.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    try:
        world.up()
        yield world
    finally:
        world.close()
