"""The networks and ports that a server is to be on: what a request names, checked, and made in one go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, Conflict, Forbidden, InvalidField, NotFound
from stackyard.services.compute.servers import fields
from stackyard.services.network import api as network_api
from stackyard.services.network.api import PortRequest

ATTACH_EXTERNAL = "os_compute_api:network:attach_external_network"


class Nic(msgspec.Struct, kw_only=True):
    """One network card that is wanted: on a network, with an address perhaps, or a port that is there already."""

    network_id: str
    address: str | None = None
    tag: str | None = None
    port: Any = None


class Wanted(msgspec.Struct, kw_only=True):
    """What a request says of networks: `choice` is auto, none, or empty for the cards of `nics` (None: none named)."""

    choice: str = ""
    nics: list[dict[str, Any]] | None = None

    @property
    def asks(self) -> bool:
        """Whether it wants to be on any network by its own words."""
        return self.choice == "auto" or bool(self.nics)


def read(call: Call, given: Any) -> Wanted:
    """What `networks` of a body says; raises InvalidField, BadRequest."""
    if isinstance(given, str):
        if not call.since(2, 37) or given not in ("auto", "none"):
            raise InvalidField("server.networks", f"'{given[:40]}' is not a list of networks.")
        return Wanted(choice=given)
    if not isinstance(given, list):
        return Wanted()
    return Wanted(nics=[_item(call, f"server.networks[{index}]", item) for index, item in enumerate(given)])


def _item(call: Call, field: str, item: dict[str, Any]) -> dict[str, Any]:
    tagged = call.microversion is not None and ((2, 32) <= call.microversion <= (2, 36) or call.since(2, 42))
    for name, value in item.items():
        if name not in ("fixed_ip", "port", "uuid") and not (name == "tag" and tagged):
            raise InvalidField(field, f"Additional properties are not allowed ('{name[:80]}' was unexpected)")
        if not isinstance(value, str) and not (name == "port" and value is None):
            raise InvalidField(f"{field}.{name}", "it is not a text.")
    if item.get("fixed_ip") is not None:
        fields.check_address(f"{field}.fixed_ip", item["fixed_ip"])
    if item.get("port"):
        fields.check_uuid(f"{field}.port", item["port"])
        if item.get("fixed_ip"):
            raise BadRequest(
                f"Specified Fixed IP '{item['fixed_ip']}' cannot be used with port '{item['port']}': the two cannot be "
                "specified together."
            )
    elif "uuid" not in item:
        raise BadRequest("Bad network format: missing 'uuid'")
    elif not ids.is_uuid(item["uuid"]):
        raise BadRequest(f"Bad networks format: network uuid is not in proper format ({item['uuid'][:80]})")
    if "tag" in item:
        fields.check_tag(f"{field}.tag", item["tag"])
    return item


def resolve(tx: Transaction, call: Call, wanted: Wanted, count: int, *, project_id: str | None = None) -> list[Nic]:
    """The cards that each of `count` servers is to have; raises Nova's faults for those that cannot be.

    `project_id` is the servers' project, None: the caller's.
    """
    if wanted.choice == "none":
        return []
    if not wanted.nics:
        return _unnamed(tx, call, auto=wanted.choice == "auto")
    found: list[Nic] = []
    seen: dict[str, Any] = {}
    for item in wanted.nics:
        if item.get("port"):
            _refuse_port(item["port"], found, count)
            nic = Nic(network_id="", port=usable_port(tx, call, item["port"], project_id))
        else:
            nic = _of_network(tx, call, item, seen, count)
        nic.tag = item.get("tag")
        found.append(nic)
    tags = [nic.tag for nic in found if nic.tag]
    if len(set(tags)) != len(tags):
        raise BadRequest("Tags of networks must be unique in a server.")
    return found


def _unnamed(tx: Transaction, call: Call, *, auto: bool) -> list[Nic]:
    usable = network_api.usable_networks(tx, call.caller)
    if len(usable) > 1:
        raise Conflict(
            "Multiple possible networks found, use a Network ID to be more specific.", kind="NetworkAmbiguous"
        )
    if usable:
        if auto and not network_api.has_subnet(tx, usable[0].id):
            raise _no_subnet(usable[0].id)
        return [Nic(network_id=usable[0].id)]
    if not auto:
        return []
    try:
        return [Nic(network_id=network_api.auto_allocated_network(tx, call.runtime, call.caller))]
    except (Conflict, NotFound) as error:
        raise BadRequest(
            f"Unable to automatically allocate a network for project {call.caller.project_id}: {error.message}",
            kind="UnableToAutoAllocateNetwork",
        ) from error


def _no_subnet(network_id: str) -> BadRequest:
    return BadRequest(
        f"Network {network_id} requires a subnet in order to boot instances on.", kind="NetworkRequiresSubnet"
    )


def _of_network(tx: Transaction, call: Call, item: dict[str, Any], seen: dict[str, Any], count: int) -> Nic:
    network_id = item["uuid"]
    if network_id not in seen:
        try:
            network = network_api.find_network(tx, call.caller, network_id)
        except NotFound:
            raise BadRequest(f"Network {network_id} could not be found.", kind="NetworkNotFound") from None
        if network.external and not network.shared and not call.allows(ATTACH_EXTERNAL):
            raise Forbidden(
                f"It is not allowed to create an interface on external network {network.id}",
                kind="ExternalNetworkAttachForbidden",
            )
        if not network_api.has_subnet(tx, network.id):
            raise _no_subnet(network.id)
        seen[network_id] = network
    if item.get("fixed_ip") and count > 1:
        raise BadRequest(
            "Failed to launch instances: Unable to launch multiple instances with a single configured IP address. "
            "Please launch your instance one by one with different IP addresses.",
            kind="InvalidFixedIpAndMaxCountRequest",
        )
    return Nic(network_id=seen[network_id].id, address=item.get("fixed_ip"))


def _refuse_port(port_id: str, found: Sequence[Nic], count: int) -> None:
    if any(nic.port is not None and nic.port.id == port_id for nic in found):
        raise BadRequest(f"Port ID '{port_id}' was specified twice: you cannot attach a port multiple times.")
    if count > 1:
        raise BadRequest(
            "Failed to launch instances: Unable to launch multiple instances with a single configured port ID. Please "
            "launch your instance one by one with different ports.",
            kind="MultiplePortsNotApplicable",
        )


def usable_port(tx: Transaction, call: Call, port_id: str, project_id: str | None = None) -> Any:
    """A port that is free and the project's; raises PortNotFound (400), PortInUse (409), PortNotUsable."""
    try:
        port = network_api.find_port(tx, call.caller, port_id)
    except NotFound:
        raise BadRequest(f"Port id {port_id} could not be found.", kind="PortNotFound") from None
    if port.project_id != (project_id or call.caller.project_id):
        raise BadRequest(f"Port {port_id} not usable for the instance: it is another project's.", kind="PortNotUsable")
    if port.device_id:
        raise Conflict(f"Port {port_id} is still in use.", kind="PortInUse")
    if not port.fixed_ips and port.ip_allocation != "none":
        raise BadRequest(f"Port {port_id} requires a FixedIP in order to be used.", kind="PortRequiresFixedIP")
    return port


