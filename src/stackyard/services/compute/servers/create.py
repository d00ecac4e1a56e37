"""POST /servers: from the request to rows, all in one transaction; the reconcilers of the hosts build what they say."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import UNSET

from stackyard.core import ids, timeline
from stackyard.core.body import or_default, or_none
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.services.compute import flavors, keypairs, lists, server_groups, zones
from stackyard.services.compute.servers import (
    bodies,
    destination,
    devices,
    fields,
    images,
    limits,
    networks,
    tasks,
)
from stackyard.services.compute.servers.bodies import NewServer
from stackyard.services.compute.servers.states import Power, PowerState, VmState
from stackyard.services.compute.tables import instance_actions, server_tags, servers
from stackyard.services.compute.volumes import mappings, planning
from stackyard.services.network import api as network_api

_INSERT = sa.insert(servers)
_TAG = sa.insert(server_tags)
_ACTION = sa.insert(instance_actions)
_LAST = sa.select(sa.func.max(servers.c.sequence))

ATTACH_VOLUME = "os_compute_api:servers:create:attach_volume"
ATTACH_NETWORK = "os_compute_api:servers:create:attach_network"
TRUSTED_CERTS = "os_compute_api:servers:create:trusted_certs"


class _Plan(msgspec.Struct, kw_only=True):
    """A request, checked."""

    body: NewServer
    count: int
    name: str
    flavor: dict[str, Any]
    image_id: str | None
    image: dict[str, Any]
    kind: str
    disk_config: str
    nics: list[networks.Nic]
    groups: tuple[str, ...] | None
    volumes: planning.Volumes
    where: destination.Destination
    key: Any
    password: str
    tags: list[str]
    personality: list[dict[str, str]]
    metadata: dict[str, str]


def create(tx: Transaction, call: Call) -> Reply:
    """POST /servers."""
    plan = _plan(tx, call)
    rows = _rows(tx, call, plan)
    asked = destination.request(
        rows[0]["project_id"], rows[0]["user_id"], plan.kind, plan.flavor, plan.image, plan.where
    )
    if plan.volumes.boots:
        asked = msgspec.structs.replace(asked, disk=asked.disk - plan.flavor["disk"])
    if plan.volumes.host is not None:
        asked = msgspec.structs.replace(asked, host=_host_of_volumes(plan))
    hosts, reason = destination.place(tx, call, asked, [row["id"] for row in rows])
    if hosts:
        _settle(tx, call, plan, rows, hosts)
    else:
        _fail(tx, rows, reason)
    _write(tx, call, plan, rows)
    return _reply(call, plan, rows)


def _host_of_volumes(plan: _Plan) -> str | None:
    asked, host = plan.where.host, plan.volumes.host
    if asked not in (None, host):
        raise BadRequest(f"Block Device Mapping is Invalid: its volumes are kept on host {host}, not on {asked}.")
    return host


def _plan(tx: Transaction, call: Call) -> _Plan:
    body: NewServer = call.body.server
    bodies.check_new(tx, call, body)
    least, most = bodies.counts(body)
    if not call.caller.project_id:
        raise BadRequest("A token scoped to a project is needed to make a server.")
    if body.hostname is not UNSET and most > 1:
        raise BadRequest(
            "Unable to allocate a single hostname to multiple instances", kind="AmbiguousHostnameForMultipleInstances"
        )
    if or_default(body.trusted_image_certificates, None):
        call.require(TRUSTED_CERTS)
    where = destination.read(tx, call, body, bodies.read_hints(call.body))
    flavor = _flavor(tx, call, body)
    image_id = or_default(body.imageRef, "") or None
    mapped = _devices(call, body, image_id)
    if image_id is None and not mapped:
        raise BadRequest("Missing imageRef attribute")
    wanted = networks.read(call, body.networks)
    if wanted.asks:
        call.require(ATTACH_NETWORK)
    found = None if image_id is None else images.find(tx, call, image_id)
    mapped = mappings.merge(mapped, mappings.of_image({} if found is None else found["properties"] or {}))
    devices.check(mapped, flavor, image_id)
    volumes = planning.check(tx, call, mapped, most)
    if found is not None:
        images.check(tx, call, found, flavor, on_volume=volumes.boots)
    image = _image(found, volumes)
    count = limits.within(tx, call, flavor, least, most)
    return _Plan(
        body=body,
        count=count,
        name=body.name,
        flavor=flavor,
        image_id=None if volumes.boots else image_id,
        image=image,
        kind=images.kind_of(image),
        disk_config=images.check_disk_config(image, or_none(body.disk_config)),
        nics=networks.resolve(tx, call, wanted, most),
        groups=_groups(tx, call, body),
        volumes=volumes,
        where=where,
        key=_key(tx, call, body),
        password=or_default(body.adminPass, "") or fields.new_password(),
        tags=[] if body.tags is UNSET else fields.check_tags("server.tags", body.tags),
        personality=bodies.read_personality(tx, call, body.personality),
        metadata=or_default(body.metadata, {}),
    )


def _image(found: Mapping[str, Any] | None, volumes: planning.Volumes) -> dict[str, Any]:
    """What servers keep of their image; of one that only describes volumes, what it says beyond that."""
    given = {} if found is None else images.snapshot(found)
    if volumes.image is None:
        return given
    further = {name: value for name, value in given.get("properties", {}).items() if name not in mappings.OWN}
    return volumes.image | {"properties": {**volumes.image["properties"], **further}}


def _flavor(tx: Transaction, call: Call, body: NewServer) -> dict[str, Any]:
    flavor_id = str(body.flavorRef).rpartition("/")[2]
    try:
        row = flavors.find(tx, call, flavor_id)
    except NotFound as error:
        raise BadRequest(error.message, kind=error.kind) from None
    if row.disabled:
        raise BadRequest(f"Flavor {flavor_id} could not be found.", kind="FlavorNotFound")
    return flavors.snapshot(row)


def _devices(call: Call, body: NewServer, image_id: str | None) -> list[devices.Device]:
    legacy, new = or_default(body.block_device_mapping, []), or_default(body.block_device_mapping_v2, [])
    found = devices.read(call, legacy, new, image_id)
    if found:
        call.require(ATTACH_VOLUME)
    return found


def _groups(tx: Transaction, call: Call, body: NewServer) -> tuple[str, ...] | None:
    names = []
    for index, item in enumerate(or_default(body.security_groups, [])):
        name = item.get("name")
        if item.keys() - {"name"} or not isinstance(name, str):
            raise BadRequest(f"Invalid input for server.security_groups[{index}]: a group is told by its name.")
        names.append(fields.check_name(f"server.security_groups[{index}].name", name))
    if not names:
        return None
    if "default" in names:
        network_api.ensure_default_group(tx, call.runtime, str(call.caller.project_id))
    try:
        return tuple(network_api.find_security_groups(tx, call.caller, names))
    except NotFound as error:
        raise BadRequest(error.message, kind=error.kind) from None


def _key(tx: Transaction, call: Call, body: NewServer) -> Any:
    if body.key_name is UNSET:
        return None
    try:
        return keypairs.find(tx, call.caller.user_id, body.key_name)
    except NotFound:
        raise BadRequest("Invalid key_name provided.", kind="KeypairNotFound") from None


def _rows(tx: Transaction, call: Call, plan: _Plan) -> list[dict[str, Any]]:
    same = _same(tx, call, plan)
    last = int(tx.scalar(_LAST) or 0)
    found = []
    for index in range(plan.count):
        server_id = ids.new_uuid()
        suffix = f"-{index + 1}" if plan.count > 1 else ""
        hostname = or_default(plan.body.hostname, "") or f"{fields.hostname_of(plan.name, server_id)}{suffix}"
        found.append(
            same
            | {
                "id": server_id,
                "sequence": last + index + 1,
                "name": f"{plan.name}{suffix}",
                "hostname": hostname,
                "launch_index": index,
                "interfaces": [],
            }
        )
    return found


def _same(tx: Transaction, call: Call, plan: _Plan) -> dict[str, Any]:
    """What all servers of the request have in common."""
    body, image, key = plan.body, plan.image, plan.key
    properties = image.get("properties") or {}
    described = or_none(body.description) if call.since(2, 19) else body.name
    drive = body.config_drive is not UNSET and fields.read_flag("server.config_drive", body.config_drive)
    caller = call.caller
    return {
        "project_id": caller.project_id, "user_id": caller.user_id, "description": described, "kind": plan.kind,
        "image_id": plan.image_id, "image": image, "flavor": plan.flavor, "flavor_id": plan.flavor["flavorid"],
        "old_flavor": None, "key_name": None if key is None else key.name,
        "key_data": None if key is None else key.public_key, "key_type": None if key is None else key.type,
        "user_data": or_none(body.user_data),
        "config_drive": drive or properties.get("img_config_drive") == "mandatory",
        "metadata": plan.metadata,
        "system_metadata": {"owner_user_name": caller.user_name, "owner_project_name": caller.project_name},
        "personality": plan.personality, "hints": plan.where.hints, "server_group_id": plan.where.group_id,
        "trusted_image_certificates": or_none(body.trusted_image_certificates), "disk_config": plan.disk_config,
        "access_ip_v4": or_none(body.accessIPv4), "access_ip_v6": or_none(body.accessIPv6),
        "asked_zone": plan.where.zone, "asked_host": plan.where.host,
        "reservation_id": f"r-{secrets.token_hex(4)}", "root_device_name": _root_device(properties),
        "host": None, "zone": None, "vm_state": VmState.BUILDING, "task_state": "scheduling",
        "power_state": int(PowerState.NOSTATE), "power": Power.RUNNING, "progress": 0,
        "task": {"name": "build", "admin_password": plan.password}, "task_request_id": call.request_id,
        "rescue": None, "fault": None, "locked": False, "locked_by": None, "locked_reason": None, "version": 1,
        "boot_id": None, "created_at": tx.now, "updated_at": tx.now, "launched_at": None, "terminated_at": None,
        "deleted_at": None,
    }  # fmt: skip


def _root_device(properties: dict[str, Any]) -> str:
    named = str(properties.get("root_device_name") or properties.get("img_root_device_name") or "")
    if named:
        return named if named.startswith("/dev/") else f"/dev/{named}"
    letter = {"scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}.get(str(properties.get("hw_disk_bus")), "vd")
    return f"/dev/{letter}a"


def _settle(tx: Transaction, call: Call, plan: _Plan, rows: Sequence[dict[str, Any]], hosts: Sequence[str]) -> None:
    known: dict[str, str] = {}
    for row, host in zip(rows, hosts, strict=True):
        if host not in known:
            known[host] = zones.zone_of(tx, call.runtime, host)
        row["host"], row["zone"] = host, known[host]
    networks.plug(tx, call, rows, plan.nics, plan.groups)


def _fail(tx: Transaction, rows: Sequence[dict[str, Any]], reason: str) -> None:
    """No host can take them: they are there in ERROR, and say why."""
    fault = {"code": 500, "message": reason, "created": tx.now.isoformat()[:19] + "Z", "details": ""}
    for row in rows:
        row |= {"vm_state": VmState.ERROR, "task_state": None, "task": None, "fault": fault, "power": Power.NONE}


def _write(tx: Transaction, call: Call, plan: _Plan, rows: Sequence[dict[str, Any]]) -> None:
    placed = rows[0]["host"] is not None
    limits.reserve(tx, call, plan.flavor, len(rows))
    tx.execute(_INSERT, list(rows))
    server_ids = [row["id"] for row in rows]
    if plan.tags:
        tx.execute(_TAG, [{"server_id": server_id, "tag": tag} for server_id in server_ids for tag in plan.tags])
    if placed:
        planning.write(tx, call, rows, plan.volumes.devices, plan.flavor)
    if plan.where.group_id is not None:
        for server_id in server_ids:
            server_groups.add_member(tx, call.runtime, plan.where.group_id, server_id, user_id=call.caller.user_id)
    ended = {"finished_at": None if placed else tx.now, "message": None if placed else "Error"}
    shared = {
        "request_id": call.request_id, "action": "create", "user_id": call.caller.user_id,
        "project_id": call.caller.project_id, "started_at": tx.now, "updated_at": tx.now, **ended,
    }  # fmt: skip
    tx.execute(_ACTION, [{"id": ids.new_uuid(), "server_id": server_id, **shared} for server_id in server_ids])
    timeline.record_all(tx, tasks.KIND, server_ids, "create asked" if placed else "create failed: no host")
    for row in rows if placed else ():
        tasks.mark(tx, row["id"], row["host"])


def _reply(call: Call, plan: _Plan, rows: Sequence[dict[str, Any]]) -> Reply:
    first = rows[0]
    if plan.body.return_reservation_id is not UNSET and fields.read_flag(
        "server.return_reservation_id", plan.body.return_reservation_id
    ):
        return Reply({"reservation_id": first["reservation_id"]}, status=202)
    links = lists.links(call, f"/servers/{first['id']}")
    view = {
        "id": first["id"],
        "links": links,
        "OS-DCF:diskConfig": first["disk_config"],
        "security_groups": or_default(plan.body.security_groups, [{"name": "default"}]),
        "adminPass": plan.password,
    }
    return Reply({"server": view}, status=202, headers={"Location": links[0]["href"]})
