"""A client of the network API for tests: asks, and says what came back when that is not what was expected."""

from __future__ import annotations

from typing import Any

from tests.cloud import TestCloud

_PLURALS = {
    "address_scope": "address-scopes",
    "address_group": "address-groups",
    "default_security_group_rule": "default-security-group-rules",
    "ndp_proxy": "ndp_proxies",
    "rbac_policy": "rbac-policies",
    "security_group": "security-groups",
    "security_group_rule": "security-group-rules",
    "security_groups_default_statefulness": "security-groups-default-statefulness",
}


class Neutron:
    """One user's view of the network API."""

    def __init__(self, cloud: TestCloud, user: str, project: str | None = None) -> None:
        self.http = cloud.client(user, project)

    def call(self, method: str, path: str, body: Any = None, *, status: int, **headers: str) -> Any:
        """Any call; returns the body, for a fault what stands in `NeutronError`."""
        answer = self.http.request(method, f"/network/v2.0/{path}", json=body, headers=headers or None)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        if not answer.content:
            return None
        return answer.json()["NeutronError"] if status >= 400 else answer.json()

    def _path(self, noun: str) -> str:
        return _PLURALS.get(noun, f"{noun}s")

    def create(self, noun: str, **fields: Any) -> dict[str, Any]:
        """Make one; keys may have dots for colons (router.external)."""
        wired = {name.replace(".", ":"): value for name, value in fields.items()}
        found: dict[str, Any] = self.call("POST", self._path(noun), {noun: wired}, status=201)[noun]
        return found

    def refuse(self, noun: str, status: int, **fields: Any) -> str:
        """Try to make one that cannot be; returns the fault's type."""
        wired = {name.replace(".", ":"): value for name, value in fields.items()}
        return str(self.call("POST", self._path(noun), {noun: wired}, status=status)["type"])

    def show(self, noun: str, resource_id: str, status: int = 200) -> dict[str, Any]:
        """See one."""
        found = self.call("GET", f"{self._path(noun)}/{resource_id}", status=status)
        return dict(found[noun] if status == 200 else found)

    def update(self, noun: str, resource_id: str, status: int = 200, **fields: Any) -> dict[str, Any]:
        """Change one."""
        wired = {name.replace(".", ":"): value for name, value in fields.items()}
        found = self.call("PUT", f"{self._path(noun)}/{resource_id}", {noun: wired}, status=status)
        return dict(found[noun] if status == 200 else found)

    def delete(self, noun: str, resource_id: str, status: int = 204) -> Any:
        """Delete one."""
        return self.call("DELETE", f"{self._path(noun)}/{resource_id}", status=status)

    def list(self, noun: str, query: str = "") -> list[dict[str, Any]]:
        """A list."""
        path = self._path(noun)
        found: list[dict[str, Any]] = self.call("GET", f"{path}{query}", status=200)[path.replace("-", "_")]
        return found

    def find(self, noun: str, name: str) -> dict[str, Any]:
        """The only one of this name."""
        (found,) = self.list(noun, f"?name={name}")
        return found

    def network(self, cidr: str = "10.20.0.0/24", **subnet: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """A network with one subnet."""
        network = self.create("network", name="net")
        version = 6 if ":" in cidr else 4
        return network, self.create("subnet", network_id=network["id"], cidr=cidr, ip_version=version, **subnet)

    def delete_default_pools(self) -> None:
        """Take away the subnet pools that a new cloud has."""
        for pool in self.list("subnetpool", "?is_default=true"):
            self.delete("subnetpool", pool["id"])
