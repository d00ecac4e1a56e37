"""Who may do what to networks and what belongs to them; Neutron's rules by Neutron's names and with its defaults.

Rules look at a row's columns (`shared`, `external`), at `network:project_id`, the owner of the network that a subnet or
port is on, and at what kind of device a port belongs to (`network_device`, `compute_device`).
"""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.services.network import (
    address_scopes,
    agents,
    auto_allocation,
    availability,
    conntrack_helpers,
    default_rules,
    default_statefulness,
    ndp_proxies,
)
from stackyard.services.network.address_groups import operations as address_groups
from stackyard.services.network.checks import (
    ADMIN,
    COMPUTE_DEVICE,
    EXTERNAL,
    GROUP_MEMBER,
    GROUP_READER,
    MANAGER,
    MEMBER,
    NET_MANAGER,
    NET_MEMBER,
    NET_READER,
    NETWORK_DEVICE,
    ON_NETWORK,
    OWN,
    READER,
    SEE_OWN,
    SERVICE,
    SHARED,
    any_of,
    attributes,
    rules,
)
from stackyard.services.network.flavors import operations as flavors
from stackyard.services.network.floatingips import routes as floatingips
from stackyard.services.network.local_ips import operations as local_ips
from stackyard.services.network.metering import operations as metering
from stackyard.services.network.port_forwardings import operations as port_forwardings
from stackyard.services.network.ports import bindings as port_bindings
from stackyard.services.network.qos import routes as qos
from stackyard.services.network.rbac import routes as rbac
from stackyard.services.network.routers import routes as routers
from stackyard.services.network.segments import operations as segments
from stackyard.services.network.segments import ranges as segment_ranges
from stackyard.services.network.subnetpools import operations as subnetpools
from stackyard.services.network.trunks import operations as trunks

_PROVIDER = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")
_ADDRESSES = ("fixed_ips:ip_address", "mac_address", "port_security_enabled")
_PAIRS = ("allowed_address_pairs", "allowed_address_pairs:mac_address", "allowed_address_pairs:ip_address")

_NETWORKS = (
    *rules(OWN, "create_network", "update_network", "delete_network", about="Make, change and delete a network."),
    Rule("get_network", any_of(ADMIN, READER, SERVICE, SHARED, EXTERNAL), "See a network."),
    *attributes(ADMIN, "network", "create update", "shared", "router:external", "is_default", "segments", *_PROVIDER),
    *attributes(ADMIN, "network", "get", "segments", *_PROVIDER),
    *attributes(OWN, "network", "create update", "port_security_enabled", "tags"),
    *attributes(OWN, "network", "delete", "tags"),
    *attributes(any_of(ADMIN, READER, SHARED, EXTERNAL), "network", "get", "tags"),
)

_SUBNET_OWN = any_of(ADMIN, MEMBER, NET_MEMBER)
_SUBNETS = (
    Rule("create_subnet", any_of(ADMIN, NET_MEMBER), "Make a subnet on a network."),
    Rule("get_subnet", any_of(ADMIN, READER, NET_READER, SERVICE, SHARED, EXTERNAL), "See a subnet."),
    *rules(_SUBNET_OWN, "update_subnet", "delete_subnet", about="Change and delete a subnet."),
    *attributes(ADMIN, "subnet", "create update", "segment_id", "service_types"),
    *attributes(ADMIN, "subnet", "get", "segment_id"),
    *attributes(_SUBNET_OWN, "subnet", "create update delete", "tags"),
    *attributes(any_of(ADMIN, READER, NET_READER, SHARED, EXTERNAL), "subnet", "get", "tags"),
)

