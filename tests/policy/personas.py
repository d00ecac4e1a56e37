"""Everybody who may ask, with things of their own and of others to ask for.

All but the stranger and the cloud's administrator live in one domain, `here`, most of them in its project; `elsewhere`
is another domain with a project, where the stranger is a member. Both have one of everything.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.api.identity.people import PASSWORD, SYSTEM, V3, People, in_domain, in_project
from tests.policy.volume_things import Volumes

from stackyard.core.db import Transaction
from stackyard.host.machines.memory import CAPACITY
from stackyard.services.compute import hosts
from stackyard.services.compute.tables import servers

HERE, ELSEWHERE, SELF = "here", "elsewhere", "self"

SCOPES = {
    "cloud-admin": ("admin", "project"),
    "system-admin": ("admin", "system"),
    "system-reader": ("reader", "system"),
    "domain-admin": ("admin", "domain"),
    "domain-manager": ("manager", "domain"),
    "domain-member": ("member", "domain"),
    "domain-reader": ("reader", "domain"),
    "manager": ("manager", "project"),
    "member": ("member", "project"),
    "reader": ("reader", "project"),
    "service": ("service", "project"),
}
"""Persona -> role and kind of scope."""

PERSONAS = ("no-token", "wrong-token", *SCOPES, "stranger", "app-cred", "unscoped")
"""Columns of the tables, in order. `app-cred` is the member by an application credential that lists networks alone."""

MEANINGS = {
    "cloud-admin": "the role admin in a project",
    "stranger": "a member of another domain's project",
    "app-cred": "the member, by an application credential whose access rules allow GET /v2.0/networks alone",
    "unscoped": "the member, with a token for no project, domain or system",
}

Things = dict[str, str]


class World:
    """A cloud with everybody in it; `tokens` by persona, `own` the user id of each, `things` by place."""

    def __init__(self, people: People) -> None:
        self._people = people
        self.tokens: dict[str, str | None] = {"no-token": None, "wrong-token": "gAAAAABforged"}
        self.own: dict[str, str] = {}
        self.things: dict[str, Things] = {HERE: {}, ELSEWHERE: {}}
        for place in (HERE, ELSEWHERE):
            self._settle(place)
        self._people_of_all_kinds()
        for place, persona in ((HERE, "member"), (ELSEWHERE, "stranger")):
            client = people.client(self.tokens[persona] or "")
            self._identity(place)
            self._delegations(place)
            self._limits(place)
            self._of_the_cloud(place)
            self._image(place, client)
            self._network(place, client)
            self._containers(place, client)
            self._compute(place, client)
            self._placement(place)
            Volumes(people.cloud.cloud, people.admin, client, self.things[place]).make(place)

    def _settle(self, place: str) -> None:
        people = self._people
        domain = people.make("domain")
        project = people.make("project", domain_id=domain["id"])
        user = people.user(domain_id=domain["id"])
        group = people.make("group", domain_id=domain["id"])
        people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
        self.things[place] |= {
            "domain_id": domain["id"],
            "project_id": project["id"],
            "user_id": user["id"],
            "group_id": group["id"],
            "subject": people.token(user, in_project(project)),
        }

    def _people_of_all_kinds(self) -> None:
        people = self._people
        here, elsewhere = self.things[HERE], self.things[ELSEWHERE]
        for persona, (role, kind) in SCOPES.items():
            scope = {
                "system": SYSTEM,
                "domain": in_domain({"id": here["domain_id"]}),
                "project": in_project({"id": here["project_id"]}),
            }[kind]
            if persona == "cloud-admin":
                scope = in_project(people.make("project"))
            self._add(persona, role, scope, here["domain_id"])
        self._add("stranger", "member", in_project({"id": elsewhere["project_id"]}), elsewhere["domain_id"])
        member = {"id": self.own["member"]}
        self.tokens["unscoped"] = people.token(member, "unscoped")
        self.tokens["app-cred"] = self._by_credential()
        self.own |= dict.fromkeys(("unscoped", "app-cred", "no-token", "wrong-token"), member["id"])

    def _add(self, persona: str, role: str, scope: dict[str, Any], domain_id: str) -> None:
        client = self._people.with_role(role, scope, domain_id=domain_id)
        token = client.headers["X-Auth-Token"]
        self.tokens[persona] = token
        self.own[persona] = self._people.validate(token).json()["token"]["user"]["id"]

    def _by_credential(self) -> str:
        client = self._people.client(self.tokens["member"] or "")
        rules = [{"service": "network", "method": "GET", "path": "/v2.0/networks"}]
        body = {"application_credential": {"name": "narrow", "secret": PASSWORD, "access_rules": rules}}
        made = _made(client, f"{V3}/users/{self.own['member']}/application_credentials", body)
        credential = made["application_credential"]
        auth = {"methods": ["application_credential"], "application_credential": {"id": credential["id"]}}
        auth["application_credential"]["secret"] = PASSWORD  # type: ignore[index]
        response = self._people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": {"identity": auth}})
        assert response.status_code == 201, response.text
        return str(response.headers["x-subject-token"])

    def _identity(self, place: str) -> None:
        """What hangs on the place's user, and what belongs to the whole cloud: the same in both places."""
        things, people = self.things[place], self._people
        people.admin.put(f"{V3}/projects/{things['project_id']}/tags/blue")
        people.admin.put(f"{V3}/groups/{things['group_id']}/users/{things['user_id']}")
        people.grant(f"groups/{things['group_id']}", "member", f"projects/{things['project_id']}")
        client = people.client(things["subject"])
        rules = [{"service": "image", "method": "GET", "path": "/v2/images"}]
        body = {"application_credential": {"name": "mine", "access_rules": rules}}
        made = _made(client, f"{V3}/users/{things['user_id']}/application_credentials", body)
        credential = made["application_credential"]
        things |= {"credential_id": credential["id"], "rule_id": credential["access_rules"][0]["id"]}
        endpoint = people.admin.get(f"{V3}/endpoints").json()["endpoints"][0]
        things |= {
            "role_id": people.roles["member"],
            "implied_role_id": people.roles["reader"],
            "region_id": endpoint["region_id"],
            "service_id": endpoint["service_id"],
            "endpoint_id": endpoint["id"],
            "tag": "blue",
        }

    def _delegations(self, place: str) -> None:
        """What the place's user lends to others, and credentials of other kinds."""
        things, people = self.things[place], self._people
        client = people.client(things["subject"])
        trust = {
            "trustor_user_id": things["user_id"],
            "trustee_user_id": self.own["service"],
            "project_id": things["project_id"],
            "impersonation": False,
            "roles": [{"name": "member"}],
        }
        things["trust_id"] = _made(client, f"{V3}/OS-TRUST/trusts", {"trust": trust})["trust"]["id"]
        keys = f"{V3}/users/{things['user_id']}/credentials/OS-EC2"
        things["access"] = _made(client, keys, {"tenant_id": things["project_id"]})["credential"]["access"]
        stored = {"type": "cert", "blob": "a certificate", "user_id": things["user_id"]}
        made = _made(client, f"{V3}/credentials", {"credential": stored})
        things["stored_credential_id"] = made["credential"]["id"]

    def _limits(self, place: str) -> None:
        things, admin = self.things[place], self._people.admin
        registered = {"service_id": things["service_id"], "resource_name": f"r-{place}", "default_limit": 5}
        made = _made(admin, f"{V3}/registered_limits", {"registered_limits": [registered]})
        things["registered_limit_id"] = made["registered_limits"][0]["id"]
        limit = {"service_id": things["service_id"], "resource_name": f"r-{place}", "resource_limit": 4}
        made = _made(admin, f"{V3}/limits", {"limits": [{**limit, "project_id": things["project_id"]}]})
        things["limit_id"] = made["limits"][0]["id"]

    def _of_the_cloud(self, place: str) -> None:
        """What only administrators make; the ids are the same in both places but where something is of a domain."""
        things, admin = self.things[place], self._people.admin
        filters = {"service_id": things["service_id"]}
        group = _made(
            admin, f"{V3}/OS-EP-FILTER/endpoint_groups", {"endpoint_group": {"name": place, "filters": filters}}
        )
        policy = _made(admin, f"{V3}/policies", {"policy": {"type": "text/plain", "blob": "{}"}})
        consumer = _made(admin, f"{V3}/OS-OAUTH1/consumers", {"consumer": {}})
        things |= {
            "endpoint_group_id": group["endpoint_group"]["id"],
            "policy_id": policy["policy"]["id"],
            "consumer_id": consumer["consumer"]["id"],
            "group": "identity",
            "option": "driver",
            "idp_id": f"idp-{place}",
            "mapping_id": f"mapping-{place}",
            "protocol_id": "mapped",
            "sp_id": f"sp-{place}",
        }
        federation = f"{V3}/OS-FEDERATION"
        provider = f"{federation}/identity_providers/{things['idp_id']}"
        rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "NAME"}]}]
        url = "https://idp.example.org"
        for path, body in (
            (provider, {"identity_provider": {"domain_id": things["domain_id"]}}),
            (f"{federation}/mappings/{things['mapping_id']}", {"mapping": {"rules": rules}}),
            (f"{provider}/protocols/mapped", {"protocol": {"mapping_id": things["mapping_id"]}}),
            (
                f"{federation}/service_providers/{things['sp_id']}",
                {"service_provider": {"auth_url": url, "sp_url": url}},
            ),
        ):
            answer = admin.put(path, json=body)
            assert answer.status_code == 201, f"{path}: {answer.text}"

    def _image(self, place: str, client: TestClient) -> None:
        things = self.things[place]
        image = _made(client, "/image/v2/images", {"name": "i", "visibility": "shared", "tags": ["blue"]})
        friend = self._people.make("project")["id"]
        _made(client, f"/image/v2/images/{image['id']}/members", {"member": friend}, status=200)
        namespace = f"NS::{place}"
        visibility = {"visibility": "private", "owner": things["project_id"]}
        _made(self._people.admin, "/image/v2/metadefs/namespaces", {"namespace": namespace, **visibility})
        stores = client.get("/image/v2/info/stores").json().get("stores", [])
        things |= {"image_id": image["id"], "member_id": friend, "namespace": namespace, "name": "image"}
        things["store_id"] = stores[0]["id"] if stores else "file"

    def _network(self, place: str, client: TestClient) -> None:
        v2, things = "/network/v2.0", self.things[place]

        def make(noun: str, **fields: Any) -> str:
            path = {"security_group": "security-groups", "security_group_rule": "security-group-rules"}.get(noun)
            return str(_made(client, f"{v2}/{path or noun + 's'}", {noun: fields})[noun]["id"])

        public = client.get(f"{v2}/networks?router:external=True").json()["networks"][0]["id"]
        network = things["network_id"] = make("network", name="n")
        things["subnet_id"] = make("subnet", network_id=network, cidr="10.77.0.0/24", ip_version=4)
        things["port_id"] = make("port", network_id=network)
        things["router_id"] = make("router", name="r")
        things["floatingip_id"] = make("floatingip", floating_network_id=public)
        group = things["security_group_id"] = make("security_group", name="g")
        rule = make("security_group_rule", security_group_id=group, direction="ingress", protocol="icmp")
        things["security_group_rule_id"] = rule
        self._more_of_network(place, client)
        for noun in ("network", "subnet", "port", "router", "floatingip", "security_group"):
            tagged = client.put(f"{v2}/{noun.replace('_', '-')}s/{things[f'{noun}_id']}/tags/blue")
            assert tagged.status_code == 201, tagged.text
        agents = self._people.admin.get(f"{v2}/agents").json()["agents"]
        things |= {"agent_id": agents[0]["id"] if agents else "none", "alias": "router", "public": public}

    def _more_of_network(self, place: str, client: TestClient) -> None:
        """What the project has besides, and what only an administrator can make for it."""
        v2, things, admin = "/network/v2.0", self.things[place], self._people.admin

        def make(path: str, noun: str, by: TestClient = client, **fields: Any) -> str:
            return str(_made(by, f"{v2}/{path}", {noun: fields})[noun]["id"])

        owned = {"project_id": things["project_id"], "name": "x"}
        things["address_scope_id"] = make("address-scopes", "address_scope", name="x", ip_version=4)
        things["subnetpool_id"] = make("subnetpools", "subnetpool", name="x", prefixes=["10.66.0.0/16"])
        things["address_group_id"] = make("address-groups", "address_group", name="x", addresses=["192.0.2.0/24"])
        parent = make("ports", "port", network_id=things["network_id"])
        things["trunk_id"] = make("trunks", "trunk", port_id=parent)
        shared = {"object_type": "network", "object_id": things["network_id"], "action": "access_as_shared"}
        things["rbac_policy_id"] = make("rbac-policies", "rbac_policy", **shared, target_tenant="0" * 32)
        things["local_ip_id"] = make("local_ips", "local_ip", name="x", network_id=things["network_id"])
        helpers = f"routers/{things['router_id']}/conntrack_helpers"
        ftp = {"helper": "tftp", "protocol": "udp", "port": 69}
        things["conntrack_helper_id"] = make(helpers, "conntrack_helper", **ftp)
        policy = things["qos_policy_id"] = make("qos/policies", "policy", admin, **owned)
        limit = {"max_kbps": 1000}
        rules = f"qos/policies/{policy}/bandwidth_limit_rules"
        things["qos_rule_id"] = make(rules, "bandwidth_limit_rule", admin, **limit)
        label = make("metering/metering-labels", "metering_label", admin, **owned)
        things["metering_label_id"] = label
        counted = {"metering_label_id": label, "direction": "ingress", "remote_ip_prefix": "192.0.2.0/24"}
        things["metering_label_rule_id"] = make(
            "metering/metering-label-rules", "metering_label_rule", admin, project_id=things["project_id"], **counted
        )
        things["segment_id"] = admin.get(f"{v2}/segments?network_id={things['network_id']}").json()["segments"][0]["id"]
        of_flavor = {"name": place, "service_type": "L3_ROUTER_NAT"}
        things["flavor_id"] = make("flavors", "flavor", admin, **of_flavor)

    def _containers(self, place: str, client: TestClient) -> None:
        things = self.things[place]
        version = {"OpenStack-API-Version": "container 1.40"}
        body = {"image": "nginx", "nets": [{"network": things["network_id"]}]}
        made = client.post("/container/v1/containers", json=body, headers=version)
        assert made.status_code == 202, made.text
        container = made.json()["uuid"]
        actions = client.get(f"/container/v1/containers/{container}/container_actions", headers=version).json()
        registry = {"registry": {"name": "reg", "domain": "registry.example.org", "username": "u", "password": "p"}}
        answer = client.post("/container/v1/registries", json=registry, headers=version)
        assert answer.status_code == 201, answer.text
        made_registry = answer.json()
        things |= {
            "container": container,
            "request_id": actions["containerActions"][0]["request_id"],
            "registry": made_registry.get("registry", made_registry)["uuid"],
            "host": "testhost",
            "image": "nginx",
            "network": things["network_id"],
        }

    def _compute(self, place: str, client: TestClient) -> None:
        """A server that runs, as its row says, and what else compute keeps for a project or a user."""
        v21, things, admin = "/compute/v2.1", self.things[place], self._people.admin
        newest = {"OpenStack-API-Version": "compute 2.104"}

        def make(path: str, body: dict[str, Any], by: TestClient = client, status: int = 200) -> dict[str, Any]:
            answer = by.post(f"{v21}/{path}", json=body, headers=newest)
            assert answer.status_code == status, f"{path}: {answer.text}"
            return dict(answer.json())

        private = {"name": f"tiny-{place}", "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}
        cloud = self._people.cloud
        cloud.database.write("register", hosts.register, cloud.runtime, CAPACITY)  # as a start does
        flavor = make("flavors", {"flavor": private}, admin)["flavor"]["id"]
        make(f"flavors/{flavor}/os-extra_specs", {"extra_specs": {"colour": "blue"}}, admin)
        make(f"flavors/{flavor}/action", {"addTenantAccess": {"tenant": things["project_id"]}}, admin)
        key = {"name": "mine", "type": "ssh", "public_key": PUBLIC_KEY}
        make("os-keypairs", {"keypair": key}, status=201)
        group = make("os-server-groups", {"server_group": {"name": "g", "policy": "affinity"}})["server_group"]["id"]
        image = _made(client, "/image/v2/images", {"name": "b", "disk_format": "raw", "container_format": "bare"})["id"]
        answer = client.put(
            f"/image/v2/images/{image}/file", content=bytes(512), headers={"Content-Type": "application/octet-stream"}
        )
        assert answer.status_code == 204, answer.text
        body = {"name": "s", "imageRef": image, "flavorRef": flavor, "metadata": {"colour": "blue"}, "tags": ["blue"]}
        body["networks"] = [{"uuid": things["network_id"]}]
        server = make("servers", {"server": body}, status=202)["server"]["id"]
        cloud.database.write("run", _runs, server)
        actions = client.get(f"{v21}/servers/{server}/os-instance-actions").json()["instanceActions"]
        ports = client.get(f"/network/v2.0/ports?device_id={server}").json()["ports"]
        aggregate = make("os-aggregates", {"aggregate": {"name": place}}, admin)["aggregate"]["id"]
        services = admin.get(f"{v21}/os-services", headers=newest).json()["services"]
        hypervisors = admin.get(f"{v21}/os-hypervisors", headers=newest).json()["hypervisors"]
        things |= {
            "server_id": server,
            "server_flavor_id": flavor,
            "server_image_id": image,
            "server_group_id": group,
            "server_port_id": ports[0]["id"],
            "server_request_id": actions[0]["request_id"],
            "keypair_name": "mine",
            "key": "colour",
            "aggregate_id": str(aggregate),
            "compute_service_id": services[0]["id"] if services else NOBODY,
            "hypervisor_id": hypervisors[0]["id"] if hypervisors else NOBODY,
            "class_name": "default",
            "version_id": "v2.1",
        }

    def _placement(self, place: str) -> None:
        """A provider with an inventory, a trait and an allocation of the place's server."""
        things, admin = self.things[place], self._people.admin
        newest = {"OpenStack-API-Version": "placement 1.39"}
        answer = admin.post("/placement/resource_providers", json={"name": place}, headers=newest)
        assert answer.status_code == 200, answer.text
        things |= {"uuid": answer.json()["uuid"], "resource_class": "VCPU", "consumer": things["server_id"]}
        things["trait"] = "CUSTOM_BLUE"
        made = admin.put("/placement/traits/CUSTOM_BLUE", headers=newest)
        assert made.status_code in (201, 204), made.text
        inventory = {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 4}}}
        path = f"/placement/resource_providers/{things['uuid']}/inventories"
        answer = admin.put(path, json=inventory, headers=newest)
        assert answer.status_code == 200, answer.text


PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f mine"
NOBODY = "3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d11"


def _runs(tx: Transaction, server: str) -> None:
    """Have a server's row say that it runs on this host: nothing is carried out in this cloud."""
    running = {"vm_state": "active", "task_state": None, "task": None, "power_state": 1, "power": "running"}
    values = {**running, "host": "testhost", "zone": "nova", "fault": None, "launched_at": tx.now}
    tx.execute(sa.update(servers).where(servers.c.id == server).values(values))


def _made(client: TestClient, path: str, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    response = client.post(path, json=body)
    assert response.status_code == status, f"{path}: {response.text}"
    return dict(response.json())
