"""The network service's rows.

What a list shows of a resource (a port's addresses and groups, a network's subnets, tags) stands as JSON in its own
row, so that a list is one query; the tables beside it (`ip_allocations`, `port_security_groups`, `tags`) hold the same
facts where they must be unique or searched. Both are written by the same functions, in the same transaction.
"""

from __future__ import annotations

from stackyard.services.network.tables.address_groups import address_groups
from stackyard.services.network.tables.agents import agent_settings
from stackyard.services.network.tables.flavors import flavor_profiles, network_flavors, service_profiles
from stackyard.services.network.tables.hosts import network_hosts
from stackyard.services.network.tables.local_ips import local_ip_associations, local_ips
from stackyard.services.network.tables.metering import metering_label_rules, metering_labels
from stackyard.services.network.tables.networks import networks
from stackyard.services.network.tables.port_forwardings import port_forwardings
from stackyard.services.network.tables.ports import port_bindings, port_security_groups, ports
from stackyard.services.network.tables.qos import qos_default_policies, qos_policies, qos_rules
from stackyard.services.network.tables.router_services import conntrack_helpers, ndp_proxies
from stackyard.services.network.tables.routers import floating_ips, router_ports, routers
from stackyard.services.network.tables.security_groups import (
    default_security_groups,
    security_group_default_rules,
    security_group_default_statefulness,
    security_group_rules,
    security_groups,
)
from stackyard.services.network.tables.segments import network_segment_ranges, network_segments
from stackyard.services.network.tables.sharing import network_rbacs
from stackyard.services.network.tables.subnetpools import address_scopes, auto_allocated_topologies, subnetpools
from stackyard.services.network.tables.subnets import ip_allocations, subnets
from stackyard.services.network.tables.tags import resource_tags
from stackyard.services.network.tables.trunks import trunk_subports, trunks

__all__ = [
    "address_groups",
    "address_scopes",
    "agent_settings",
    "auto_allocated_topologies",
    "conntrack_helpers",
    "default_security_groups",
    "flavor_profiles",
    "floating_ips",
    "ip_allocations",
    "local_ip_associations",
    "local_ips",
    "metering_label_rules",
    "metering_labels",
    "ndp_proxies",
    "network_flavors",
    "network_hosts",
    "network_rbacs",
    "network_segment_ranges",
    "network_segments",
    "networks",
    "port_bindings",
    "port_forwardings",
    "port_security_groups",
    "ports",
    "qos_default_policies",
    "qos_policies",
    "qos_rules",
    "resource_tags",
    "router_ports",
    "routers",
    "security_group_default_rules",
    "security_group_default_statefulness",
    "security_group_rules",
    "security_groups",
    "service_profiles",
    "subnetpools",
    "subnets",
    "trunk_subports",
    "trunks",
]
