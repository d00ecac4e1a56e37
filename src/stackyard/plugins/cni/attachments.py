"""Interfaces of pods: ports, found again by the container's id and the interface's name."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.plugins.cni.requests import INVALID_CONFIG, UNAVAILABLE, CniError, Config, Request, read_args
from stackyard.plugins.project import find_project
from stackyard.plugins.project import network_api as api_of
from stackyard.services import keys
from stackyard.services.network import api as network_api
from stackyard.services.network.api import Inward

OWNER = "compute:cni"

Ports = list[dict[str, Any]]


def open_api(tx: Transaction, runtime: Runtime, config: Config) -> Inward:
    """The network API for the configuration's project; raises CniError when there is no such."""
    name = config.project or runtime.settings.cni.default_project
    project = find_project(tx, name)
    if project is None:
        raise CniError(INVALID_CONFIG, f"there is no project {name!r} in use", 'set "project" in the configuration')
    return api_of(tx, runtime, project, "cni", "member", "reader")


def _tags(ifname: str, config: Config) -> list[str]:
    return [f"cni.ifname:{ifname}", f"cni.network:{config.name[:200].replace(',', '_')}"]


def ports_of(api: Inward, container_id: str, ifname: str) -> Ports:
    """The port of an interface, if there is one."""
    return api.list("ports", device_owner=OWNER, device_id=container_id, tags=f"cni.ifname:{ifname}")


def attach(tx: Transaction, runtime: Runtime, request: Request, config: Config) -> str:
    """ADD: the port, made or found, bound to the namespace; returns its id."""
    api = open_api(tx, runtime, config)
    known = ports_of(api, request.container_id, request.ifname)
    port = known[0] if known else _make(tx, runtime, api, request, config)
    network_api.bind_port(
        tx, port["id"], netns=request.netns, device=request.ifname, host=runtime[keys.HOST_NAME], wire="veth"
    )
    return str(port["id"])


def _make(tx: Transaction, runtime: Runtime, api: Inward, request: Request, config: Config) -> Mapping[str, Any]:
    given = read_args(request.args)
    network = network_api.find_network(tx, api.caller, config.network) if config.network else None
    if network is None:
        network = network_api.default_network(tx, api.caller)
    wanted = _addresses(config, given)
    fixed: list[str | dict[str, str]] = [*wanted]
    if config.subnet:
        fixed = [{"subnet_id": _subnet(api, network.id, config.subnet), **({"ip_address": ip} if ip else {})}
                 for ip in wanted or [""]]  # fmt: skip
    name = given.get("K8S_POD_NAME", "")
    row = network_api.create_port(
        tx, runtime, api.caller,
        network_api.PortRequest(
            network_id=network.id,
            name=name[:255] or request.container_id[:12],
            dns_name=name,
            fixed_ips=tuple(fixed) or None,
            mac=_mac(config, given) or None,
            security_groups=None if config.security_groups is None else tuple(config.security_groups),
            device_id=request.container_id,
            device_owner=OWNER,
        ),
    )  # fmt: skip
    port = api.show("port", row.id)
    api.tag("port", port, add=_tags(request.ifname, config))
    return port


def _addresses(config: Config, given: Mapping[str, str]) -> list[str]:
    ips = config.runtime_config.get("ips") or config.addresses or ([given["IP"]] if given.get("IP") else [])
    try:
        return [str(ipaddress.ip_interface(text).ip) for text in ips]
    except (ValueError, TypeError):
        raise CniError(INVALID_CONFIG, f"{ips!r} are no addresses") from None


def _mac(config: Config, given: Mapping[str, str]) -> str:
    return str(config.runtime_config.get("mac") or config.mac or given.get("MAC", ""))


def _subnet(api: Inward, network_id: str, name_or_id: str) -> str:
    found = api.list("subnets", network_id=network_id)
    chosen = [subnet["id"] for subnet in found if name_or_id in (subnet["id"], subnet["name"])]
    if len(chosen) != 1:
        raise CniError(INVALID_CONFIG, f"the network has {len(chosen)} subnets {name_or_id!r}")
    return str(chosen[0])


def detach(tx: Transaction, runtime: Runtime, request: Request, config: Config) -> list[str]:
    """DEL: the port goes; returns the ids of those whose wires are to be removed. Gone is fine."""
    api = open_api(tx, runtime, config)
    return _delete(tx, runtime, ports_of(api, request.container_id, request.ifname))


