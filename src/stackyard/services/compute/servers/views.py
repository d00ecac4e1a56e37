"""Servers as the API shows them, at every microversion.

A `Viewer` is made once a request: it knows what the caller may see and what its microversion has, and reads for all
servers together what is not in their rows (ports, tags, volumes, hosts).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from stackyard.core.call import Call
from stackyard.core.clock import iso_micro, iso_z
from stackyard.core.db import Transaction
from stackyard.services.compute.servers import image_properties
from stackyard.services.compute.servers.facts import Facts
from stackyard.services.compute.servers.states import VmState, status

EXTENDED = "os_compute_api:os-extended-server-attributes"
EXTRA_SPECS = "os_compute_api:servers:show:flavor-extra-specs"
HOST_STATUS = "os_compute_api:servers:show:host_status"
HOST_STATUS_UNKNOWN = "os_compute_api:servers:show:host_status:unknown-only"

_PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})
_FAULTY = frozenset({"ERROR", "DELETED"})


def detail(tx: Transaction, call: Call, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Servers as GET /servers/detail shows them."""
    facts = Facts.read(tx, call, rows)
    viewer = Viewer(call, facts)
    return [viewer.view(row) for row in rows]


def show(tx: Transaction, call: Call, row: Any) -> dict[str, Any]:
    """A server as GET /servers/{id} shows it."""
    viewer = Viewer(call, Facts.read(tx, call, [row]), target=row)
    found = viewer.view(row)
    return found | viewer.groups(row)


def changed(tx: Transaction, call: Call, row: Any, *, user_data: bool = True) -> dict[str, Any]:
    """A server as PUT and rebuild answer it: all of it from 2.75 on (a rebuild's without `user_data`), else a part."""
    if call.since(2, 75):
        found = show(tx, call, row)
        if not user_data:
            found.pop("OS-EXT-SRV-ATTR:user_data", None)
        return found
    viewer = Viewer(call, Facts.read(tx, call, [row]), target=row)
    return viewer.part(row) | viewer.groups(row)


@lru_cache(4096)
def host_id(host: str | None, project_id: str) -> str:
    """What tells tenants which of their servers share a host, and nothing else; empty without a host."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def shown_status(row: Any) -> str:
    """The status of a server's row."""
    return "DELETED" if row.deleted_at is not None else status(row.vm_state, row.task_state)


