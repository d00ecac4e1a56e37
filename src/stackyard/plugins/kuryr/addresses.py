"""The IPAM driver's addresses: each that is given out is held by a port, which an endpoint then takes over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackyard.core.errors import Conflict, InvalidField, NotFound
from stackyard.plugins.kuryr import names, pools
from stackyard.plugins.kuryr.bodies import ReleaseAddress, RequestAddress
from stackyard.plugins.kuryr.session import IPNetwork, Session, read_interface
from stackyard.services.network.api import interface_address

_AUTOMATIC = frozenset({"slaac", "dhcpv6-stateless"})


def request_address(session: Session, body: RequestAddress) -> dict[str, Any]:
    """/IpamDriver.RequestAddress."""
    pool, cidr = pools.read_pool(session, body.pool_id)
    options = body.options or {}
    wanted = _read_wanted(body.address, cidr)
    subnet = pools.subnet_of(session, pool, cidr)
    if options.get(names.ADDRESS_TYPE) == names.GATEWAY:
        address = _gateway(session, cidr, subnet, wanted)
    elif subnet is not None:
        mac = options.get(names.MAC_ADDRESS) or ""
        if not isinstance(mac, str):
            raise InvalidField(f"Options.{names.MAC_ADDRESS}", "it must be a text.")
        address = _address(session, subnet, wanted, mac.lower())
    elif wanted:
        # An address to keep back, before there is a subnet: CreateNetwork names it again.
        address = wanted
    else:
        raise NotFound(f"Subnet with pool {body.pool_id} does not exist.")
    # Docker insists on an answer; this one says that there is no gateway, or none that is known yet.
    nowhere = "0.0.0.0/0" if cidr.version == 4 else "::/0"
    return {"Address": f"{address}/{cidr.prefixlen}" if address else nowhere, "Data": {}}


def _read_wanted(text: str, cidr: IPNetwork) -> str:
    if not text:
        return ""
    found = read_interface("Address", text).ip
    if found not in cidr:
        raise InvalidField("Address", f"{found} is not in {cidr}.")
    return str(found)


def _gateway(session: Session, cidr: IPNetwork, subnet: Mapping[str, Any] | None, wanted: str) -> str:
    if subnet is not None:
        own = str(subnet["gateway_ip"] or "")
        if wanted and wanted != own:
            raise Conflict(f"Requested gateway {wanted} does not match with gateway {own} in existed network.")
        return own
    if wanted:
        return wanted
    # It may be that the network is to use one of these subnets, whose gateway is then the right one.
    known = {str(row["gateway_ip"] or "") for row in session.neutron.list("subnets", cidr=str(cidr))}
    if known:
        return known.pop() if len(known) == 1 else ""
    return str(cidr[1]) if cidr.num_addresses > 2 else ""


def _address(session: Session, subnet: Mapping[str, Any], wanted: str, mac: str) -> str:
    if {subnet["ipv6_ra_mode"], subnet["ipv6_address_mode"]} & _AUTOMATIC:
        # The endpoint's port has this address by itself.
        if not mac:
            raise Conflict(f"Hosts of subnet {subnet['id']} number themselves, by their MACs: none is given.")
        own = interface_address(subnet["cidr"], mac)
        if wanted and wanted != own:
            raise Conflict(f"Hosts of subnet {subnet['id']} number themselves: with MAC {mac} it is {own}.")
        return own
    port = _held(session, subnet, wanted, mac)
    if port is None:
        fixed_ip = {"subnet_id": subnet["id"], **({"ip_address": wanted} if wanted else {})}
        port = session.neutron.create(
            "port", name=names.UNBOUND_PORT, network_id=subnet["network_id"], project_id=session.project_id,
            fixed_ips=[fixed_ip],
        )  # fmt: skip
        session.neutron.tag("port", port, add=[names.DEVICE_OWNER])
    elif names.DEVICE_OWNER not in port["tags"]:
        session.neutron.tag("port", port, add=[names.EXISTING_PORT])
    return str(next(item["ip_address"] for item in port["fixed_ips"] if item["subnet_id"] == subnet["id"]))


def _held(session: Session, subnet: Mapping[str, Any], wanted: str, mac: str) -> dict[str, Any] | None:
    """A port that is meant: it has the address asked for, or else the MAC. Raises Conflict when it is in use."""
    found = []
    if wanted:
        found = holders(session, subnet["id"], wanted)
    elif mac:
        found = session.neutron.list("ports", network_id=subnet["network_id"], mac_address=mac)
        found = [port for port in found if any(item["subnet_id"] == subnet["id"] for item in port["fixed_ips"])]
    for port in found:
        if port["device_id"] or port["device_owner"] or port["project_id"] != session.project_id:
            raise Conflict(f"Address {wanted or mac} is in use by port {port['id']}.")
    return found[0] if found else None


def holders(session: Session, subnet_id: str, address: str) -> list[dict[str, Any]]:
    """The port that has an address of a subnet, if any."""
    wanted = {"subnet_id": subnet_id, "ip_address": address}
    found = session.neutron.list("ports", fixed_ips=f"ip_address={address}")
    return [port for port in found if wanted in port["fixed_ips"]]


def release_address(session: Session, body: ReleaseAddress) -> dict[str, Any]:
    """/IpamDriver.ReleaseAddress: a port that we made goes, another loses our tag. Gone is fine."""
    try:
        pool, cidr = pools.read_pool(session, body.pool_id)
    except NotFound:
        return {}
    address = str(read_interface("Address", body.address).ip) if body.address else ""
    subnet = pools.subnet_of(session, pool, cidr)
    if subnet is None or not address:
        return {}
    for port in holders(session, subnet["id"], address):
        if names.DEVICE_OWNER in port["tags"]:
            session.service.delete("port", port["id"])
        elif names.EXISTING_PORT in port["tags"]:
            session.neutron.tag("port", port, drop=[names.EXISTING_PORT])
    return {}