def plug(
    tx: Transaction,
    call: Call,
    servers: Sequence[dict[str, Any]],
    nics: Sequence[Nic],
    groups: tuple[str, ...] | None,
    *,
    project_id: str | None = None,
) -> None:
    """Make the ports of new servers (rows with id, hostname, zone), claim those that are there, and write `interfaces`.

    Raises BadRequest, Forbidden (quota) when one cannot be made.
    """
    requests = [
        PortRequest(
            network_id=nic.network_id,
            project_id=project_id,
            device_id=server["id"],
            device_owner=f"compute:{server['zone'] or ''}",
            dns_name=server["hostname"],
            fixed_ips=(nic.address,) if nic.address else None,
            security_groups=groups,
        )
        for server in servers
        for nic in nics
        if nic.port is None
    ]
    made = iter(create(tx, call, requests) if requests else ())
    for server in servers:
        interfaces = []
        for index, nic in enumerate(nics):
            named = nic.port is not None and _claim(tx, server, nic.port)
            port = next(made) if nic.port is None else nic.port
            interfaces.append(
                {
                    "port": port.id, "network": port.network_id, "mac": port.mac_address, "tag": nic.tag,
                    "made": nic.port is None, "named": named, "device": f"eth{index}",
                }
            )  # fmt: skip
        server["interfaces"] = interfaces


def _claim(tx: Transaction, server: dict[str, Any], port: Any) -> bool:
    """Make a port that is there the server's; whether it got its name from the server."""
    if port.dns_name and port.dns_name != server["hostname"]:
        raise BadRequest(
            f"Port {port.id} not usable for instance {server['id']}. Value {port.dns_name} assigned to dns_name "
            f"attribute does not match instance's hostname {server['hostname']}",
            kind="PortNotUsableDNS",
        )
    name = None if port.dns_name else server["hostname"]
    owner = f"compute:{server['zone'] or ''}"
    network_api.claim_ports(tx, [port.id], device_id=server["id"], device_owner=owner, dns_name=name)
    return name is not None


def create(tx: Transaction, call: Call, requests: Sequence[PortRequest]) -> list[Any]:
    """Make ports, with the network service's refusals said as Nova says them."""
    try:
        return network_api.create_ports(tx, call.runtime, call.caller, requests)
    except ApiError as error:
        raise refusal(error) from error


def refusal(error: ApiError) -> ApiError:
    """What the network service refuses, as servers' requests are refused it."""
    if error.kind == "OverQuota":
        return Forbidden(f"Maximum number of ports exceeded: {error.message}", kind="PortLimitExceeded")
    if error.kind == "IpAddressAlreadyAllocated":
        return BadRequest(f"Fixed IP address is already in use: {error.message}", kind="FixedIpAlreadyInUse")
    if error.kind == "IpAddressGenerationFailure":
        return BadRequest(f"No fixed IP addresses available: {error.message}", kind="NoMoreFixedIps")
    if isinstance(error, Conflict):
        return Conflict(error.message, kind=error.kind)
    return error if isinstance(error, Forbidden) else BadRequest(error.message, kind=error.kind)
