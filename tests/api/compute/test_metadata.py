"""What guests find at 169.254.169.254 and on their config drives: the documents, and who gets whose."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.compute import rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

from stackyard.core.config import Settings
from stackyard.core.db import Transaction
from stackyard.host.network.metadata import MetadataReply, MetadataRequest
from stackyard.services import keys
from stackyard.services.compute.guests import config_drive, ec2, openstack, password, vendor_data
from stackyard.services.compute.guests.network_data import network_data
from stackyard.services.compute.tables import block_devices, servers
from stackyard.services.network import api as network_api

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK me@here"
SCRIPT = b"#!/bin/sh\necho \xff hello\n"
COLUMNS = {
    "name": "Web 1", "hostname": "web-1", "key_name": "mine", "key_data": KEY, "key_type": "ssh",
    "user_data": base64.b64encode(SCRIPT).decode(), "metadata": {"role": "web"}, "launch_index": 3,
    "personality": [{"path": "/etc/motd", "contents": base64.b64encode(b"hello").decode()}],
}  # fmt: skip


class Guest:
    """A server of demo's, as it asks from inside."""

    def __init__(self, cloud: TestCloud, **columns: Any) -> None:
        self.cloud = cloud
        self.id = rows.insert(cloud, mark=False, **{**COLUMNS, **columns})
        port = cloud.database.read("ports", network_api.ports_of_device, self.id)[0]
        self.port, self.network = port.id, port.network_id
        self.address, self.mac = port.fixed_ips[0]["ip_address"], port.mac_address

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **options: Any) -> MetadataReply:
        given = {"source": self.address, "network_id": self.network, **options}
        request = MetadataRequest(method=method, path=path, body=body, **given)
        return self.cloud.runtime[keys.METADATA].answer(request)

    def text(self, path: str) -> str:
        reply = self.ask(path)
        assert reply.status == 200, (path, reply)
        return reply.body.decode()

    def json(self, path: str) -> Any:
        reply = self.ask(path)
        assert (reply.status, reply.headers) == (200, {"content-type": "application/json"}), (path, reply)
        return json.loads(reply.body)


@pytest.fixture
def guest(still_cloud: TestCloud) -> Guest:
    return Guest(still_cloud)


def test_every_version_of_the_openstack_format_has_what_came_with_it(guest: Guest) -> None:
    assert guest.text("/openstack").split() == [*openstack.VERSIONS, "latest"]
    assert guest.text("/openstack/2012-08-10/").split() == ["meta_data.json", "user_data"]
    assert guest.text("/openstack/2013-04-04").split() == ["meta_data.json", "user_data", "password"]
    newest = ["meta_data.json", "user_data", "password", "vendor_data.json", "network_data.json", "vendor_data2.json"]
    assert guest.text("/openstack/latest").split() == newest
    since = {"random_seed": 1, "project_id": 3, "devices": 4, "dedicated_cpus": 8}
    for number, version in enumerate(openstack.VERSIONS):
        found = guest.json(f"/openstack/{version}/meta_data.json")
        assert {name for name in since if name in found} == {name for name, first in since.items() if number >= first}
    assert guest.ask("/openstack/2012-08-10/password").status == 404
    assert guest.ask("/openstack/2013-04-04/vendor_data.json").status == 404
    assert guest.ask("/openstack/2015-10-15/vendor_data2.json").status == 404
    assert guest.ask("/openstack/2011-01-01/meta_data.json").status == 404


def test_meta_data(guest: Guest) -> None:
    found = guest.json("/openstack/latest/meta_data.json")
    assert len(base64.b64decode(found.pop("random_seed"))) == 512
    assert found == {
        "uuid": guest.id,
        "meta": {"role": "web"},
        "public_keys": {"mine": KEY},
        "keys": [{"name": "mine", "type": "ssh", "data": KEY}],
        "hostname": "web-1.novalocal",
        "name": "Web 1",
        "launch_index": 3,
        "availability_zone": "nova",
        "project_id": rows.row(guest.cloud, guest.id).project_id,
        "devices": [],
        "dedicated_cpus": [],
    }


