"""Tempest's configuration for one cloud: only what the cloud itself has is said to be available."""

from __future__ import annotations

import configparser
import dataclasses
import io
from collections.abc import Iterable
from pathlib import Path

from tests.conformance import stand_in, volumes
from tests.conformance.cloud import REMOTE, Access, Facts
from tests.conformance.image_files import Served
from tests.conformance.outcomes import NOT_RUN
from tests.conformance.reached import Guests
from tests.conformance.reached import sections as guest_sections

# Service types of a catalog that make one of Tempest's service flags true; what is not in the catalog is false.
SERVICE_TYPES = {
    "nova": ("compute",),
    "neutron": ("network",),
    "glance": ("image",),
    "cinder": ("block-storage", "volumev3"),
    "swift": ("object-store",),
    "horizon": (),
    "heat": ("orchestration",),
    "magnum": ("container-infra",),
    "zun": ("container",),
    "murano": ("application-catalog",),
    "kuryr": (),
}
# A class of Zun's suite runs at the lowest microversion that both it and the configuration allow, and tests of later
# features are then skipped.
OUT_OF_RANGE = "out of the configuration range"
PLACEHOLDER = "00000000-0000-0000-0000-000000000000"


@dataclasses.dataclass(frozen=True)
class Chosen:
    """What differs from one run of the suites to the next: tests that one choice skips run again with another.

    `of` is found in the ids of the tests that run under a choice, `again` in the reason of what was skipped for the
    choices before. `guests`: these tests reach guests.
    """

    container_microversion: str = "1.19"
    secure_hash: bool = True
    of: str = ""
    again: str = ""
    guests: bool = False
    concurrency: int = 4
    timeout: int = 180


# Zun's tests hardly compute: nearly all their time is the grace of stopped containers that do not heed a signal.
RUNS = (
    Chosen(of=r"^(?!zun_)"),
    Chosen(of=r"^zun_", concurrency=12),
    Chosen("1.40", again=OUT_OF_RANGE, concurrency=12),
    Chosen(secure_hash=False, again="do_secure_hash is enabled"),
)
RUNS_REACHED = (Chosen(guests=True, concurrency=2, timeout=900),)


def tempest_conf(
    access: Access,
    facts: Facts,
    directory: Path,
    engine: str,
    served: Served,
    chosen: Chosen,
    guests: Guests | None = None,
) -> str:
    """The text of tempest.conf. `directory` takes logs and locks; `engine` is the container engine's address.

    With `guests` their systems are reached; else servers are only looked at from outside.
    """
    sections = {
        "DEFAULT": {"log_dir": str(directory / "logs"), "log_file": "tempest.log"},
        "oslo_concurrency": {"lock_path": str(directory / "locks")},
        "auth": _auth(access, facts),
        "identity": {
            "uri_v3": access.auth_url,
            "auth_version": "v3",
            "region": access.region,
            "v3_endpoint_type": "public",
            "user_lockout_failure_attempts": "2",
            "user_lockout_duration": "5",
            "user_unique_last_password_count": "2",
        },
        "identity-feature-enabled": {
            "access_rules": "true",
            "trust": "true",
            "federation": "true",
            "application_credentials": "true",
            "security_compliance": "true",
            "project_tags": "true",
        },
        "service_available": {
            name: _flag(any(kind in facts.service_types for kind in types)) for name, types in SERVICE_TYPES.items()
        },
        "validation": {"run_validation": "false", "connect_method": "floating", "network_for_ssh": "private"},
        "network": _network(facts),
        "network-feature-enabled": {
            "api_extensions": ",".join(facts.network_extensions) or "none",
            "floating_ips": "true",
            "ipv6": "true",
            "ipv6_subnet_attributes": "true",
            "port_security": _flag("port-security" in facts.network_extensions),
        },
        "image": _image(facts, served),
        "image-feature-enabled": {
            "import_image": "true",
            "image_format_enforcement": "false",
            "manage_locations": "true",
            "http_store_enabled": "true",
            "store_weight_enabled": "true",
            "do_secure_hash": _flag(chosen.secure_hash),
        },
        "compute": _compute(facts),
        "compute-feature-enabled": {
            "vnc_console": "true",
            "serial_console": "true",
            "stable_rescue": "true",
            "rescue": "true",
            "interface_attach": "true",
            "console_output": "true",
            "resize": "true",
            "shelve": "true",
            "snapshot": "true",
            "suspend": "true",
            "pause": "true",
            "change_password": "false",
            "volume_multiattach": "true",
            # refused, for there is one host: what is tried are the refusals
            "live_migration": "true",
            "personality": "true",
            "cold_migration": "false",
            "attach_encrypted_volume": "false",
        },
        "placement": {"max_microversion": "latest"},
        **volumes.sections(),
        "object-storage": {"operator_role": "member", "reseller_admin_role": "ResellerAdmin"},
        "container_service": {
            "min_microversion": chosen.container_microversion,
            "max_microversion": "latest",
            "wait_timeout": "60",
            "cirros_image": stand_in.NAME,
            "ubuntu_image": stand_in.NAME,
            "nginx_image": "nginx:latest",
        },
        "docker": {"api_url": engine},
        "application_catalog": {"deployment_tests": "false", "cinder_volume_tests": "false"},
    }
    parser = configparser.RawConfigParser(default_section="")  # DEFAULT is to be a section like the others
    parser.read_dict(sections)
    if guests is not None:
        parser.read_dict(guest_sections(guests))
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def unrunnable(facts: Facts, listed: Iterable[str]) -> dict[str, str]:
    """Those of the listed ids that must not even be tried on this cloud, with the reason.

    Heat's suite calls Heat while it is being loaded, and without one takes the other tests of its process with it.
    """
    if "orchestration" in facts.service_types:
        return {}
    reason = f"{NOT_RUN}: the cloud has no orchestration service"
    return {name: reason for name in listed if name.startswith("heat_tempest_plugin.")}


def _auth(access: Access, facts: Facts) -> dict[str, str]:
    return {
        "use_dynamic_credentials": "true",
        "admin_username": access.username,
        "admin_password": access.password,
        "admin_project_name": access.project,
        "admin_domain_name": "Default",
        "create_isolated_networks": _flag("network" in facts.service_types),
    }


def _network(facts: Facts) -> dict[str, str]:
    settings = {"project_network_cidr": "10.100.0.0/16", "project_networks_reachable": "false"}
    if facts.public_network:
        settings |= {"public_network_id": facts.public_network, "floating_network_name": "public"}
    return settings


def _image(facts: Facts, served: Served) -> dict[str, str]:
    settings = {
        "http_image": served.url,
        "http_qcow2_image": served.url,
        "images_manifest_file": str(served.manifest),
        "container_formats": "bare,ami,ari,aki,ovf,ova",
        "disk_formats": "qcow2,raw,ami,ari,aki,vhd,vmdk,vdi,iso,vhdx",
        "image_caching_enabled": "true",
    }
    if REMOTE in facts.service_types:
        settings["alternate_image_endpoint"] = REMOTE
    return settings


def _compute(facts: Facts) -> dict[str, str]:
    images = (*facts.images, PLACEHOLDER, PLACEHOLDER)
    flavors = (*facts.flavors, "1", "2")
    return {
        "image_ref": images[0],
        "image_ref_alt": images[1],
        "flavor_ref": flavors[0],
        "flavor_ref_alt": flavors[1],
        "certified_image_ref": images[0],
        "certified_image_trusted_certs": "one",
        "max_microversion": "latest",
    }


def _flag(value: bool) -> str:
    return "true" if value else "false"
