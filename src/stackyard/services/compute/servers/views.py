"""Servers as the API shows them, at every microversion.

A `Viewer` is made once a request: it knows what the caller may see and what its microversion has. Lists read their rows
undecoded (`COLUMNS`), and a server's view is kept, encoded, under all that it was made of: one that has not changed
since it was shown last costs no more than being compared.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from stackyard.core.call import Call
from stackyard.core.clock import iso_z
from stackyard.core.db import Transaction
from stackyard.core.microversion import Microversion
from stackyard.services.compute import times
from stackyard.services.compute.servers import image_properties
from stackyard.services.compute.servers.facts import Facts
from stackyard.services.compute.servers.states import VmState, status
from stackyard.services.compute.tables import servers

EXTENDED = "os_compute_api:os-extended-server-attributes"
EXTRA_SPECS = "os_compute_api:servers:show:flavor-extra-specs"
HOST_STATUS = "os_compute_api:servers:show:host_status"
HOST_STATUS_UNKNOWN = "os_compute_api:servers:show:host_status:unknown-only"

_PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})
_FAULTY = frozenset({"ERROR", "DELETED"})

_UNSHOWN = frozenset({"system_metadata", "personality", "key_data", "key_type", "task", "rescue", "old_flavor"})
_JSON = tuple(column.name for column in servers.c if isinstance(column.type, sa.JSON) and column.name not in _UNSHOWN)
COLUMNS = tuple(
    sa.cast(column, sa.Text).label(column.name) if column.name in _JSON else column
    for column in servers.c
    if column.name not in _UNSHOWN
)
"""What lists read of servers: JSON as the text that it is stored as."""

_KEPT = 2048
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode
_kept: OrderedDict[Any, bytes] = OrderedDict()


def encoded(tx: Transaction, call: Call, rows: Sequence[Any]) -> bytes:
    """Servers as GET /servers/detail shows them, from rows of COLUMNS: the JSON of the list."""
    viewer = Viewer(call)
    facts = Facts.read(tx, call, [row.id for row in rows], statuses=viewer.statuses)
    return b"[" + b",".join([_kept_view(viewer, facts, row) for row in rows]) + b"]"


def _kept_view(viewer: Viewer, facts: Facts, row: Any) -> bytes:
    key = (viewer.key, row, facts.of(row.id), facts.host_status(row.host) if viewer.statuses else "")
    found = _kept.get(key)
    if found is None:
        whole = SimpleNamespace(**row._mapping)
        for name in _JSON:
            setattr(whole, name, _decode(getattr(whole, name) or "null"))
        found = _kept[key] = _encode(viewer.view(whole, facts))
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return found


def detail(tx: Transaction, call: Call, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Servers as GET /servers/detail shows them, from whole rows."""
    viewer = Viewer(call)
    facts = Facts.read(tx, call, [row.id for row in rows], statuses=viewer.statuses)
    return [viewer.view(row, facts) for row in rows]


def show(tx: Transaction, call: Call, row: Any) -> dict[str, Any]:
    """A server as GET /servers/{id} shows it."""
    viewer = Viewer(call, row)
    facts = Facts.read(tx, call, [row.id], statuses=viewer.statuses)
    return viewer.view(row, facts) | viewer.groups(row)


def changed(tx: Transaction, call: Call, row: Any, *, user_data: bool = True) -> dict[str, Any]:
    """A server as PUT and rebuild answer it: all of it from 2.75 on (a rebuild's without `user_data`), else a part."""
    if call.since(2, 75):
        found = show(tx, call, row)
        if not user_data:
            found.pop("OS-EXT-SRV-ATTR:user_data", None)
        return found
    viewer = Viewer(call, row)
    return viewer.part(row, Facts.read(tx, call, [row.id])) | viewer.groups(row)


@lru_cache(4096)
def host_id(host: str | None, project_id: str) -> str:
    """What tells tenants which of their servers share a host, and nothing else; empty without a host."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def shown_status(row: Any) -> str:
    """The status of a server's row."""
    return "DELETED" if row.deleted_at is not None else status(row.vm_state, row.task_state)


class _Has(NamedTuple):
    """What a microversion has: each since the one of its name."""

    v3: bool
    v9: bool
    v16: bool
    v19: bool
    v26: bool
    v47: bool
    v63: bool
    v71: bool
    v73: bool
    v90: bool
    v96: bool
    v98: bool
    v100: bool


@lru_cache(256)
def _has(version: Microversion | None) -> _Has:
    return _Has(*(version is not None and version >= (2, int(name[1:])) for name in _Has._fields))


