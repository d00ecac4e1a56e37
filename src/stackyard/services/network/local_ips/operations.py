"""What the API does with local IPs and their associations with ports."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction, TryAgain
from stackyard.core.errors import BadRequest, InvalidField, NotFound
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Filter, Listing, Scope
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network import marks, owners, resources, seen
from stackyard.services.network.addresses import read_address
from stackyard.services.network.checks import ADMIN, OWN, PARENT_MEMBER, PARENT_READER, SEE_OWN, any_of, rules
from stackyard.services.network.faults import conflict, invalid
from stackyard.services.network.local_ips import rows
from stackyard.services.network.ports import choice
from stackyard.services.network.ports import rows as port_rows
from stackyard.services.network.resources import Text, either
from stackyard.services.network.tables import local_ip_associations, local_ips, ports

NAMES = ("local_ip", "local_ips")
ASSOCIATION = ("port_association", "port_associations")
MODES = ("translate", "passthrough")

_COLUMNS = ("name", "local_port_id", "network_id", "local_ip_address", "ip_mode")
_INSERT = sa.insert(local_ips)
_DELETE = sa.delete(local_ips).where(local_ips.c.id == bindparam("id"))
_ASSOCIATE = sa.insert(local_ip_associations)
_ASSOCIATED = (
    sa.select(local_ip_associations, local_ips.c.local_ip_address, ports.c.binding_host)
    .join(local_ips, local_ips.c.id == local_ip_associations.c.local_ip_id)
    .join(ports, ports.c.id == local_ip_associations.c.fixed_port_id)
)
_OF_PARENT = local_ip_associations.c.local_ip_id == bindparam("parent")
_OF_LOCAL_IP = _ASSOCIATED.where(_OF_PARENT)

LISTING = Listing(
    local_ips,
    resources.standard_filters(local_ips, *_COLUMNS),
    sort_keys=(*_COLUMNS, "project_id", "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
)
ASSOCIATIONS = Listing(
    local_ip_associations,
    {
        "fixed_port_id": Filter(local_ip_associations.c.fixed_port_id),
        "fixed_ip": Filter(local_ip_associations.c.fixed_ip),
        "local_ip_address": Filter(local_ips.c.local_ip_address),
        "host": Filter(ports.c.binding_host),
    },
    sort_keys=("fixed_port_id", "fixed_ip"),
    max_limit=resources.LARGEST_PAGE,
    key="fixed_port_id",
    select=_ASSOCIATED,
)


class LocalIPFields(Body):
    """What a local IP may be changed to."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class NewLocalIP(LocalIPFields):
    """The body of a POST."""

    local_port_id: Text | UnsetType | None = UNSET
    network_id: Text | UnsetType | None = UNSET
    local_ip_address: Text | UnsetType | None = UNSET
    ip_mode: str | UnsetType = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


class NewAssociation(Body, kw_only=True):
    """Which port a local IP is to lead to."""

    fixed_port_id: str
    fixed_ip: Text | UnsetType | None = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def load(tx: Transaction, call: Call) -> seen.Found:
    """The local IP in the path; raises LocalIPNotFound."""
    row = rows.read(tx, call.path["local_ip_id"])
    seen.owned(call.caller, row, rows.missing(row.id))
    return seen.Found(row._mapping, **{"ext_parent:project_id": row.project_id})