def test_user_data_comes_as_the_user_meant_it(guest: Guest) -> None:
    for path in ("/openstack/latest/user_data", "/latest/user-data", "/2009-04-04/user-data", "//latest//user-data/"):
        assert guest.ask(path).body == SCRIPT
    bare = Guest(guest.cloud, user_data=None)
    assert bare.ask("/openstack/latest/user_data").status == 404
    assert bare.ask("/latest/user-data").status == 404
    assert bare.text("/openstack/2012-08-10") == "meta_data.json"
    assert bare.text("/latest") == "meta-data/"


def test_the_ec2_format(guest: Guest) -> None:
    assert guest.text("/").split() == [*ec2.VERSIONS, "latest"]
    assert guest.text("/latest/").split() == ["meta-data/", "user-data"]
    names = guest.text("/latest/meta-data/").split("\n")
    assert names == sorted(names)
    assert {"ami-id", "block-device-mapping/", "public-keys/", "placement/", "instance-type"} <= set(names)
    values = {
        "local-ipv4": guest.address, "public-ipv4": "", "hostname": "web-1.novalocal", "instance-type": "m1.tiny",
        "public-keys": "0=mine", "public-keys/0": "openssh-key", "public-keys/0/openssh-key": KEY,
        "placement/availability-zone": "nova", "security-groups": "default", "ami-launch-index": "3",
        "block-device-mapping": "ami\nroot", "block-device-mapping/ami": "vda",
        "block-device-mapping/root": "/dev/vda", "reservation-id": "r-test", "instance-action": "none",
        "instance-id": f"i-{rows.row(guest.cloud, guest.id).sequence:08x}",
    }  # fmt: skip
    assert {name: guest.text(f"/latest/meta-data/{name}") for name in values} == values
    assert guest.text("/ec2/latest/meta-data/hostname") == "web-1.novalocal"
    assert "local-hostname" not in guest.text("/1.0/meta-data").split()
    assert "block-device-mapping/" not in guest.text("/2007-10-10/meta-data").split()
    for path in ("/2050-01-01/meta-data", "/latest/meta-data/nothing", "/latest/meta-data/hostname/more", "/nothing"):
        assert guest.ask(path).status == 404, path
    assert guest.ask("/latest/meta-data/public-keys/0/_name").status == 404
    assert guest.ask("/latest/meta-data/public-keys/../../../../openstack").body.startswith(b"2012-08-10")


def test_floating_addresses_and_disks_are_told(guest: Guest) -> None:
    demo = guest.cloud.client("demo")
    nets = demo.get("/network/v2.0/networks", params={"router:external": "true"}).json()["networks"]
    body = {"floatingip": {"floating_network_id": nets[0]["id"], "port_id": guest.port}}
    made = demo.post("/network/v2.0/floatingips", json=body).json()["floatingip"]
    disks = [
        {"source_type": "blank", "destination_type": "local", "guest_format": "swap", "device_name": "/dev/vdc"},
        {"source_type": "blank", "destination_type": "local", "guest_format": None, "device_name": "/dev/vdb"},
        {"source_type": "volume", "destination_type": "volume", "device_name": "/dev/vdd", "tag": "data",
         "volume_id": "8a3d5d5c-0000-4000-8000-000000000001"},
    ]  # fmt: skip

    def write(tx: Transaction) -> None:
        for number, disk in enumerate(disks):
            plain = {"guest_format": None, "tag": None, "volume_id": None, "delete_on_termination": True}
            row = plain | {"id": f"disk-{number}", "server_id": guest.id, "created_at": tx.now} | disk
            tx.execute(block_devices.insert(), row)
        nics = [item | {"tag": "front"} for item in rows_of(tx, guest.id).interfaces]
        tx.execute(servers.update().where(servers.c.id == guest.id).values(interfaces=nics))

    guest.cloud.database.write("disks", write)
    assert guest.text("/latest/meta-data/public-ipv4") == made["floating_ip_address"]
    mapping = "/latest/meta-data/block-device-mapping"
    assert guest.text(mapping).split() == ["ami", "ebs0", "ephemeral0", "root", "swap"]
    found = {name: guest.text(f"{mapping}/{name}") for name in ("ebs0", "ephemeral0", "swap")}
    assert found == {"ebs0": "/dev/vdd", "ephemeral0": "/dev/vdb", "swap": "/dev/vdc"}
    card, disk = guest.json("/openstack/latest/meta_data.json")["devices"]
    assert (card["type"], card["mac"], card["tags"], card["vf_trusted"]) == ("nic", guest.mac, ["front"], False)
    assert (disk["type"], disk["serial"], disk["tags"]) == ("disk", disks[2]["volume_id"], ["data"])
    assert "vf_trusted" not in guest.json("/openstack/2017-02-22/meta_data.json")["devices"][0]


