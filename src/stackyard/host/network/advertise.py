"""IPv6 router advertisements: radvd's configuration, as text. Pure.

radvd and not dnsmasq, because dnsmasq announces managed addresses only where it hands them out itself, and here the
router announces while the network's own server hands out.
"""

from __future__ import annotations

import hashlib

from stackyard.host.network import checks, names
from stackyard.host.specs import RouterInterface, RouterSpec, SubnetSpec

_LEAST_INTERVAL, _GREATEST_INTERVAL = 10, 30


def _prefix(subnet: SubnetSpec) -> str:
    autonomous = "off" if subnet.ipv6_mode == "dhcpv6-stateful" else "on"
    return f"  prefix {checks.network(subnet.cidr)} {{ AdvOnLink on; AdvAutonomous {autonomous}; }};\n"


def _interface(interface: RouterInterface, mtu: int) -> str:
    subnets = [item for item in interface.subnets if item.ipv6_mode]
    if not subnets:
        return ""
    managed = any(item.ipv6_mode == "dhcpv6-stateful" for item in subnets)
    other = any(item.ipv6_mode == "dhcpv6-stateless" for item in subnets)
    servers = dict.fromkeys(
        str(item) for subnet in subnets for item in map(checks.address, subnet.dns_servers) if item.version == 6
    )
    text = f"interface {names.inner_leg(interface.port_id)} {{\n  IgnoreIfMissing on;\n  AdvSendAdvert on;\n"
    text += f"  MinRtrAdvInterval {_LEAST_INTERVAL};\n  MaxRtrAdvInterval {_GREATEST_INTERVAL};\n  AdvLinkMTU {mtu};\n"
    text += f"  AdvManagedFlag {'on' if managed else 'off'};\n  AdvOtherConfigFlag {'on' if other else 'off'};\n"
    text += "".join(map(_prefix, subnets))
    text += "".join(f"  RDNSS {item} {{ }};\n" for item in servers)
    return text + "};\n"


def radvd_text(spec: RouterSpec, mtus: dict[str, int]) -> str:
    """The configuration, empty when no subnet wants advertisements. `mtus` are the networks' MTUs by network id."""
    return "".join(
        _interface(interface, max(1280, mtus.get(interface.network_id, 1500))) for interface in spec.interfaces
    )


def radvd_name(text: str) -> str:
    """File name of that text, so that a running radvd tells which configuration it has."""
    return f"radvd-{hashlib.blake2s(text.encode(), digest_size=6).hexdigest()}.conf"