class Viewer:
    """Makes views of servers for one request; `target` is the one server that is shown, None in lists."""

    def __init__(self, call: Call, facts: Facts, *, target: Any = None) -> None:
        self._facts = facts
        since = call.since
        self._v3, self._v9, self._v16 = since(2, 3), since(2, 9), since(2, 16)
        self._v19, self._v26, self._v47 = since(2, 19), since(2, 26), since(2, 47)
        self._v63, self._v71, self._v73 = since(2, 63), since(2, 71), since(2, 73)
        self._v90, self._v96, self._v98, self._v100 = since(2, 90), since(2, 96), since(2, 98), since(2, 100)
        self._admin = call.caller.is_admin
        self._extended = call.allows(EXTENDED, target)
        self._extra_specs = self._v47 and call.allows(EXTRA_SPECS, target)
        self._statuses = self._v16 and call.allows(HOST_STATUS, target)
        self._unknown = self._v16 and not self._statuses and call.allows(HOST_STATUS_UNKNOWN, target)
        self._base = call.url()

    def links(self, server_id: str) -> list[dict[str, str]]:
        """A server's links."""
        base = self._base
        return [
            {"rel": "self", "href": f"{base}/v2.1/servers/{server_id}"},
            {"rel": "bookmark", "href": f"{base}/servers/{server_id}"},
        ]

    def part(self, row: Any, *, extended_addresses: bool = False) -> dict[str, Any]:
        """What every answer that tells of a server has."""
        shown = shown_status(row)
        found = {
            "accessIPv4": row.access_ip_v4 or "",
            "accessIPv6": row.access_ip_v6 or "",
            "addresses": self._facts.addresses(row, extended_addresses) if row.vm_state != VmState.BUILDING else {},
            "created": iso_z(row.created_at),
            "flavor": self._flavor(row.flavor),
            "hostId": host_id(row.host, row.project_id),
            "id": row.id,
            "image": self._image(row),
            "links": self.links(row.id),
            "metadata": row.metadata,
            "name": row.name,
            "status": shown,
            "tenant_id": row.project_id,
            "user_id": row.user_id,
            "updated": iso_z(row.updated_at),
            "OS-DCF:diskConfig": row.disk_config,
        }
        if shown in _FAULTY and row.fault:
            found["fault"] = self._fault(row.fault)
        if shown in _PROGRESS:
            found["progress"] = row.progress
        if self._v9:
            found["locked"] = row.locked
        if self._v19:
            found["description"] = row.description
        if self._v26:
            found["tags"] = self._facts.tags.get(row.id, [])
        if self._v63:
            found["trusted_image_certificates"] = row.trusted_image_certificates
        if self._v73:
            found["locked_reason"] = row.locked_reason
        return found

    def view(self, row: Any) -> dict[str, Any]:
        """All that lists show of a server."""
        facts = self._facts
        found = self.part(row, extended_addresses=True)
        launched, ended = row.launched_at, row.terminated_at
        found["OS-EXT-AZ:availability_zone"] = row.zone or row.asked_zone or ""
        found["config_drive"] = "True" if row.config_drive else ""
        found["key_name"] = row.key_name
        found["OS-SRV-USG:launched_at"] = None if launched is None else iso_micro(launched)[:-1]
        found["OS-SRV-USG:terminated_at"] = None if ended is None else iso_micro(ended)[:-1]
        groups = facts.security_groups(row.id)
        if groups:
            found["security_groups"] = groups
        if self._extended:
            self._add_extended(found, row)
        elif self._v90:
            found["OS-EXT-SRV-ATTR:hostname"] = row.hostname
        found["OS-EXT-STS:task_state"] = row.task_state
        found["OS-EXT-STS:vm_state"] = row.vm_state
        found["OS-EXT-STS:power_state"] = row.power_state
        found["os-extended-volumes:volumes_attached"] = [
            {"id": volume_id, "delete_on_termination": ends} if self._v3 else {"id": volume_id}
            for volume_id, ends in facts.volumes.get(row.id, ())
        ]
        if self._statuses or self._unknown:
            seen = facts.host_status(row.host)
            if self._statuses or seen == "UNKNOWN":
                found["host_status"] = seen
        if self._v96:
            found["pinned_availability_zone"] = row.asked_zone
        if self._v100:
            found["scheduler_hints"] = row.hints
        return found

    def groups(self, row: Any) -> dict[str, Any]:
        """What only the answers about one server have: its group."""
        if not self._v71:
            return {}
        return {"server_groups": [row.server_group_id] if row.server_group_id else []}

    def _add_extended(self, found: dict[str, Any], row: Any) -> None:
        found["OS-EXT-SRV-ATTR:host"] = row.host
        found["OS-EXT-SRV-ATTR:instance_name"] = f"instance-{row.sequence:08x}"
        found["OS-EXT-SRV-ATTR:hypervisor_hostname"] = row.host
        if self._v3:
            found["OS-EXT-SRV-ATTR:hostname"] = row.hostname
            found["OS-EXT-SRV-ATTR:kernel_id"] = row.image.get("kernel_id") or ""
            found["OS-EXT-SRV-ATTR:launch_index"] = row.launch_index
            found["OS-EXT-SRV-ATTR:ramdisk_id"] = row.image.get("ramdisk_id") or ""
            found["OS-EXT-SRV-ATTR:reservation_id"] = row.reservation_id
            found["OS-EXT-SRV-ATTR:root_device_name"] = row.root_device_name
            found["OS-EXT-SRV-ATTR:user_data"] = row.user_data

    def _flavor(self, flavor: Mapping[str, Any]) -> dict[str, Any]:
        if not self._v47:
            flavor_id = flavor["flavorid"]
            href = f"{self._base}/flavors/{flavor_id}"
            return {"id": flavor_id, "links": [{"rel": "bookmark", "href": href}]}
        found = {
            "vcpus": flavor["vcpus"],
            "ram": flavor["ram"],
            "disk": flavor["disk"],
            "ephemeral": flavor["ephemeral"],
            "swap": flavor["swap"],
            "original_name": flavor["name"],
        }
        if self._extra_specs:
            found["extra_specs"] = flavor["extra_specs"]
        return found

    def _image(self, row: Any) -> Any:
        if not row.image_id:
            return ""
        href = f"{self._base}/images/{row.image_id}"
        found: dict[str, Any] = {"id": row.image_id, "links": [{"rel": "bookmark", "href": href}]}
        if self._v98:
            found["properties"] = image_properties.standard(row.image.get("properties") or {})
        return found

    def _fault(self, fault: Mapping[str, Any]) -> dict[str, Any]:
        found = {"code": fault["code"], "created": fault["created"], "message": fault["message"]}
        if fault.get("details") and (self._admin or fault["code"] != 500):
            found["details"] = fault["details"]
        return found