def rows_of(tx: Transaction, server_id: str) -> Any:
    """The server's row."""
    return tx.first(servers.select().where(servers.c.id == server_id))


def test_network_data_of_a_port_with_dhcp(guest: Guest) -> None:
    found = guest.json("/openstack/latest/network_data.json")
    link = f"tap{guest.port}"[:14]
    assert found["links"] == [
        {"id": link, "vif_id": guest.port, "type": "bridge", "mtu": None, "ethernet_mac_address": guest.mac}
    ]
    assert found["networks"][0] == {
        "id": "network0", "type": "ipv4_dhcp", "link": link, "network_id": guest.network,
    }  # fmt: skip


def test_network_data_without_dhcp_says_all() -> None:
    four = network_api.GuestSubnet(
        id="s4", version=4, cidr="10.0.0.0/24", addresses=("10.0.0.5", "10.0.0.6"), gateway="10.0.0.1", dhcp=False,
        dns=("8.8.8.8",), routes=({"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"},), ipv6_address_mode=None,
    )  # fmt: skip
    six = network_api.GuestSubnet(
        id="s6", version=6, cidr="2001:db8::/64", addresses=("2001:db8::5",), gateway=None, dhcp=True,
        dns=("8.8.8.8",), routes=(), ipv6_address_mode="slaac",
    )  # fmt: skip
    port = network_api.GuestPort(
        id="0123456789abcdef", network_id="n", mac="fa:16:3e:00:00:01", mtu=1450, subnets=(four, six),
        security_groups=(), floating_ips=(),
    )  # fmt: skip
    found = network_data([port])
    assert found["networks"] == [
        {
            "id": "network0", "type": "ipv4", "link": "tap0123456789a", "ip_address": "10.0.0.5",
            "netmask": "255.255.255.0", "network_id": "n", "services": [{"type": "dns", "address": "8.8.8.8"}],
            "routes": [
                {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
                {"network": "10.9.0.0", "netmask": "255.255.0.0", "gateway": "10.0.0.9"},
            ],
        },
        {
            "id": "network1", "type": "ipv6_slaac", "link": "tap0123456789a", "ip_address": "2001:db8::5",
            "netmask": "ffff:ffff:ffff:ffff::", "network_id": "n", "routes": [],
            "services": [{"type": "dns", "address": "8.8.8.8"}],
        },
    ]  # fmt: skip
    assert found["services"] == [{"type": "dns", "address": "8.8.8.8"}]
    assert network_data([]) == {"links": [], "networks": [], "services": []}


def test_a_guest_leaves_its_password_once_and_the_owner_reads_it(guest: Guest) -> None:
    path = "/openstack/latest/password"
    assert guest.text(path) == ""
    secret = base64.b64encode(bytes(range(256)) * 2)
    assert guest.ask(path, "POST", secret).status == 200
    assert guest.text(path) == secret.decode()
    assert guest.ask(path, "POST", b"another").status == 409
    demo = Nova(guest.cloud, "demo")
    assert demo.get(f"/servers/{guest.id}/os-server-password") == {"password": secret.decode()}
    demo.delete(f"/servers/{guest.id}/os-server-password", status=204)
    assert guest.text(path) == ""
    assert guest.ask(path, "POST", b"x" * password.LIMIT).status == 200


def test_what_is_no_password_is_refused(guest: Guest) -> None:
    path = "/openstack/2013-04-04/password"
    for body in (b"x" * (password.LIMIT + 1), b"\xff\xfe", b"a\x00b"):
        assert guest.ask(path, "POST", body).status == 400
    assert guest.ask(path, "PUT", b"x").status == 400
    assert guest.ask("/latest/user-data", "POST", b"x").status == 405
    assert guest.ask("/openstack/latest/meta_data.json", "DELETE").status == 405
    assert guest.text(path) == ""


def test_nobody_asks_in_anothers_name(guest: Guest) -> None:
    other = Guest(guest.cloud, name="other", hostname="other")
    forged = {"x-instance-id": guest.id, "x-tenant-id": "any", "x-forwarded-for": guest.address}
    assert json.loads(other.ask("/openstack/latest/meta_data.json", headers=forged).body)["uuid"] == other.id
    assert other.ask("/openstack", source="192.0.2.1").status == 404
    assert other.ask("/openstack", network_id="2b1b4d9e-0000-4000-8000-000000000000").status == 404


def test_a_port_that_says_it_belongs_to_a_server_is_not_believed(guest: Guest) -> None:
    body = {"network_id": guest.network, "device_id": guest.id, "device_owner": "compute:nova"}
    made = guest.cloud.client("demo").post("/network/v2.0/ports", json={"port": body})
    assert made.status_code == 201, made.text
    address = made.json()["port"]["fixed_ips"][0]["ip_address"]
    assert guest.ask("/openstack/latest/user_data", source=address).status == 404
    assert guest.ask("/openstack/latest/user_data").status == 200


def test_a_deleted_server_is_told_nothing(guest: Guest) -> None:
    def delete(tx: Transaction) -> None:
        tx.execute(servers.update().where(servers.c.id == guest.id).values(deleted_at=tx.now))

    guest.cloud.database.write("delete", delete)
    assert guest.ask("/openstack/latest/meta_data.json").status == 404


def test_the_config_drive_has_the_same_documents_and_the_users_files(guest: Guest) -> None:
    cloud = guest.cloud
    found = cloud.database.read("drive", lambda tx: config_drive.files(tx, cloud.runtime, rows_of(tx, guest.id)))
    assert {name.split("/")[1] for name in found if name.startswith("openstack/")} == {
        *openstack.VERSIONS, "latest", "content",
    }  # fmt: skip
    assert {name.split("/")[1] for name in found if name.startswith("ec2/")} == {"2009-04-04", "latest"}
    assert found["openstack/latest/user_data"] == found["ec2/latest/user-data"] == SCRIPT
    meta = json.loads(found["openstack/latest/meta_data.json"])
    asked = guest.json("/openstack/latest/meta_data.json")
    del meta["random_seed"], asked["random_seed"]
    assert meta == asked | {"files": [{"path": "/etc/motd", "content_path": "/content/0000"}]}
    assert found["openstack/content/0000"] == b"hello"
    assert json.loads(found["openstack/latest/network_data.json"]) == guest.json("/openstack/latest/network_data.json")
    classic = json.loads(found["ec2/latest/meta-data.json"])
    assert classic["public-keys"] == {"0": {"openssh-key": KEY}}
    assert "password" not in {name.split("/")[-1] for name in found}
    assert "openstack/2012-08-10/vendor_data.json" not in found


@pytest.fixture
def told_cloud(database_url: str, tmp_path: Path) -> Iterator[TestCloud]:
    """A cloud whose operator tells guests something."""
    (tmp_path / "vendor.json").write_text('{"cloud-init": "#cloud-config\\n"}')
    environment = {"compute": {"vendordata_file": str(tmp_path / "vendor.json"), "guest_domain": ""}}
    from stackyard.core.config import overlay

    made = TestCloud(database_url, tmp_path / "state", overlay(Settings(), environment))
    try:
        yield made
    finally:
        made.close()


def test_the_operators_vendor_data(told_cloud: TestCloud, tmp_path: Path) -> None:
    guest = Guest(told_cloud)
    told = {"cloud-init": "#cloud-config\n"}
    assert guest.json("/openstack/latest/vendor_data.json") == told
    assert guest.json("/openstack/latest/vendor_data2.json") == {"static": told}
    assert guest.json("/openstack/latest/meta_data.json")["hostname"] == "web-1"
    (tmp_path / "vendor.json").write_text('{"other": [1, 2, 3, 4]}')
    assert guest.json("/openstack/latest/vendor_data.json") == {"other": [1, 2, 3, 4]}


@pytest.mark.parametrize("content", [b"no json", b"[1]", b'{"a": "' + b"x" * (1 << 20) + b'"}', b"\xff{}"])
def test_vendor_data_that_is_no_object_is_left_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vendor.json"
    assert vendor_data.static(path) == {}
    path.write_bytes(content)
    assert vendor_data.static(path) == {}
    path.write_bytes(b'{"good": true}  ')
    assert vendor_data.static(path) == {"good": True}
