"""The image service alone with invented callers, on each kind of database: every persona, no identity service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests import seeded
from tests.pooled import SharedDatabase

from stackyard.core.caller import Caller
from stackyard.core.config import Settings
from stackyard.core.config_image import Image
from stackyard.core.db import Transaction
from stackyard.core.dispatch import Dispatcher
from stackyard.core.errors import Unauthorized
from stackyard.core.policy import PolicySet
from stackyard.core.quota import Quotas
from stackyard.core.runtime import Runtime
from stackyard.services.image import SERVICE
from stackyard.services.image.properties import check_files
from stackyard.services.image.reconcile import ImageReconciler
from stackyard.services.keys import STATE_DIR

DEMO, ALT, OPERATOR = "d" * 32, "a" * 32, "0" * 32

CALLERS = {
    "admin": (OPERATOR, {"admin", "manager", "member", "reader"}),
    "demo": (DEMO, {"member", "reader"}),
    "reader": (DEMO, {"reader"}),
    "alt": (ALT, {"member", "reader"}),
}


def caller(name: str) -> Caller:
    """One of the invented callers."""
    project, roles = CALLERS[name]
    return Caller(user_id=name * 4, user_name=name, project_id=project, project_name=name, roles=frozenset(roles))


def _authenticate(tx: Transaction, token: str) -> Caller:
    del tx
    if token not in CALLERS:
        raise Unauthorized("The token is not one of the test's.")
    return caller(token)


class ImageCloud:
    """The service under test: a client a caller, and the reconciler to be run by hand."""

    def __init__(self, url: str, state: Path, settings: Settings | None = None) -> None:
        settings = settings or Settings()
        seeded.tables(url)
        self.database = SharedDatabase(url)
        self.runtime = Runtime(
            settings=settings,
            database=self.database,
            policies=PolicySet([*SERVICE.policies, *check_files(settings)]),
            quotas=Quotas({"image.images": -1}),
            authenticate=_authenticate,
        )
        self.runtime.provide(STATE_DIR, state)
        self.app = Dispatcher(self.runtime, [SERVICE])
        self.reconciler = ImageReconciler(self.runtime)
        self.folder = state / "images"

    def client(self, name: str) -> TestClient:
        """A client that sends a caller's token, below the service's mount."""
        return TestClient(
            self.app,
            base_url="http://cloud:5000/image",
            headers={"X-Auth-Token": name},
            raise_server_exceptions=False,
        )

    def files(self) -> set[str]:
        """Every file in the store, by its path below the images' folder."""
        return {
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }


@pytest.fixture
def settings() -> dict[str, Any]:
    """Settings of images, for a module or class of tests to replace."""
    return {}


@pytest.fixture
def images(database_url: str, tmp_path: Path, settings: dict[str, Any]) -> Iterator[ImageCloud]:
    """The image service on each kind of database."""
    chosen = Settings(image=replace(Image(), **settings))
    made = ImageCloud(database_url, tmp_path / "state", chosen)
    try:
        yield made
    finally:
        made.runtime.close()
