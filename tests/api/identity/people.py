"""Users with roles, made through the API, and clients signed in as them."""

from __future__ import annotations

from itertools import count
from typing import Any

from starlette.testclient import TestClient
from tests.cloud import TestCloud

V3 = "/identity/v3"
PASSWORD = "a-long-secret"
DEFAULT = {"id": "default"}
_numbers = count()


class People:
    """Makes what a test needs as the cloud's administrator."""

    __test__ = False

    def __init__(self, cloud: TestCloud) -> None:
        self.cloud = cloud
        self.admin = cloud.client("admin")
        roles = self.admin.get(f"{V3}/roles").json()["roles"]
        self.roles = {role["name"]: role["id"] for role in roles}

    def make(self, kind: str, **attributes: Any) -> dict[str, Any]:
        """Create a resource with a name of its own; the body of the answer."""
        body = {"name": f"{kind}-{next(_numbers)}", **attributes}
        response = self.admin.post(f"{V3}/{kind}s", json={kind: body})
        assert response.status_code == 201, response.text
        return dict(response.json()[kind])

    def user(self, **attributes: Any) -> dict[str, Any]:
        """A user with PASSWORD."""
        return self.make("user", password=PASSWORD, **attributes)

    def grant(self, actor: str, role: str, target: str) -> None:
        """Give a role: `grant("users/1", "member", "projects/2")`."""
        response = self.admin.put(f"{V3}/{target}/{actor}/roles/{self.roles[role]}")
        assert response.status_code == 204, response.text

    def revoke(self, actor: str, role: str, target: str) -> None:
        """Take a role away."""
        response = self.admin.delete(f"{V3}/{target}/{actor}/roles/{self.roles[role]}")
        assert response.status_code == 204, response.text

    def sign_in(self, user: dict[str, Any], scope: Any = None, password: str = PASSWORD) -> Any:
        """The response to a sign-in by password."""
        auth: dict[str, Any] = {
            "identity": {"methods": ["password"], "password": {"user": {"id": user["id"], "password": password}}}
        }
        if scope is not None:
            auth["scope"] = scope
        return self.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth})

    def token(self, user: dict[str, Any], scope: Any = None) -> str:
        """The token of a sign-in that must succeed."""
        response = self.sign_in(user, scope)
        assert response.status_code == 201, response.text
        return str(response.headers["x-subject-token"])

    def client(self, token: str) -> TestClient:
        """A client that sends this token."""
        return TestClient(
            self.cloud.cloud,
            base_url="http://127.0.0.1:5000",
            headers={"X-Auth-Token": token},
            raise_server_exceptions=False,
        )

    def with_role(self, role: str, scope: dict[str, Any], **attributes: Any) -> TestClient:
        """A client of a new user that has one role in a scope."""
        user = self.user(**attributes)
        self.grant(f"users/{user['id']}", role, path_of(scope))
        return self.client(self.token(user, scope))

    def validate(self, token: str) -> Any:
        """The administrator's validation of a token."""
        return self.admin.get(f"{V3}/auth/tokens", headers={"X-Subject-Token": token})


def path_of(scope: dict[str, Any]) -> str:
    """Where in the API a scope's roles are given."""
    if "system" in scope:
        return "system"
    kind = "project" if "project" in scope else "domain"
    return f"{kind}s/{scope[kind]['id']}"


def in_project(project: dict[str, Any]) -> dict[str, Any]:
    """The scope of a project."""
    return {"project": {"id": project["id"]}}


def in_domain(domain: dict[str, Any]) -> dict[str, Any]:
    """The scope of a domain."""
    return {"domain": {"id": domain["id"]}}


SYSTEM = {"system": {"all": True}}
