"""POST /servers: what is made, what it answers, and that a refused request leaves nothing behind."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import LATEST, Nova
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud

GONE = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def nova(cloud: TestCloud) -> Nova:
    return Nova(cloud, "demo")


def _body(image: str, **fields: Any) -> dict[str, Any]:
    return {"server": {"name": "one", "imageRef": image, "flavorRef": "42", "networks": "auto", **fields}}


def _private(cloud: TestCloud) -> str:
    found = cloud.client("demo").get("/network/v2.0/networks?name=private").json()["networks"]
    return str(found[0]["id"])


def _ports(cloud: TestCloud, **query: str) -> list[dict[str, Any]]:
    found = cloud.client("admin").get("/network/v2.0/ports", params=query).json()["ports"]
    return [port for port in found if port["device_owner"].startswith("compute:")]


def test_a_plain_server(cloud: TestCloud, nova: Nova) -> None:
    image = rows.image(cloud)
    answer = nova.http.post(
        "/compute/v2.1/servers", json={"server": {"name": "A name", "imageRef": image, "flavorRef": 42}}
    )
    assert answer.status_code == 202
    made = answer.json()["server"]
    assert set(made) == {"id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"}
    assert answer.headers["location"] == made["links"][0]["href"]
    assert made["security_groups"] == [{"name": "default"}]
    assert len(made["adminPass"]) == 12
    cloud.settle()
    shown = nova.get(f"/servers/{made['id']}")["server"]
    assert shown["status"] == "ACTIVE"
    assert shown["flavor"]["id"] == "42"
    assert shown["image"]["id"] == image
    (port,) = _ports(cloud, device_id=made["id"])
    assert port["device_owner"] == "compute:nova"
    assert port["dns_name"] == "a-name"
    assert port["status"] == "ACTIVE"
    assert [ip["addr"] for ip in shown["addresses"]["private"]] == [ip["ip_address"] for ip in port["fixed_ips"]]
    assert {ip["OS-EXT-IPS-MAC:mac_addr"] for ip in shown["addresses"]["private"]} == {port["mac_address"]}


def test_all_that_can_be_said(cloud: TestCloud, nova: Nova) -> None:
    image = rows.image(cloud)
    nova.post("/os-keypairs", {"keypair": {"name": "mine"}})
    user_data = base64.b64encode(b"#cloud-config").decode()
    fields = {
        "description": "what it is for", "hostname": "host.example.org", "metadata": {"a": "b"}, "tags": ["x", "y"],
        "key_name": "mine", "user_data": user_data, "config_drive": "True", "accessIPv4": "192.0.2.1",
        "accessIPv6": "2001:db8::1", "OS-DCF:diskConfig": "AUTO", "adminPass": "secret-word",
        "availability_zone": "nova", "trusted_image_certificates": ["c1"], "security_groups": [{"name": "default"}],
    }  # fmt: skip
    made = nova.post("/servers", _body(image, **fields), status=202, version=LATEST)["server"]
    assert made["adminPass"] == "secret-word"
    assert made["OS-DCF:diskConfig"] == "AUTO"
    cloud.settle()
    shown = Nova(cloud, "admin").get(f"/servers/{made['id']}", version=LATEST)["server"]
    expected = {
        "description": "what it is for", "OS-EXT-SRV-ATTR:hostname": "host.example.org", "metadata": {"a": "b"},
        "tags": ["x", "y"], "key_name": "mine", "OS-EXT-SRV-ATTR:user_data": user_data, "config_drive": "True",
        "accessIPv4": "192.0.2.1", "accessIPv6": "2001:db8::1", "OS-EXT-AZ:availability_zone": "nova",
        "pinned_availability_zone": "nova", "trusted_image_certificates": ["c1"], "host_status": "UP",
        "OS-EXT-SRV-ATTR:host": "testhost", "security_groups": [{"name": "default"}], "status": "ACTIVE",
    }  # fmt: skip
    assert {name: shown[name] for name in expected} == expected
    assert "secret-word" not in str(shown)


def test_several_at_once(cloud: TestCloud, nova: Nova) -> None:
    image = rows.image(cloud)
    body = _body(image, name="many", min_count="2", max_count=3, return_reservation_id=True)
    reservation = nova.post("/servers", body, status=202, version="2.37")["reservation_id"]
    found = nova.get(f"/servers/detail?reservation_id={reservation}")["servers"]
    assert sorted(server["name"] for server in found) == ["many-1", "many-2", "many-3"]
    cloud.settle()
    assert len({port["fixed_ips"][0]["ip_address"] for port in _ports(cloud)}) == 3
    assert sorted(port["dns_name"] for port in _ports(cloud)) == ["many-1", "many-2", "many-3"]
    told = nova.post("/servers", _body(image, max_count=2, hostname="same"), status=400, version="2.90")
    assert "single hostname" in told["message"]
    told = nova.post("/servers", _body(image, min_count=3, max_count=2), status=400, version="2.37")
    assert told["message"] == "min_count must be <= max_count"


def test_as_many_as_the_quota_allows(cloud: TestCloud, nova: Nova) -> None:
    image, project = rows.image(cloud), rows.caller(cloud).project_id
    limit = cloud.runtime.quotas.set_limit
    cloud.database.write("limit", limit, str(project), "compute.instances", 2)
    answer = nova.post("/servers", _body(image, min_count=1, max_count=5), status=202, version="2.37")
    assert answer["server"]["id"]
    assert booted.used(cloud, str(project)) == (2, 2, 384)
    told = nova.post("/servers", _body(image), status=403, version="2.37")
    assert told["message"] == "Quota exceeded for instances: Requested 1, but already used 2 of 2 instances"
    cloud.database.write("limit", limit, str(project), "compute.instances", -1)
    cloud.database.write("limit", limit, str(project), "compute.ram", 400)
    assert "ram" in nova.post("/servers", _body(image), status=403, version="2.37")["message"]
    assert booted.used(cloud, str(project)) == (2, 2, 384)
    assert len(nova.get("/servers")["servers"]) == 2


def test_no_host_can_take_it(cloud: TestCloud, nova: Nova) -> None:
    image = rows.image(cloud)
    Nova(cloud, "admin").post(
        "/flavors", {"flavor": {"name": "huge", "ram": 4_000_000, "vcpus": 1, "disk": 1, "id": "huge"}}
    )
    project = str(rows.caller(cloud).project_id)
    cloud.database.write("limit", cloud.runtime.quotas.set_limit, project, "compute.ram", -1)
    made = nova.post("/servers", _body(image, flavorRef="huge"), status=202, version="2.37")["server"]
    shown = nova.get(f"/servers/{made['id']}", version=LATEST)["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"], shown["hostId"]) == ("ERROR", None, "")
    assert shown["fault"]["code"] == 500
    assert shown["fault"]["message"].startswith("No valid host was found. ")
    assert "details" not in shown["fault"]
    assert _ports(cloud) == []
    (action,) = nova.get(f"/servers/{made['id']}/os-instance-actions")["instanceActions"]
    assert (action["action"], action["message"]) == ("create", "Error")
    nova.delete(f"/servers/{made['id']}", status=204)
    assert nova.get(f"/servers/{made['id']}", status=404)["code"] == 404
    assert booted.used(cloud, project) == (0, 0, 0)


def test_networks(cloud: TestCloud, nova: Nova) -> None:
    image, network = rows.image(cloud), _private(cloud)
    http = cloud.client("demo")
    none = booted.server(cloud, nova, image=image, networks="none")
    assert nova.get(f"/servers/{none}/ips")["addresses"] == {}
    port = http.post("/network/v2.0/ports", json={"port": {"network_id": network}}).json()["port"]
    wanted = [{"port": port["id"]}, {"uuid": network, "fixed_ip": "10.0.0.77"}]
    both = booted.server(cloud, nova, image=image, networks=wanted)
    assert nova.get(f"/servers/{both}/ips")["addresses"]["private"][0]["addr"] == port["fixed_ips"][0]["ip_address"]
    cases: list[tuple[Any, int, str]] = [
        ([{"port": port["id"]}], 409, "is still in use"),
        ([{"uuid": network, "fixed_ip": "10.0.0.77"}], 400, "already in use"),
        ([{"uuid": network, "fixed_ip": "192.0.2.9"}], 400, "not a valid IP"),
        ([{"uuid": GONE}], 400, f"Network {GONE} could not be found."),
        ([{"port": GONE}], 400, f"Port id {GONE} could not be found."),
        ([{"port": port["id"], "fixed_ip": "10.0.0.9"}], 400, "cannot be specified together"),
        ([{"uuid": network, "bogus": "1"}], 400, "'bogus' was unexpected"),
        ([{"uuid": "no-uuid"}], 400, "not in proper format"),
        ([{"tag": "x"}], 400, "missing 'uuid'"),
        ([{"uuid": network, "tag": "a,b"}], 400, "tag"),
        ([{"uuid": network, "tag": "t"}, {"uuid": network, "tag": "t"}], 400, "unique"),
        ("some", 400, "networks"),
        (7, 400, "networks"),
    ]
    before = len(_ports(cloud))
    for networks, status, text in cases:
        told = nova.post("/servers", _body(image, networks=networks), status=status, version=LATEST)
        assert text in told["message"], networks
    many = _body(image, networks=[{"uuid": network, "fixed_ip": "10.0.0.80"}], max_count=2)
    assert "single configured IP" in nova.post("/servers", many, status=400, version=LATEST)["message"]
    assert len(_ports(cloud)) == before
    assert (
        "required"
        in nova.post(
            "/servers",
            {"server": {k: v for k, v in _body(image)["server"].items() if k != "networks"}},
            status=400,
            version="2.37",
        )["message"]
    )
    nova.delete(f"/servers/{both}", status=204)
    cloud.settle()
    left = http.get(f"/network/v2.0/ports/{port['id']}").json()["port"]
    assert (left["device_id"], left["device_owner"], left["dns_name"]) == ("", "", "")


def test_which_network_when_none_is_named(cloud: TestCloud, nova: Nova) -> None:
    image = rows.image(cloud)
    http = cloud.client("demo")
    http.post("/network/v2.0/networks", json={"network": {"name": "second"}})
    for version, networks in (("2.1", None), ("2.37", "auto")):
        body = _body(image, networks=networks)
        if networks is None:
            del body["server"]["networks"]
        told = nova.post("/servers", body, status=409, version=version)
        assert told["message"] == "Multiple possible networks found, use a Network ID to be more specific."
    admin, neutron = Nova(cloud, "admin"), Neutron(cloud, "admin")
    neutron.delete_default_pools()
    found = admin.post("/servers", _body(image, networks="auto"), status=400, version="2.37")
    assert "Unable to automatically allocate a network" in found["message"]
    neutron.create("subnetpool", name="p", prefixes=["10.90.0.0/16"], default_prefixlen=24, is_default=True)
    server_id = booted.server(cloud, admin, image=image, networks="auto")
    assert list(admin.get(f"/servers/{server_id}/ips")["addresses"]) == ["auto_allocated_network"]


def test_servers_of_several_requests_at_once_share_the_network_that_is_allocated(cloud: TestCloud) -> None:
    image = rows.image(cloud)
    users = [Nova(cloud, "admin") for _ in range(4)]
    ready = threading.Barrier(len(users))

    def ask(user: Nova) -> str:
        ready.wait()
        body = _body(image, networks="auto", min_count=2, flavorRef="42")
        return str(user.post("/servers", body, status=202, version="2.37")["server"]["id"])

    with ThreadPoolExecutor(len(users)) as pool:
        list(pool.map(ask, users))
    cloud.settle()
    found = users[0].get("/servers/detail")["servers"]
    assert [server["status"] for server in found] == ["ACTIVE"] * 2 * len(users)
    assert {tuple(server["addresses"]) for server in found} == {("auto_allocated_network",)}
    neutron = Neutron(cloud, "admin")
    assert len(neutron.list("network", "?name=auto_allocated_network")) == 1
    assert len(neutron.list("router", "?name=auto_allocated_router")) == 1


def test_the_image_must_do(cloud: TestCloud, nova: Nova) -> None:
    image, admin = rows.image(cloud), cloud.client("admin")

    def change(*patches: dict[str, Any]) -> None:
        headers = {"content-type": "application/openstack-images-v2.1-json-patch"}
        answer = admin.request("PATCH", f"/image/v2/images/{image}", json=list(patches), headers=headers)
        assert answer.status_code == 200, answer.text

    def refused(**fields: Any) -> str:
        return str(nova.post("/servers", _body(image, **fields), status=400, version="2.37")["message"])

    queued = admin.post(
        "/image/v2/images", json={"name": "q", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    ).json()["id"]
    assert refused(imageRef=queued) == f"Image {queued} is not active."
    assert refused(imageRef=GONE) == "Can not find requested image"
    assert "UUID" in refused(imageRef="../etc")
    assert refused(imageRef="") == "Missing imageRef attribute"
    change({"op": "replace", "path": "/min_ram", "value": 4096})
    assert refused() == "Flavor's memory is too small for requested image."
    change({"op": "replace", "path": "/min_ram", "value": 0}, {"op": "replace", "path": "/min_disk", "value": 50})
    assert "minimum size" in refused()
    change(
        {"op": "replace", "path": "/min_disk", "value": 0},
        {"op": "add", "path": "/hw_disk_bus", "value": "x,file=/etc/shadow"},
    )
    assert "hw_disk_bus" in refused()
    for name, value in (
        ("hw_machine_type", "-sandbox"),
        ("hw_vif_model", "virtio,romfile=/x"),
        ("hw_cpu_cores", "a"),
        ("hw_qemu_guest_agent", "maybe"),
        ("hw_unheard_of", "a;b|c"),
    ):
        change(
            {"op": "replace", "path": "/hw_disk_bus", "value": "virtio"},
            {"op": "add", "path": f"/{name}", "value": value},
        )
        assert name in refused()
        change({"op": "remove", "path": f"/{name}"})
    change({"op": "add", "path": "/img_config_drive", "value": "mandatory"})
    server_id = booted.server(cloud, nova, image=image)
    assert nova.get(f"/servers/{server_id}")["server"]["config_drive"] == "True"
    shown = nova.get(f"/servers/{server_id}", version="2.98")["server"]["image"]["properties"]
    assert shown == {"hw_disk_bus": "virtio", "img_config_drive": "mandatory"}


def test_the_flavor_must_do(cloud: TestCloud, nova: Nova) -> None:
    image, admin = rows.image(cloud), Nova(cloud, "admin")
    told = nova.post("/servers", _body(image, flavorRef="nope"), status=400, version="2.37")
    assert told["message"] == "Flavor nope could not be found."
    admin.post("/flavors", {"flavor": {"name": "nil", "ram": 64, "vcpus": 1, "disk": 0, "id": "nil"}})
    told = nova.post("/servers", _body(image, flavorRef="nil"), status=403, version="2.37")
    assert told["message"] == "Only volume-backed servers are allowed for flavors with zero disk."
    admin.post(
        "/flavors",
        {"flavor": {"name": "own", "ram": 64, "vcpus": 1, "disk": 1, "id": "own", "os-flavor-access:is_public": False}},
    )
    nova.post("/servers", _body(image, flavorRef="own"), status=400, version="2.37")


BAD: list[tuple[str, Any, str]] = [
    ("name", "", "2.37"), ("name", "x" * 256, "2.37"), ("name", " a", "2.37"), ("name", "a\n", "2.37"),
    ("name", 7, "2.37"), ("flavorRef", "", "2.37"), ("flavorRef", [], "2.37"), ("imageRef", 7, "2.37"),
    ("adminPass", 7, "2.37"), ("metadata", {"a": 7}, "2.37"), ("metadata", {"": "x"}, "2.37"),
    ("metadata", {"a/b": "x"}, "2.37"), ("metadata", {"a": "x" * 256}, "2.37"), ("metadata", [], "2.37"),
    ("OS-DCF:diskConfig", "auto", "2.37"), ("accessIPv4", "::1", "2.37"), ("accessIPv4", "1.2.3", "2.37"),
    ("accessIPv6", "1.2.3.4", "2.37"), ("accessIPv6", "fe80::1%eth0", "2.37"), ("availability_zone", "mars", "2.37"),
    ("availability_zone", "a:b:c:d", "2.37"), ("availability_zone", "", "2.37"), ("config_drive", "perhaps", "2.37"),
    ("config_drive", 7, "2.37"), ("key_name", "missing", "2.37"), ("key_name", "", "2.37"),
    ("min_count", 0, "2.37"), ("min_count", "-1", "2.37"), ("min_count", "x", "2.37"), ("max_count", 1.5, "2.37"),
    ("return_reservation_id", "x", "2.37"), ("security_groups", [{"name": "missing"}], "2.37"),
    ("security_groups", [{}], "2.37"), ("security_groups", [{"name": "default", "x": 1}], "2.37"),
    ("security_groups", "default", "2.37"), ("user_data", "not base64!", "2.37"), ("user_data", "QQ" * 40000, "2.37"),
    ("personality", [{"path": "/a", "contents": "A"}], "2.37"), ("personality", [{"path": "/a", "x": "y"}], "2.37"),
    ("personality", [], "2.57"), ("description", "x" * 256, "2.37"), ("description", "x", "2.18"),
    ("description", "a\tb", "2.37"), ("tags", ["a,b"], "2.52"), ("tags", ["x" * 61], "2.52"), ("tags", [7], "2.52"),
    ("tags", [str(n) for n in range(51)], "2.52"), ("tags", ["a"], "2.51"), ("hostname", "a b", "2.90"),
    ("hostname", "a.b", "2.90"), ("hostname", "a/b", "2.94"), ("hostname", "abc", "2.89"),
    ("trusted_image_certificates", [], "2.63"), ("trusted_image_certificates", ["a", "a"], "2.63"),
    ("trusted_image_certificates", ["a"], "2.62"), ("host", "testhost", "2.73"), ("bogus", 1, "2.37"),
    ("block_device_mapping", [{}], "2.37"), ("block_device_mapping", [{"virtual_name": "x"}], "2.37"),
    ("block_device_mapping", [{"device_name": "a b", "volume_id": GONE}], "2.37"),
    ("block_device_mapping", [{"device_name": "vdb", "volume_id": GONE}], "2.37"),
    ("block_device_mapping_v2", [{"source_type": "volume", "destination_type": "volume", "uuid": GONE}], "2.37"),
    ("block_device_mapping_v2", [{"source_type": "blank", "destination_type": "volume"}], "2.37"),
    ("block_device_mapping_v2", [{"source_type": "blank", "destination_type": "local", "volume_size": 99}], "2.37"),
    ("block_device_mapping_v2", [{"source_type": "blank", "uuid": GONE}], "2.37"),
    ("block_device_mapping_v2", [{"source_type": "tape", "uuid": GONE}], "2.37"),
    ("block_device_mapping_v2", [{"source_type": "image", "destination_type": "local", "uuid": GONE}], "2.37"),
    ("block_device_mapping_v2", [{"source_type": "blank", "boot_index": "x"}], "2.37"),
    ("block_device_mapping_v2", [{"source_type": "blank", "volume_size": "many"}], "2.37"),
    ("block_device_mapping_v2", [{"source_type": "blank", "tag": "x"}], "2.37"),
    ("block_device_mapping_v2", [{"source_type": "blank", "guest_format": "swap", "volume_size": 9}], "2.37"),
]  # fmt: skip


def test_bad_input_is_refused_and_makes_nothing(cloud: TestCloud, nova: Nova) -> None:
    image = rows.image(cloud)
    for field, value, version in BAD:
        body = _body(image, **{field: value})
        if float(version.partition(".")[2]) < 37:
            del body["server"]["networks"]
        answer = nova.http.post("/compute/v2.1/servers", json=body, headers={"X-OpenStack-Nova-API-Version": version})
        assert answer.status_code == 400, (field, value, answer.text)
    for missing in ("name", "flavorRef"):
        body = _body(image)
        del body["server"][missing]
        assert missing in nova.post("/servers", body, status=400, version="2.37")["message"]
    for whole in ({}, {"server": None}, {"server": []}, {**_body(image), "more": 1}):
        nova.post("/servers", whole, status=400, version="2.37")
    assert nova.get("/servers")["servers"] == []
    assert _ports(cloud) == []
    assert booted.used(cloud, str(rows.caller(cloud).project_id)) == (0, 0, 0)


HINTS: list[dict[str, Any]] = [
    {"group": "x"}, {"group": GONE}, {"same_host": "x"}, {"different_host": ["x"]}, {"query": 7},
    {"build_near_host_ip": "x"}, {"cidr": "24"}, {"target_cell": 7}, {"different_cell": 7},
]  # fmt: skip


def test_hints_and_groups(cloud: TestCloud, nova: Nova) -> None:
    image = rows.image(cloud)
    for hints in HINTS:
        nova.post("/servers", {**_body(image), "os:scheduler_hints": hints}, status=400, version="2.37")
    group = nova.post("/os-server-groups", {"server_group": {"name": "g", "policies": ["anti-affinity"]}})[
        "server_group"
    ]["id"]
    body = {**_body(image), "OS-SCH-HNT:scheduler_hints": {"group": group}}
    made = nova.post("/servers", body, status=202, version="2.37")["server"]["id"]
    shown = nova.get(f"/servers/{made}", version=LATEST)["server"]
    assert (shown["server_groups"], shown["scheduler_hints"]) == ([group], {"group": [group]})
    second = nova.post("/servers", body, status=202, version="2.37")["server"]["id"]
    assert nova.get(f"/servers/{second}")["server"]["status"] == "ERROR"
    assert nova.get(f"/os-server-groups/{group}")["server_group"]["members"] == [made, second]
    cloud.settle()
    nova.delete(f"/servers/{made}", status=204)
    cloud.settle()
    assert nova.get(f"/os-server-groups/{group}")["server_group"]["members"] == [second]


def test_where_it_is_to_run(cloud: TestCloud, nova: Nova) -> None:
    image, admin = rows.image(cloud), Nova(cloud, "admin")
    for fields in ({"availability_zone": "nova:testhost"}, {"availability_zone": "nova::testhost"}):
        assert (
            "forced_host"
            in nova.post("/servers", _body(image, networks="none", **fields), status=403, version="2.74")["message"]
        )
        admin.post("/servers", _body(image, networks="none", **fields), status=202, version="2.74")
    assert (
        "requested_destination"
        in nova.post("/servers", _body(image, host="testhost"), status=403, version="2.74")["message"]
    )
    made = admin.post("/servers", _body(image, networks="none", host="testhost"), status=202, version="2.74")["server"]
    assert admin.get(f"/servers/{made['id']}")["server"]["OS-EXT-SRV-ATTR:host"] == "testhost"
    told = admin.post("/servers", _body(image, networks="none", host="nohost"), status=400, version="2.74")
    assert told["message"] == "Compute host nohost could not be found."
    both = _body(image, networks="none", host="testhost", availability_zone="nova:testhost")
    assert "mutually exclusive" in admin.post("/servers", both, status=400, version="2.74")["message"]
    lost = admin.post(
        "/servers", _body(image, networks="none", availability_zone="nova:nohost"), status=202, version="2.74"
    )
    assert admin.get(f"/servers/{lost['server']['id']}")["server"]["status"] == "ERROR"


def test_who_may_not(cloud: TestCloud) -> None:
    image = rows.image(cloud)
    admin = cloud.client("admin")
    projects = {one["name"]: one["id"] for one in admin.get("/identity/v3/projects").json()["projects"]}
    user = admin.post(
        "/identity/v3/users",
        json={"user": {"name": "reader", "password": "reader-secret", "default_project_id": projects["demo"]}},
    ).json()["user"]["id"]
    roles = {one["name"]: one["id"] for one in admin.get("/identity/v3/roles").json()["roles"]}
    admin.put(f"/identity/v3/projects/{projects['demo']}/users/{user}/roles/{roles['reader']}")
    token = cloud.sign_in("reader", "reader-secret", "demo")
    headers = {"X-Auth-Token": token, "X-OpenStack-Nova-API-Version": "2.37"}
    answer = cloud.http.post("/compute/v2.1/servers", json=_body(image), headers=headers)
    assert (answer.status_code, next(iter(answer.json()))) == (403, "forbidden")
    assert cloud.http.get("/compute/v2.1/servers/detail", headers=headers).status_code == 200
    assert cloud.http.post("/compute/v2.1/servers", json=_body(image)).status_code == 401


def test_disks_that_a_request_names(cloud: TestCloud, nova: Nova) -> None:
    image = rows.image(cloud)
    flavor = {
        "name": "disks",
        "ram": 64,
        "vcpus": 1,
        "disk": 1,
        "id": "disks",
        "OS-FLV-EXT-DATA:ephemeral": 3,
        "swap": 64,
    }
    Nova(cloud, "admin").post("/flavors", {"flavor": flavor})
    mapping = [
        {"source_type": "image", "destination_type": "local", "uuid": image, "boot_index": 0},
        {"source_type": "blank", "destination_type": "local", "volume_size": 1, "boot_index": -1},
        {"source_type": "blank", "destination_type": "local", "volume_size": "2"},
    ]
    fields = {"flavorRef": "disks", "networks": "none"}
    server_id = nova.post(
        "/servers", _body(image, **fields, block_device_mapping_v2=mapping), status=202, version="2.37"
    )
    cloud.settle()
    spec = cloud.machines["machine"].spec(server_id["server"]["id"])
    assert (sorted(spec.ephemeral), spec.swap) == ([1, 2], 64)
    old = [{"virtual_name": "ephemeral0", "device_name": "vdb"}]
    made = nova.post("/servers", _body(image, **fields, block_device_mapping=old), status=202, version="2.37")
    cloud.settle()
    assert cloud.machines["machine"].spec(made["server"]["id"]).ephemeral == (3,)
    too_much = [{"source_type": "blank", "destination_type": "local", "volume_size": 4}]
    told = nova.post("/servers", _body(image, **fields, block_device_mapping_v2=too_much), status=400, version="2.37")
    assert "Ephemeral disks requested are larger" in told["message"]
    both = _body(image, **fields, block_device_mapping_v2=mapping, block_device_mapping=old)
    assert (
        "different block_device_mapping syntaxes" in nova.post("/servers", both, status=400, version="2.37")["message"]
    )
    apart = [mapping[0] | {"boot_index": 0}, mapping[1] | {"boot_index": 5}]
    told = nova.post("/servers", _body(image, **fields, block_device_mapping_v2=apart), status=400, version="2.37")
    assert "Boot sequence" in told["message"]
