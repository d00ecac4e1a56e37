"""Docker's networks: a network with its subnets, made for it or found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stackyard.core.body import convert
from stackyard.core.errors import Conflict, InvalidField
from stackyard.plugins.kuryr import names, pools
from stackyard.plugins.kuryr.bodies import AllocateNetwork, CreateNetwork, IpamData, NetworkOnly
from stackyard.plugins.kuryr.session import (
    IPNetwork,
    Session,
    read_flag,
    read_interface,
    read_network,
    read_options,
)


def allocate(body: AllocateNetwork) -> dict[str, Any]:
    """/NetworkDriver.AllocateNetwork: the options go to CreateNetwork as they are."""
    return {"Options": body.options}


def create(session: Session, body: CreateNetwork) -> dict[str, Any]:
    """/NetworkDriver.CreateNetwork; one that is there already stays as it is."""
    if session.network(body.network_id) is not None:
        return {}
    given = body.options or {}
    key = names.GENERIC_OPTIONS
    generic = convert({} if given.get(key) is None else given[key], dict[str, Any], f"Options.{key}")
    options = read_options(generic)
    network = _existing(session, options)
    if network is None:
        network = _made(session, body.network_id, options, generic)
    else:
        tags = [*names.id_tags(body.network_id), names.existing_network_tag(body.network_id)]
        session.service.tag("network", network, add=tags)
    internal = given.get(names.INTERNAL) is True
    for data in [*(body.ipv4_data or [])[:1], *(body.ipv6_data or [])[:1]]:
        _subnet(session, network, body.network_id, _Wanted(data, options, internal=internal))
    return {}


def _existing(session: Session, options: Mapping[str, str]) -> dict[str, Any] | None:
    if network_id := options.get("neutron.net.uuid"):
        network = session.neutron.show("network", network_id)
    elif name := options.get("neutron.net.name"):
        network = session.named("network", name)
    else:
        return None
    said = options.get("neutron.net.shared")
    if said is not None and read_flag("neutron.net.shared", said) != network["shared"]:
        raise Conflict(
            f"Network {network['id']} had option shared={network['shared']}, conflict with the given option "
            f"shared={said}."
        )
    return network


def _made(session: Session, network_id: str, options: Mapping[str, str], generic: Mapping[str, Any]) -> dict[str, Any]:
    shared = read_flag("neutron.net.shared", options.get("neutron.net.shared", ""))
    more = {"mtu": generic[names.MTU]} if isinstance(generic.get(names.MTU), str) else {}
    api = session.service if shared else session.neutron
    network = api.create(
        "network", name=names.network_name(network_id), project_id=session.project_id, shared=shared, **more
    )
    session.neutron.tag("network", network, add=names.id_tags(network_id))
    return network


class _Wanted:
    """A subnet as Docker describes it."""

    def __init__(self, data: IpamData, options: Mapping[str, str], *, internal: bool) -> None:
        self.cidr: IPNetwork = read_network("Pool", data.pool)
        self.options = options
        self.internal = internal
        gateway = read_interface("Gateway", data.gateway).ip if data.gateway else None
        self.gateway = str(gateway) if gateway is not None and not gateway.is_unspecified else None
        aux = (data.aux_addresses or {}).items()
        self.kept = {name: str(read_interface("AuxAddresses", text).ip) for name, text in aux}


def _subnet(session: Session, network: Mapping[str, Any], network_id: str, wanted: _Wanted) -> None:
    """Find or make the network's subnet with this CIDR, and tag it with the pool that its addresses are from."""
    pool = pools.requested(session, wanted.cidr, wanted.options)
    subnet = _found(session, network, wanted)
    tags = [*names.id_tags(network_id), *([] if pool is None else [pool["id"]])]
    if subnet is None:
        subnet = _new_subnet(session, network, pool, wanted)
        tags.append(names.MADE_SUBNET)
    session.service.tag("subnet", subnet, add=tags)
    for name, address in wanted.kept.items():
        _keep(session, subnet, name, address)


def _found(session: Session, network: Mapping[str, Any], wanted: _Wanted) -> dict[str, Any] | None:
    named = pools.named_subnet(session, wanted.options, wanted.cidr.version)
    if named is not None:
        if named["network_id"] != network["id"]:
            raise Conflict(
                f"Subnet {named['id']} is on network {named['network_id']}; name that one: -o neutron.net.uuid."
            )
        found: Sequence[dict[str, Any]] = [named]
    else:
        found = session.neutron.list("subnets", network_id=network["id"], cidr=str(wanted.cidr))
    for subnet in found:
        if subnet["cidr"] != str(wanted.cidr):
            raise Conflict(f"Subnet {subnet['id']} is {subnet['cidr']}, not {wanted.cidr}.")
        if wanted.gateway and wanted.gateway != subnet["gateway_ip"]:
            raise Conflict(
                f"Requested gateway {wanted.gateway} does not match with gateway {subnet['gateway_ip']} in existed "
                "network."
            )
    return found[0] if found else None


_OWN_ADDRESSES = 8


def _new_subnet(
    session: Session, network: Mapping[str, Any], pool: Mapping[str, Any] | None, wanted: _Wanted
) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": names.subnet_name(str(wanted.cidr)), "network_id": network["id"], "cidr": str(wanted.cidr),
        "ip_version": wanted.cidr.version, "project_id": session.project_id,
    }  # fmt: skip
    if wanted.internal:
        fields["gateway_ip"] = None
    elif wanted.gateway:
        fields["gateway_ip"] = wanted.gateway
    if pool is None and wanted.cidr.num_addresses > 2 * _OWN_ADDRESSES:
        # Somebody else gives the addresses, from the first on: what we need ourselves is from the other end.
        end = wanted.cidr.broadcast_address - 1
        fields["allocation_pools"] = [{"start": str(end - _OWN_ADDRESSES), "end": str(end)}]
    beside = session.neutron.list("subnets", network_id=network["id"], ip_version=str(wanted.cidr.version))
    # All subnets of one version on a network are from one pool, or from none.
    if pool is not None and all(other["subnetpool_id"] == pool["id"] for other in beside):
        fields["subnetpool_id"] = pool["id"]
    return session.neutron.create("subnet", **fields)


def _keep(session: Session, subnet: Mapping[str, Any], name: str, address: str) -> None:
    """Keep an address that the user has other plans for (`--aux-address`) from being given away."""
    if address == subnet["gateway_ip"]:
        raise InvalidField("AuxAddresses", f"{address} is the gateway's.")
    port = session.neutron.create(
        "port", name=f"kuryr-aux-{name}"[:255], network_id=subnet["network_id"], project_id=session.project_id,
        device_owner=names.DEVICE_OWNER, fixed_ips=[{"subnet_id": subnet["id"], "ip_address": address}],
    )  # fmt: skip
    session.neutron.tag("port", port, add=[names.DEVICE_OWNER])


def delete(session: Session, body: NetworkOnly) -> dict[str, Any]:
    """/NetworkDriver.DeleteNetwork: what Kuryr made goes, what was there before only loses our tags."""
    network = session.network(body.network_id)
    if network is None:
        return {}
    tags = names.id_tags(body.network_id)
    existing = names.existing_network_tag(body.network_id)
    for subnet in session.neutron.list("subnets", network_id=network["id"], tags=",".join(tags)):
        if not pools.drop_subnet(session, subnet):
            session.service.tag("subnet", subnet, drop=tags)
    if existing in network["tags"]:
        session.service.tag("network", network, drop=[*tags, existing])
    else:
        session.neutron.delete("network", network["id"])
    return {}