def _delete(tx: Transaction, runtime: Runtime, ports: Ports) -> list[str]:
    for port in ports:
        network_api.delete_port(tx, runtime, port["id"])
    return [port["id"] for port in ports]


def collect(tx: Transaction, runtime: Runtime, config: Config) -> list[str]:
    """GC: ports of this configuration whose interfaces the runtime does not know any more go; returns their ids."""
    api = open_api(tx, runtime, config)
    valid = {(one.container_id, f"cni.ifname:{one.ifname}") for one in config.valid}
    found = api.list("ports", device_owner=OWNER, tags=_tags("", config)[1])
    stale = [port for port in found if not any((port["device_id"], tag) in valid for tag in port["tags"])]
    return _delete(tx, runtime, stale)


def ready(tx: Transaction, runtime: Runtime, config: Config) -> None:
    """STATUS: whether an ADD would find its network; raises CniError, or the fault of the network service."""
    api = open_api(tx, runtime, config)
    network = network_api.find_network(tx, api.caller, config.network) if config.network else None
    network = network or network_api.default_network(tx, api.caller)
    if not api.list("subnets", network_id=network.id):
        raise CniError(UNAVAILABLE, f"network {network.id} has no subnet")


def result(tx: Transaction, runtime: Runtime, request: Request, config: Config) -> dict[str, Any] | None:
    """What there is of an interface, as the specification shows it; None when there is none."""
    api = open_api(tx, runtime, config)
    known = ports_of(api, request.container_id, request.ifname)
    if not known:
        return None
    port = known[0]
    subnets = {subnet["id"]: subnet for subnet in api.list("subnets", network_id=port["network_id"])}
    before = list((config.previous or {}).get("interfaces") or [])
    interface = {"name": request.ifname, "mac": port["mac_address"], "sandbox": request.netns}
    ips, routes = _reached(port, subnets, len(before), config.cni_version)
    servers = network_api.dns_servers(tx, [port["network_id"]])
    domain = network_api.dns_domain(tx, runtime, port["network_id"])
    return {
        "cniVersion": config.cni_version,
        "interfaces": [*before, interface],
        "ips": [*((config.previous or {}).get("ips") or []), *ips],
        "routes": [*((config.previous or {}).get("routes") or []), *routes],
        "dns": config.dns or {"nameservers": servers, "domain": domain, "search": [domain]},
    }


def _reached(
    port: Mapping[str, Any], subnets: Mapping[str, Any], interface: int, version: str
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Addresses and routes: one default route a family, as the port is wired."""
    ips: list[dict[str, Any]] = []
    routes: list[dict[str, str]] = []
    led: set[int] = set()
    for fixed in port["fixed_ips"]:
        subnet = subnets[fixed["subnet_id"]]
        item = {"address": f"{fixed['ip_address']}/{subnet['cidr'].rpartition('/')[2]}", "interface": interface}
        if version.startswith("0."):
            item["version"] = str(subnet["ip_version"])
        if subnet["gateway_ip"]:
            item["gateway"] = subnet["gateway_ip"]
            if subnet["ip_version"] not in led:
                led.add(subnet["ip_version"])
                everything = "0.0.0.0/0" if subnet["ip_version"] == 4 else "::/0"
                routes.append({"dst": everything, "gw": subnet["gateway_ip"]})
        ips.append(item)
        routes += [{"dst": route["destination"], "gw": route["nexthop"]} for route in subnet["host_routes"]]
    return ips, routes


def differences(found: Mapping[str, Any], previous: Mapping[str, Any] | None) -> Sequence[str]:
    """What the runtime was told of the interface and is not so any more: addresses."""
    told = {item.get("address") for item in (previous or {}).get("ips") or []}
    now = {item["address"] for item in found["ips"]}
    return sorted(str(text) for text in told - now)


def bound_port(tx: Transaction, runtime: Runtime, request: Request, config: Config) -> str | None:
    """The id of the interface's port, if that is bound to the namespace and name that the runtime says."""
    wanted = (request.netns, request.ifname, runtime[keys.HOST_NAME])
    for port in ports_of(open_api(tx, runtime, config), request.container_id, request.ifname):
        if network_api.binding(tx, port["id"]) == wanted:
            return str(port["id"])
    return None