_PORTS = (
    Rule("create_port", any_of(ON_NETWORK, f"(role:member and {SHARED})"), "Make a port on a network."),
    Rule("get_port", any_of(ADMIN, SERVICE, NET_READER, READER), "See a port."),
    Rule("update_port", any_of(ADMIN, SERVICE, MEMBER), "Change a port."),
    Rule(
        "delete_port",
        any_of(ADMIN, SERVICE, f"(not {COMPUTE_DEVICE} and ({NET_MEMBER} or {MEMBER}))"),
        "Delete a port.",
    ),
    *attributes(any_of(ADMIN, SERVICE, MEMBER), "port", "create update", "device_id", "binding:vnic_type"),
    *attributes(any_of(f"not {NETWORK_DEVICE}", ON_NETWORK), "port", "create update", "device_owner"),
    *attributes(ON_NETWORK, "port", "create", *_ADDRESSES),
    *attributes(ON_NETWORK, "port", "update", "fixed_ips", "fixed_ips:ip_address", "port_security_enabled"),
    *attributes(any_of(ADMIN, SERVICE, NET_MANAGER), "port", "update", "mac_address"),
    *attributes(any_of(ON_NETWORK, SHARED), "port", "create", "fixed_ips", "fixed_ips:subnet_id"),
    *attributes(any_of(ON_NETWORK, SHARED), "port", "update", "fixed_ips:subnet_id"),
    *attributes(any_of(ADMIN, SERVICE, NET_MEMBER), "port", "create update", *_PAIRS),
    *attributes(any_of(ADMIN, SERVICE), "port", "create update", "binding:host_id"),
    *attributes(any_of(ADMIN, SERVICE), "port", "create update", "binding:profile"),
    *attributes(
        any_of(ADMIN, SERVICE),
        "port",
        "get",
        "binding:vif_type",
        "binding:vif_details",
        "binding:host_id",
        "binding:profile",
    ),
    *attributes(ADMIN, "port", "get create update", "hints", "trusted"),
    *attributes(ADMIN, "port", "get", "resource_request"),
    *attributes(any_of(ADMIN, "role:data_plane_integrator"), "port", "update", "data_plane_status"),
    *attributes(any_of(ADMIN, MEMBER), "port", "create update", "tags"),
    *attributes(any_of(ADMIN, MEMBER, NET_MEMBER), "port", "delete", "tags"),
    *attributes(any_of(ADMIN, READER, NET_READER), "port", "get", "tags"),
)

_SECURITY_GROUPS = (
    *rules(
        OWN,
        "create_security_group",
        "update_security_group",
        "delete_security_group",
        about="Make, change and delete a security group.",
    ),
    Rule("get_security_group", any_of(SEE_OWN, SHARED), "See a security group."),
    *attributes(OWN, "security_group", "create update delete", "tags"),
    *attributes(any_of(SEE_OWN, SHARED), "security_group", "get", "tags"),
    *rules(
        any_of(ADMIN, GROUP_MEMBER),
        "create_security_group_rule",
        "delete_security_group_rule",
        about="Make and delete a rule of a security group.",
    ),
    Rule("get_security_group_rule", any_of(ADMIN, GROUP_READER), "See a rule of a security group."),
)

_OTHERS = (
    Rule("get_quota", any_of(ADMIN, MANAGER), "See a project's quotas."),
    *rules(ADMIN, "update_quota", "delete_quota", about="Change a project's quotas."),
    Rule("get_network_api", "@", "See the API's resources and extensions.", ()),
)

POLICIES: tuple[Rule, ...] = (
    *_NETWORKS,
    *_SUBNETS,
    *_PORTS,
    *routers.POLICIES,
    *conntrack_helpers.POLICIES,
    *ndp_proxies.POLICIES,
    *floatingips.POLICIES,
    *port_forwardings.POLICIES,
    *local_ips.POLICIES,
    *flavors.POLICIES,
    *_SECURITY_GROUPS,
    *_OTHERS,
    *subnetpools.POLICIES,
    *address_scopes.POLICIES,
    *auto_allocation.POLICIES,
    *availability.POLICIES,
    *metering.POLICIES,
    *port_bindings.POLICIES,
    *agents.POLICIES,
    *trunks.POLICIES,
    *segments.POLICIES,
    *segment_ranges.POLICIES,
    *qos.POLICIES,
    *rbac.POLICIES,
    *address_groups.POLICIES,
    *default_rules.POLICIES,
    *default_statefulness.POLICIES,
)
