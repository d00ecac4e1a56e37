"""A container service under test: a client that speaks a microversion, and what most cases do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient
from tests.cloud import TestCloud

from stackyard.host.containers.memory import MemoryImage

PATH = "/container/v1/containers"


def eventually(condition: Callable[[], bool], timeout: float = 10) -> None:
    """Wait until it holds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it never came true"


class Zun:
    """Zun's API as one user, on one microversion."""

    def __init__(self, cloud: TestCloud, user: str = "demo", version: str = "1.40") -> None:
        self.cloud = cloud
        self.http: TestClient = cloud.client(user, **{"OpenStack-API-Version": f"container {version}"})
        self.nets = {} if user == "demo" else {"nets": [{"network": "private"}]}
        for name in ("nginx", "busybox"):
            if cloud.engine.store.find(name) is None:
                cloud.engine.store.add(name, MemoryImage(ports=("80/tcp",)))

    def create(self, *, run: bool = True, **body: Any) -> dict[str, Any]:
        """Create a container of nginx, and wait until it is made."""
        response = self.http.post(PATH, params={"run": str(run).lower()}, json={"image": "nginx", **self.nets, **body})
        assert response.status_code == 202, response.text
        return self.rested(response.json()["uuid"])

    def show(self, ident: str) -> dict[str, Any]:
        """One container."""
        response = self.http.get(f"{PATH}/{ident}")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def list(self, **query: Any) -> list[dict[str, Any]]:
        """Containers."""
        response = self.http.get(PATH, params=query)
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()["containers"]
        return found

    def act(self, ident: str, action: str, **query: Any) -> dict[str, Any]:
        """An action that is accepted, and the container once it is done."""
        response = self.http.post(f"{PATH}/{ident}/{action}", params=query)
        assert response.status_code == 202, response.text
        if action == "kill":
            self.cloud.settle()
        return self.rested(ident)

    def rested(self, ident: str) -> dict[str, Any]:
        """The container once nothing is being done with it."""
        eventually(lambda: self.show(ident)["task_state"] is None)
        return self.show(ident)

    def delete(self, ident: str, **query: Any) -> None:
        """Delete, and wait until it is gone."""
        response = self.http.delete(f"{PATH}/{ident}", params=query)
        assert response.status_code == 204, response.text
        eventually(lambda: self.http.get(f"{PATH}/{ident}").status_code == 404)

    def refused(self, method: str, path: str, status: int, **kwargs: Any) -> dict[str, Any]:
        """A request that is refused; returns the fault."""
        response = self.http.request(method, path, **kwargs)
        assert response.status_code == status, response.text
        (fault,) = response.json()["errors"]
        assert fault["status"] == status
        assert fault["title"]
        return dict(fault)

    def until(self, ident: str, status: str | None, timeout: float = 10) -> dict[str, Any]:
        """The container once it has this status (None: is gone)."""
        end = time.monotonic() + timeout
        while True:
            response = self.http.get(f"{PATH}/{ident}")
            if status is None and response.status_code == 404:
                return {}
            found: dict[str, Any] = response.json()
            if found.get("status") == status:
                return found
            assert time.monotonic() < end, f"{found.get('status')} ({found.get('status_reason')}), not {status}"

    def quota_use(self) -> dict[str, float]:
        """What the project uses."""
        usages = self.http.get("/container/v1/quotas", params={"usages": "true"}).json()
        return {name: value["in_use"] for name, value in usages.items()}