class Viewer:
    """Makes views of servers for one request; `target` is the one server that is shown, None in lists."""

    def __init__(self, call: Call, target: Any = None) -> None:
        self._has = has = _has(call.microversion)
        self._admin = call.caller.is_admin
        self._extended = call.allows(EXTENDED, target)
        self._extra_specs = has.v47 and call.allows(EXTRA_SPECS, target)
        self._all_statuses = has.v16 and call.allows(HOST_STATUS, target)
        self.statuses = self._all_statuses or (has.v16 and call.allows(HOST_STATUS_UNKNOWN, target))
        """Whether anything is shown of the state of hosts."""
        self._base = call.url()
        flags = (self._admin, self._extended, self._extra_specs, self._all_statuses, self.statuses)
        self.key = (self._base, has, flags)
        """All of the request that a view depends on."""

    def part(self, row: Any, facts: Facts, *, extended_addresses: bool = False) -> dict[str, Any]:
        """What every answer that tells of a server has."""
        has, base, shown = self._has, self._base, shown_status(row)
        building = row.vm_state == VmState.BUILDING
        found = {
            "accessIPv4": row.access_ip_v4 or "",
            "accessIPv6": row.access_ip_v6 or "",
            "addresses": {} if building else facts.addresses(row, extended=extended_addresses),
            "created": iso_z(row.created_at),
            "flavor": self._flavor(row.flavor),
            "hostId": host_id(row.host, row.project_id),
            "id": row.id,
            "image": self._image(row),
            "links": [
                {"rel": "self", "href": f"{base}/v2.1/servers/{row.id}"},
                {"rel": "bookmark", "href": f"{base}/servers/{row.id}"},
            ],
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
        if has.v9:
            found["locked"] = row.locked
        if has.v19:
            found["description"] = row.description
        if has.v26:
            found["tags"] = facts.tags(row.id)
        if has.v63:
            found["trusted_image_certificates"] = row.trusted_image_certificates
        if has.v73:
            found["locked_reason"] = row.locked_reason
        return found

    def view(self, row: Any, facts: Facts) -> dict[str, Any]:
        """All that lists show of a server."""
        has = self._has
        found = self.part(row, facts, extended_addresses=True)
        found["OS-EXT-AZ:availability_zone"] = row.zone or row.asked_zone or ""
        found["config_drive"] = "True" if row.config_drive else ""
        found["key_name"] = row.key_name
        found["OS-SRV-USG:launched_at"] = times.naive_or_none(row.launched_at)
        found["OS-SRV-USG:terminated_at"] = times.naive_or_none(row.terminated_at)
        groups = facts.security_groups(row.id)
        if groups:
            found["security_groups"] = groups
        if self._extended:
            self._add_extended(found, row)
        elif has.v90:
            found["OS-EXT-SRV-ATTR:hostname"] = row.hostname
        found["OS-EXT-STS:task_state"] = row.task_state
        found["OS-EXT-STS:vm_state"] = row.vm_state
        found["OS-EXT-STS:power_state"] = row.power_state
        found["os-extended-volumes:volumes_attached"] = [
            {"id": volume_id, "delete_on_termination": ends} if has.v3 else {"id": volume_id}
            for volume_id, ends in facts.volumes(row.id)
        ]
        if self.statuses:
            seen = facts.host_status(row.host)
            if self._all_statuses or seen == "UNKNOWN":
                found["host_status"] = seen
        if has.v96:
            found["pinned_availability_zone"] = row.asked_zone
        if has.v100:
            found["scheduler_hints"] = _hints(row.hints)
        return found

    def groups(self, row: Any) -> dict[str, Any]:
        """What only the answers about one server have: its group."""
        if not self._has.v71:
            return {}
        return {"server_groups": [row.server_group_id] if row.server_group_id else []}

    def _add_extended(self, found: dict[str, Any], row: Any) -> None:
        found["OS-EXT-SRV-ATTR:host"] = row.host
        found["OS-EXT-SRV-ATTR:instance_name"] = f"instance-{row.sequence:08x}"
        found["OS-EXT-SRV-ATTR:hypervisor_hostname"] = row.host
        if self._has.v3:
            found["OS-EXT-SRV-ATTR:hostname"] = row.hostname
            found["OS-EXT-SRV-ATTR:kernel_id"] = row.image.get("kernel_id") or ""
            found["OS-EXT-SRV-ATTR:launch_index"] = row.launch_index
            found["OS-EXT-SRV-ATTR:ramdisk_id"] = row.image.get("ramdisk_id") or ""
            found["OS-EXT-SRV-ATTR:reservation_id"] = row.reservation_id
            found["OS-EXT-SRV-ATTR:root_device_name"] = row.root_device_name
            found["OS-EXT-SRV-ATTR:user_data"] = row.user_data

    def _flavor(self, flavor: Mapping[str, Any]) -> dict[str, Any]:
        if not self._has.v47:
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
        if self._has.v98:
            found["properties"] = image_properties.standard(row.image.get("properties") or {})
        return found

    def _fault(self, fault: Mapping[str, Any]) -> dict[str, Any]:
        found = {"code": fault["code"], "created": fault["created"], "message": fault["message"]}
        if fault.get("details") and (self._admin or fault["code"] != 500):
            found["details"] = fault["details"]
        return found


def _hints(hints: Mapping[str, Any]) -> dict[str, Any]:
    """Hints as Nova keeps them: lists, but for those that cannot be."""
    alone = ("query", "target_cell", "build_near_host_ip", "cidr")
    return {name: value if name in alone or isinstance(value, list) else [value] for name, value in hints.items()}
