"""Guests that are reached: the baked guest as the image of every server, answering SSH at floating addresses."""

from __future__ import annotations

import dataclasses
import urllib.parse
import urllib.request
from functools import cache
from pathlib import Path

from tests.conformance import selection
from tests.conformance.cloud import Access, Cloud, CloudError, endpoints_of, get, post

IMAGE = "stackyard-guest"
ALTERNATIVE = f"{IMAGE}-alt"
USER, PASSWORD = "cirros", "gocubsgo"
LIST = Path(__file__).with_name("lists") / "band3_tempest_guest_ssh_or_multinode.txt"

# Its list is of tests that reach no guest, but it asks for two hosts.
OF_TWO_HOSTS = (
    "tempest.api.compute.admin.test_servers_negative.ServersAdminNegativeTestJSON.test_migrate_server_invalid_state",
)


@dataclasses.dataclass(frozen=True)
class Guests:
    """What the suites' configuration says of guests: their images, and one of them as a file."""

    image: str
    alternative: str
    disk: Path
    hosts: tuple[str, ...]


@cache
def identifiers() -> frozenset[str]:
    """The tests that reach guests, or want several hosts."""
    return frozenset((*selection.read_list(LIST.read_text()), *OF_TWO_HOSTS))


def prepare(cloud: Cloud, access: Access, directory: Path, namespace: Path | None) -> Guests:
    """Give the cloud the guest (built once, in `namespace`) twice: servers are made anew from another image too."""
    cloud.bake(namespace, "guest")
    token, endpoints = endpoints_of(access)
    base = f"{endpoints['image'].removesuffix('/v2')}/v2"
    images = {entry["name"]: entry["id"] for entry in get(f"{base}/images?status=active&limit=200", token)["images"]}
    if IMAGE not in images:
        raise CloudError(f"the cloud has no image {IMAGE}")
    disk = directory / "guest.qcow2"
    request = urllib.request.Request(f"{base}/images/{images[IMAGE]}/file", headers={"X-Auth-Token": token})
    with urllib.request.urlopen(request, timeout=120) as answer:
        disk.write_bytes(answer.read())
    if ALTERNATIVE not in images:
        images[ALTERNATIVE] = _copy(base, token, disk)
    compute = f"{endpoints['compute'].removesuffix('/v2.1')}/v2.1"
    services = get(f"{compute}/os-services?binary=nova-compute", token)["services"]
    hosts = [entry["host"] for entry in services if (entry["state"], entry["status"]) == ("up", "enabled")]
    return Guests(images[IMAGE], images[ALTERNATIVE], disk, tuple(sorted(hosts)))


def _copy(base: str, token: str, disk: Path) -> str:
    """A second image of the same data; returns its id."""
    body = {"name": ALTERNATIVE, "disk_format": "qcow2", "container_format": "bare", "visibility": "public"}
    made = post(f"{base}/images", token, body)
    headers = {"X-Auth-Token": token, "Content-Type": "application/octet-stream"}
    url = f"{base}/images/{made['id']}/file"
    with urllib.request.urlopen(
        urllib.request.Request(url, data=disk.read_bytes(), headers=headers, method="PUT"), timeout=120
    ):
        return str(made["id"])


def sections(guests: Guests) -> dict[str, dict[str, str]]:
    """What tempest.conf says otherwise where guests are reached, by section.

    The times are those of machines under software emulation, beside each other on a small host.
    """
    several = "true" if len(guests.hosts) > 1 else "false"
    between = dict(zip(("migration_source_host", "migration_dest_host"), guests.hosts[:2], strict=False))
    return {
        "validation": {
            "run_validation": "true",
            "connect_method": "floating",
            "image_ssh_user": USER,
            "image_ssh_password": PASSWORD,
            "image_alt_ssh_user": USER,
            "image_alt_ssh_password": PASSWORD,
            "ssh_timeout": "240",
            "connect_timeout": "60",
            "ping_timeout": "180",
            "allowed_network_downtime": "60",
            "allowed_metadata_downtime": "60",
        },
        "compute": {
            "image_ref": guests.image,
            "image_ref_alt": guests.alternative,
            "certified_image_ref": guests.image,
            "build_timeout": "400",
            "min_compute_nodes": str(len(guests.hosts)),
            **(between if len(between) > 1 else {}),
        },
        "compute-feature-enabled": {
            "cold_migration": several,
            "live_migration": several,
            "block_migration_for_live_migration": several,
            "scheduler_enabled_filters": "all",
            "change_password": "true",
            "hostname_fqdn_sanitization": "true",
            "shelve_migrate": several,
        },
        "volume": {"build_timeout": "400"},
        "scenario": {"img_file": str(guests.disk), "img_disk_format": "qcow2", "dhcp_client": "udhcpc"},
    }
