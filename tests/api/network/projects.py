"""Further projects for tests of what projects share."""

from __future__ import annotations

from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud


class Member(Neutron):
    """A member of a project of his own."""

    def __init__(self, cloud: TestCloud, name: str, role: str = "member") -> None:
        admin = cloud.client("admin")
        made = admin.post("/identity/v3/projects", json={"project": {"name": name, "domain_id": "default"}})
        assert made.status_code == 201, made.text
        self.project_id = str(made.json()["project"]["id"])
        user = {"name": name, "domain_id": "default", "password": "correct horse"}
        made = admin.post("/identity/v3/users", json={"user": user})
        assert made.status_code == 201, made.text
        user_id = made.json()["user"]["id"]
        (found,) = admin.get(f"/identity/v3/roles?name={role}").json()["roles"]
        path = f"/identity/v3/projects/{self.project_id}/users/{user_id}/roles/{found['id']}"
        assert admin.put(path).status_code == 204
        self.http = cloud.client("demo")
        self.http.headers["X-Auth-Token"] = cloud.sign_in(name, "correct horse", name)