def view(row: Any) -> dict[str, Any]:
    """A local IP as the API shows it."""
    shown = resources.standard_view(seen.Found(row._mapping, tags=[]))
    del shown["tags"]
    return shown | {name: getattr(row, name) for name in _COLUMNS}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /local_ips."""
    page = resources.page_of(tx, call.query, LISTING, seen.own(call.caller, local_ips))
    return resources.listed(call, "local_ips", page, view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /local_ips/{local_ip_id}."""
    return {"local_ip": resources.shown(call, view(rows.read(tx, call.target.id)))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /local_ips, one or many."""
    bodies, bulk = resources.read_bodies(call, NewLocalIP, *NAMES)
    return resources.created(call, NAMES, [view(_create(tx, call, body)) for body in bodies], bulk=bulk)


def _create(tx: Transaction, call: Call, body: NewLocalIP) -> Any:
    project_id = resources.owner(call, body)
    call.require("create_local_ip", {"project_id": project_id})
    mode = either(body.ip_mode, MODES[0])
    if mode not in MODES:
        raise InvalidField("ip_mode", f"'{mode}' is not in {list(MODES)}.")
    row = resources.new_row(tx, new_uuid(), project_id, body)
    del row["tags"]
    network_id, port_id, address = _address(tx, call, body, row["id"])
    row |= {"local_port_id": port_id, "network_id": network_id, "local_ip_address": address, "ip_mode": mode}
    tx.execute(_INSERT, row)
    timeline.record(tx, "local_ip", row["id"], "created", address)
    return rows.read(tx, row["id"])


def _address(tx: Transaction, call: Call, body: NewLocalIP, local_ip_id: str) -> tuple[str, str, str]:
    """The network, port and IPv4 address that a local IP has: of a port that there is, or of one made for it."""
    port_id, network_id = either(body.local_port_id, None), either(body.network_id, None)
    wanted = either(body.local_ip_address, None)
    if wanted and read_address("local_ip_address", wanted).version != 4:
        raise invalid(f"local_ip_address {wanted} is not an IPv4 address.")
    if port_id:
        port = seen.port(tx, call.caller, port_id)
        if port.netns is not None:
            raise conflict("PortInUse", f"Port {port.id} is wired: its addresses lead to itself. Use an unused one.")
        return port.network_id, port.id, _pick(port, wanted)
    if not network_id:
        raise _refused(
            "LocalIPPortOrNetworkRequired", "Either Port ID or Network ID must be specified for Local IP create."
        )
    network = seen.network(tx, call.caller, network_id)
    family = [subnet for subnet in choice.subnets_of(tx, network.id) if subnet.ip_version == 4]
    if not family:
        raise BadRequest(f"Network {network_id} does not contain any IPv4 subnet", kind="BadRequest")
    asked = {"ip_address": wanted} if wanted else {"subnet_id": choice.roomiest(tx, family).id}
    new = port_rows.NewPort(
        network_id=network.id, project_id="", fixed_ips=[asked], device_id=local_ip_id, device_owner=owners.LOCAL_IP,
        port_security=False,
    )  # fmt: skip
    made = port_rows.insert(tx, call.runtime, new)
    return network.id, made["id"], made["fixed_ips"][0]["ip_address"]


def _pick(port: Any, wanted: str | None) -> str:
    """The IPv4 address of a port that is asked for, or its only one."""
    own = [str(item["ip_address"]) for item in port.fixed_ips if ":" not in item["ip_address"]]
    if not own:
        raise _refused("LocalIPNoIP", f"Specified Port {port.id} has no fixed IPs configured.")
    if wanted:
        if wanted not in own:
            raise _refused(
                "LocalIPRequestedIPNotFound", f"Specified Port {port.id} does not have requested IP address: {wanted}."
            )
        return wanted
    if len(own) > 1:
        raise _refused(
            "LocalIPNoRequestedIP",
            f"Specified Port {port.id} has several fixed IPs, should specify exact IP address to use for Local IP.",
        )
    return own[0]


def _refused(kind: str, message: str) -> BadRequest:
    return BadRequest(message, kind=kind)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /local_ips/{local_ip_id}."""
    row = call.target
    resources.check_revision(call, row)
    changes = {name: value or "" for name, value in call.body.given()}
    if changes:
        resources.touch(tx, local_ips, row.id, **changes)
        timeline.record(tx, "local_ip", row.id, "updated", ", ".join(sorted(changes)))
    return {"local_ip": view(rows.read(tx, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /local_ips/{local_ip_id}."""
    row = call.target
    resources.check_revision(call, row)
    if tx.first(_OF_LOCAL_IP, {"parent": row.id}) is not None:
        raise conflict("LocalIPInUse", f"Local IP {row.id} is still associated with one or more ports.")
    tx.execute(_DELETE, {"id": row.id})
    port = port_rows.read(tx, row.local_port_id)
    if port is not None and port.device_owner == owners.LOCAL_IP:
        port_rows.remove(tx, call.runtime, port.id)
    timeline.record(tx, "local_ip", row.id, "deleted")


# ------------------------------------------------------------------------------------------------ associations


def association_view(row: Any) -> dict[str, Any]:
    """An association as the API shows it."""
    return {
        "local_ip_id": row.local_ip_id,
        "local_ip_address": row.local_ip_address,
        "fixed_port_id": row.fixed_port_id,
        "fixed_ip": row.fixed_ip,
        "host": row.binding_host,
    }


def list_associations(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /local_ips/{local_ip_id}/port_associations."""
    page = ASSOCIATIONS.page(tx, call.query, Scope("of a local IP", _OF_PARENT, {"parent": call.target.id}))
    return {"port_associations": [resources.shown(call, association_view(row)) for row in page.rows]}


def _association(tx: Transaction, call: Call) -> Any:
    port_id = call.path["fixed_port_id"]
    there = tx.all(_OF_LOCAL_IP, {"parent": call.target.id})
    found = next((row for row in there if row.fixed_port_id == port_id), None)
    if found is None:
        raise NotFound(
            f"Local IP {call.target.id} association with port {port_id} could not be found.",
            kind="LocalIPAssociationNotFound",
        )
    return found


def show_association(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /local_ips/{local_ip_id}/port_associations/{fixed_port_id}."""
    return {"port_association": resources.shown(call, association_view(_association(tx, call)))}


def associate(tx: Transaction, call: Call) -> Reply:
    """POST /local_ips/{local_ip_id}/port_associations."""
    bodies, bulk = resources.read_bodies(call, NewAssociation, *ASSOCIATION)
    views = [association_view(_associate(tx, call, body)) for body in bodies]
    return resources.created(call, ASSOCIATION, views, bulk=bulk)


def _associate(tx: Transaction, call: Call, body: NewAssociation) -> Any:
    local = call.target
    # The local IP's row is changed first: of two transactions that give it a port, one is run again.
    resources.touch(tx, local_ips, local.id)
    port = seen.port(tx, call.caller, body.fixed_port_id)
    if port.network_id != local.network_id:
        raise invalid(f"Port {port.id} is not on the network {local.network_id} of Local IP {local.id}.")
    fixed_ip = _pick(port, either(body.fixed_ip, None))
    other = tx.first(_OF_LOCAL_IP, {"parent": local.id})
    if other is not None:
        raise conflict(
            "LocalIPInUse",
            f"Local IP {local.id} leads to port {other.fixed_port_id} already; this cloud leads one to a single port. "
            "Delete that association first.",
        )
    row = {"local_ip_id": local.id, "fixed_port_id": port.id, "fixed_ip": fixed_ip}
    try:
        tx.execute(_ASSOCIATE, row)
    except IntegrityError as error:
        raise TryAgain(str(error.orig)) from error
    timeline.record(tx, "local_ip", local.id, "associated", port.id)
    marks.port(tx, port.id)
    return tx.first(_OF_LOCAL_IP, {"parent": local.id})


def dissociate(tx: Transaction, call: Call) -> None:
    """DELETE /local_ips/{local_ip_id}/port_associations/{fixed_port_id}."""
    rows.dissociate(tx, call.target.id, _association(tx, call).fixed_port_id)


def _routes(collection: str) -> tuple[Route, ...]:
    """The calls on local IPs; clients write the collection with an underscore, Neutron's documents with a dash."""
    every = f"/v2.0/{collection}"
    path = f"{every}/{{local_ip_id}}"
    associations = f"{path}/port_associations"
    one = f"{associations}/{{fixed_port_id}}"
    return (
        Route("GET", every, list_, "get_network_api"),
        Route("POST", every, create, "create_local_ip", body=dict, status=201),
        Route("GET", path, show, "get_local_ip", target=load),
        Route("PUT", path, update, "update_local_ip", target=load, body=LocalIPFields, envelope="local_ip"),
        Route("DELETE", path, delete, "delete_local_ip", target=load, status=204),
        Route("GET", associations, list_associations, "get_local_ip_port_association", target=load),
        Route("POST", associations, associate, "create_local_ip_port_association", target=load, body=dict, status=201),
        Route("GET", one, show_association, "get_local_ip_port_association", target=load),
        Route("DELETE", one, dissociate, "delete_local_ip_port_association", target=load, status=204),
    )


ROUTES = (*_routes("local_ips"), *_routes("local-ips"))

POLICIES = (
    *rules(
        OWN,
        "create_local_ip",
        "update_local_ip",
        "delete_local_ip",
        about="Make, change and delete a local IP.",
    ),
    Rule("get_local_ip", SEE_OWN, "See a local IP."),
    *rules(
        any_of(ADMIN, PARENT_MEMBER),
        "create_local_ip_port_association",
        "delete_local_ip_port_association",
        about="Lead a local IP to a port, and no longer.",
    ),
    Rule("get_local_ip_port_association", any_of(ADMIN, PARENT_READER), "See which port a local IP leads to."),
)
