"""Which tracked connections of a router have a translation that it gives no longer. Pure.

A connection is judged by what was done to it, not by what the router was told before, so that what changed while
nobody was there ends too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from stackyard.host.network import checks
from stackyard.host.network.conntrack import Connection
from stackyard.host.specs import PortForwarding, RouterSpec


def shrank(spec: RouterSpec, before: RouterSpec | None) -> bool:
    """Whether a translation that there was may be gone; so too when it is not known what there was."""
    if before is None:
        return True
    translated = {(item.floating_ip, item.fixed_ip) for item in spec.floating_ips}
    if any((item.floating_ip, item.fixed_ip) not in translated for item in before.floating_ips):
        return True
    shown = {(item.ip, gateway.snat) for gateway in spec.gateways for item in gateway.addresses}
    if any((item.ip, gateway.snat) not in shown for gateway in before.gateways for item in gateway.addresses):
        return True
    return bool(set(before.port_forwardings) - set(spec.port_forwardings))


def departed(spec: RouterSpec) -> Callable[[Connection], bool]:
    """Says of a connection whether the router would not translate it so any more."""
    floating = {_canonical(item.floating_ip): _canonical(item.fixed_ip) for item in spec.floating_ips}
    own = {_canonical(item.ip) for gateway in spec.gateways for item in gateway.addresses}

    def is_gone(connection: Connection) -> bool:
        if connection.related or not connection.reply_source:
            return False
        source, destination = connection.source, connection.destination
        shown_as, led_to = connection.reply_destination, connection.reply_source
        kept = led_to == destination or floating.get(destination) == led_to
        if not kept and not any(_leads(item, connection) for item in spec.port_forwardings):
            return True
        return shown_as != source and shown_as not in own and floating.get(shown_as) != source

    return is_gone


def _canonical(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _leads(item: PortForwarding, connection: Connection) -> bool:
    first, last = item.external_ports
    if checks.PROTOCOLS[item.protocol] != connection.protocol or not first <= connection.destination_port <= last:
        return False
    if (item.floating_ip, item.fixed_ip) != (connection.destination, connection.reply_source):
        return False
    low, high = item.internal_ports
    return connection.reply_source_port == (low if low == high else connection.destination_port - first + low)
