"""A real cloud for all functional tests of one worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scripts.clients import install_clients
from tests.functional.real_cloud import RealCloud
from tests.functional.tenant import Tenant
from tests.functional.users import Session


@pytest.fixture(scope="session")
def real_cloud() -> Iterator[RealCloud]:
    """A cloud that runs, with the images busybox and nginx. Tests leave it as they found it."""
    yield from started()


@pytest.fixture(scope="module")
def own_cloud() -> Iterator[RealCloud]:
    """The same for the tests of one file alone, which may hurt it."""
    yield from started()


def started() -> Iterator[RealCloud]:
    """A cloud that runs until it is not needed any more."""
    install_clients()
    cloud = RealCloud()
    try:
        cloud.up()
        cloud.bake()
        yield cloud
    finally:
        cloud.close()


@pytest.fixture
def demo(real_cloud: RealCloud) -> Iterator[Session]:
    """The user demo over HTTP."""
    session = real_cloud.session()
    yield session
    session.close()


@pytest.fixture
def tenant(real_cloud: RealCloud) -> Iterator[Tenant]:
    """A new project, removed with all that is in it."""
    made = real_cloud.tenant()
    yield made
    made.remove()
