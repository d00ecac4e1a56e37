"""What lists of servers may be filtered and sorted by: which parameters who may give, and what each means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call, parse_boolean
from stackyard.core.clock import iso_micro
from stackyard.core.errors import BadRequest
from stackyard.core.paging import Filter
from stackyard.services.compute.servers.states import other_tasks, vm_states
from stackyard.services.compute.tables import server_tags, servers

TAGS = ("tags", "tags-any", "not-tags", "not-tags-any")

_COMMON = (
    "user_id", "project_id", "tenant_id", "launch_index", "image_ref", "image", "kernel_id", "ramdisk_id", "hostname",
    "key_name", "power_state", "vm_state", "task_state", "host", "node", "flavor", "reservation_id", "launched_at",
    "terminated_at", "availability_zone", "name", "display_name", "description", "display_description", "locked_by",
    "uuid", "root_device_name", "config_drive", "access_ip_v4", "access_ip_v6", "auto_disk_config", "progress",
    "sort_key", "sort_dir", "all_tenants", "soft_deleted", "deleted", "status", "changes-since", "ip", "ip6",
    "created_at", "limit", "marker",
)  # fmt: skip
JOINED = (
    "block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups", "pci_devices",
)  # fmt: skip
_FOR_ALL: tuple[tuple[tuple[int, int], tuple[str, ...]], ...] = (
    ((2, 1), ("reservation_id", "name", "status", "image", "flavor", "ip", "changes-since", "all_tenants")),
    ((2, 5), ("ip6",)),
    ((2, 26), TAGS),
    ((2, 66), ("changes-before",)),
    ((2, 73), ("locked",)),
    ((2, 83), ("availability_zone", "config_drive", "key_name", "created_at", "launched_at", "terminated_at",
               "power_state", "task_state", "vm_state", "progress", "user_id")),
    ((2, 90), ("hostname",)),
)  # fmt: skip
"""What everybody may filter by, from which microversion on; the rest is for those with the rule allow_all_filters."""

_LATE: tuple[tuple[tuple[int, int], tuple[str, ...]], ...] = (
    ((2, 26), TAGS),
    ((2, 66), ("changes-before",)),
    ((2, 73), ("locked",)),
)

SORT_KEYS = {
    "access_ip_v4": "access_ip_v4", "access_ip_v6": "access_ip_v6", "auto_disk_config": "disk_config",
    "availability_zone": "zone", "config_drive": "config_drive", "created_at": "created_at",
    "display_description": "description", "display_name": "name", "host": "host", "hostname": "hostname",
    "image_ref": "image_id", "instance_type_id": "flavor_id", "kernel_id": "image_id", "key_name": "key_name",
    "launch_index": "launch_index", "launched_at": "launched_at", "locked_by": "locked_by", "node": "host",
    "power_state": "power_state", "progress": "progress", "project_id": "project_id", "ramdisk_id": "image_id",
    "root_device_name": "root_device_name", "task_state": "task_state", "terminated_at": "terminated_at",
    "updated_at": "updated_at", "user_id": "user_id", "uuid": "id", "vm_state": "vm_state",
}  # fmt: skip
IGNORED_SORT_KEYS = frozenset(
    {"architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted",
     "deleted_at", "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on",
     "locked", "memory_mb", "os_type", "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus",
     "vm_mode"}
)  # fmt: skip
ADMIN_SORT_KEYS = frozenset({"host", "node"})


def known(call: Call) -> frozenset[str]:
    """The parameters that the microversion has."""
    return frozenset(_COMMON).union(JOINED, *(names for since, names in _LATE if call.since(*since)))


def open_to_all(call: Call) -> frozenset[str]:
    """The parameters that everybody may filter by."""
    return frozenset(name for since, names in _FOR_ALL if call.since(*since) for name in names)


def _moment(name: str, value: str) -> object:
    try:
        found = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
    except ValueError:
        raise BadRequest(f"Invalid input for query parameters {name}. Value: {value[:80]}. It is no time.") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _flag(name: str, value: str) -> object:
    try:
        return parse_boolean(name, value)
    except BadRequest:
        raise BadRequest(f"Invalid value '{value[:80]}' for {name}: it is not a boolean.") from None


def _having(parameter: sa.BindParameter[Any]) -> sa.Select[Any]:
    return sa.select(server_tags.c.server_id).where(server_tags.c.tag.in_(parameter))


def _all_of(parameter: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    wanted = bindparam(f"{parameter.key}_count", type_=sa.Integer)
    return servers.c.id.in_(_having(parameter).group_by(server_tags.c.server_id).having(sa.func.count() == wanted))


_s = servers.c
EXACT: dict[str, Filter] = {
    "project_id": Filter(_s.project_id),
    "user_id": Filter(_s.user_id),
    "image": Filter(_s.image_id),
    "image_ref": Filter(_s.image_id),
    "flavor": Filter(_s.flavor_id),
    "host": Filter(_s.host),
    "uuid": Filter(_s.id),
    "vm_state": Filter(_s.vm_state),
    "task_state": Filter(_s.task_state),
    "locked": Filter(_s.locked, _flag),
    "device": Filter(_s.id),
    "changes-since": Filter(where=lambda value: _s.updated_at >= value, read=_moment, many=False),
    "changes-before": Filter(where=lambda value: _s.updated_at <= value, read=_moment, many=False),
    "tags": Filter(where=_all_of),
    "tags-any": Filter(where=lambda value: _s.id.in_(_having(value))),
    "not-tags": Filter(where=lambda value: sa.not_(_all_of(value))),
    "not-tags-any": Filter(where=lambda value: _s.id.not_in(_having(value))),
}


_decode = msgspec.json.decode


def _time(value: datetime | None) -> str:
    return "" if value is None else iso_micro(value)[:-1].replace("T", " ")


MATCHED: Mapping[str, Callable[[Any], str]] = {
    "name": lambda row: row.name,
    "display_name": lambda row: row.name,
    "description": lambda row: row.description or "",
    "display_description": lambda row: row.description or "",
    "hostname": lambda row: row.hostname,
    "key_name": lambda row: row.key_name or "",
    "power_state": lambda row: str(row.power_state),
    "progress": lambda row: str(row.progress),
    "launch_index": lambda row: str(row.launch_index),
    "reservation_id": lambda row: row.reservation_id,
    "availability_zone": lambda row: row.zone or row.asked_zone or "",
    "config_drive": lambda row: "True" if row.config_drive else "",
    "kernel_id": lambda row: _decode(row.image).get("kernel_id") or "",
    "ramdisk_id": lambda row: _decode(row.image).get("ramdisk_id") or "",
    "node": lambda row: row.host or "",
    "root_device_name": lambda row: row.root_device_name,
    "access_ip_v4": lambda row: row.access_ip_v4 or "",
    "access_ip_v6": lambda row: row.access_ip_v6 or "",
    "auto_disk_config": lambda row: "1" if row.disk_config == "AUTO" else "0",
    "locked_by": lambda row: row.locked_by or "",
    "created_at": lambda row: _time(row.created_at),
    "launched_at": lambda row: _time(row.launched_at),
    "terminated_at": lambda row: _time(row.terminated_at),
}
"""Filters that are regular expressions, and the text of a server (a row of views.COLUMNS) that each looks at."""


def existing(statuses: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are statuses of servers."""
    return tuple(word for word in statuses if vm_states(word))


def of_statuses(wanted: tuple[str, ...]) -> sa.ColumnElement[bool]:
    """The condition that a server shows one of these statuses, which exist."""
    ways: list[sa.ColumnElement[bool]] = []
    for word in wanted:
        for vm_state, tasks in vm_states(word).items():
            one: sa.ColumnElement[bool] = _s.vm_state == str(vm_state)
            others = other_tasks(vm_state)
            if tasks is not None:
                one = sa.and_(one, _s.task_state.in_(sorted(str(task) for task in tasks)))
            elif others:
                one = sa.and_(one, sa.or_(_s.task_state.is_(None), _s.task_state.not_in(sorted(others))))
            ways.append(one)
    return sa.or_(*ways)
