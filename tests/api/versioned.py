"""What the tests' clients of APIs with microversions have in common: they ask, and say what was not as expected."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.cloud import TestCloud


class Versioned:
    """One user's view of such an API."""

    __test__ = False
    root: ClassVar[str]
    """What paths begin with."""
    service_type: ClassVar[str]
    """The service's name in the header of the microversion."""
    version: ClassVar[str]
    """The microversion of a call that names none."""

    def __init__(self, cloud: TestCloud, user: str, project: str | None = None) -> None:
        self.cloud = cloud
        self.http = cloud.client(user, project)

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200, version: str = "") -> Any:
        """Any call below the root; returns the body, for a fault what stands in it."""
        headers = {"OpenStack-API-Version": f"{self.service_type} {version or self.version}"}
        answer = self.http.request(method, f"{self.root}{path}", json=body, headers=headers)
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
