"""A project of a test's own, with a network, gone afterwards with all that the test made in it."""

from __future__ import annotations

import secrets
from typing import Any

from tests.engine_fixture import wait_until
from tests.functional.users import CONTAINERS, Session

V2 = "/network/v2.0"


class Tenant(Session):
    """A member of a new project, which has one network with one subnet."""

    def __init__(self, url: str, admin: Session, cidr: str = "10.77.0.0/24") -> None:
        self._admin = admin
        name, password = f"t-{secrets.token_hex(4)}", secrets.token_urlsafe(12)
        v3 = "/identity/v3"
        self.project_id = admin.call("POST", f"{v3}/projects", {"project": {"name": name}})["project"]["id"]
        self.user_id = admin.call("POST", f"{v3}/users", {"user": {"name": name, "password": password}})["user"]["id"]
        role = admin.call("GET", f"{v3}/roles?name=member")["roles"][0]["id"]
        admin.call("PUT", f"{v3}/projects/{self.project_id}/users/{self.user_id}/roles/{role}")
        super().__init__(url, name, password, name)
        self.network = self.make("network", name="net")
        self.subnet = self.make("subnet", network_id=self.network, ip_version=4, cidr=cidr)
        self.nets = [{"network": self.network}]

    def make(self, noun: str, **fields: Any) -> str:
        """Create a resource of the network service; returns its id."""
        return str(self.call("POST", f"{V2}/{noun.replace('_', '-')}s", {noun: fields})[noun]["id"])

    def create(self, **fields: Any) -> dict[str, Any]:
        """A container, on the project's network unless told otherwise."""
        fields.setdefault("nets", self.nets)
        return super().create(**fields)

    def public(self) -> str:
        """The id of the public network."""
        return str(self.call("GET", f"{V2}/networks?router:external=true")["networks"][0]["id"])

    def router(self) -> str:
        """A router between the project's subnet and the public network."""
        router = self.make("router", name="r", external_gateway_info={"network_id": self.public()})
        self.call("PUT", f"{V2}/routers/{router}/add_router_interface", {"subnet_id": self.subnet})
        return router

    def floating(self, port: str) -> str:
        """A floating IP's address that leads to a port."""
        body = {"floatingip": {"floating_network_id": self.public(), "port_id": port}}
        return str(self.call("POST", f"{V2}/floatingips", body)["floatingip"]["floating_ip_address"])

    def default_group(self) -> str:
        """The id of the project's default security group."""
        return str(self.call("GET", f"{V2}/security-groups?name=default")["security_groups"][0]["id"])

    def open(self, port: int, protocol: str = "tcp") -> str:
        """Let everybody reach a port of the default group's members; returns the rule."""
        return self.make(
            "security_group_rule",
            security_group_id=self.default_group(),
            direction="ingress",
            protocol=protocol,
            port_range_min=port,
            port_range_max=port,
        )

    def listed(self, noun: str) -> list[dict[str, Any]]:
        """The project's own resources of the network service."""
        found = self.call("GET", f"{V2}/{noun}", project_id=self.project_id)
        return list(found[noun.replace("-", "_")])

    def remove(self) -> None:
        """Everything, in the order that the API asks for."""
        for container in self.call("GET", CONTAINERS)["containers"]:
            self.delete(container["uuid"])
        for floating in self.listed("floatingips"):
            self.call("DELETE", f"{V2}/floatingips/{floating['id']}")
        for router in self.listed("routers"):
            for port in self.call("GET", f"{V2}/ports", device_id=router["id"])["ports"]:
                if port["device_owner"] == "network:router_interface":
                    self.call("PUT", f"{V2}/routers/{router['id']}/remove_router_interface", {"port_id": port["id"]})
            self.call("DELETE", f"{V2}/routers/{router['id']}")
        for network in self.listed("networks"):
            for port in self.call("GET", f"{V2}/ports", network_id=network["id"])["ports"]:
                if not port["device_owner"].startswith("network:"):
                    self.call("DELETE", f"{V2}/ports/{port['id']}")
            self.call("DELETE", f"{V2}/networks/{network['id']}")
        for image in self.call("GET", "/image/v2/images", visibility="private")["images"]:
            self.call("DELETE", f"/image/v2/images/{image['id']}")
        wait_until(lambda: not self.listed("ports"), f"no port of {self.name} is left")
        self.close()
        self._admin.call("DELETE", f"/identity/v3/users/{self.user_id}")
        self._admin.call("DELETE", f"/identity/v3/projects/{self.project_id}")
