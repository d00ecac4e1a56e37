"""A client of the volume API for tests: asks at a microversion, and says what came back when it is not as expected."""

from __future__ import annotations

from typing import Any

from tests.cloud import TestCloud

LATEST = "3.71"


class Cinder:
    """One user's view of the volume API."""

    def __init__(self, cloud: TestCloud, user: str, project: str | None = None) -> None:
        self.cloud = cloud
        self.http = cloud.client(user, project)

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200, version: str = LATEST) -> Any:
        """Any call below /v3; returns the body, for a fault what stands in it."""
        headers = {"OpenStack-API-Version": f"volume {version}"}
        answer = self.http.request(method, f"/volume/v3{path}", json=body, headers=headers)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        if not answer.content:
            return None
        found = answer.json()
        return next(iter(found.values())) if status >= 400 else found

    def get(self, path: str, **options: Any) -> Any:
        """GET."""
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """POST."""
        return self.call("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Any:
        """PUT."""
        return self.call("PUT", path, body, **options)

    def delete(self, path: str, **options: Any) -> Any:
        """DELETE."""
        return self.call("DELETE", path, **options)
