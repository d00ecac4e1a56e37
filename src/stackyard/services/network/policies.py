"""Who may do what to networks and what belongs to them; Neutron's rules by Neutron's names and with its defaults.

Rules look at a row's columns (`shared`, `external`), at `network:project_id`, the owner of the network that a subnet or
port is on, and at what kind of device a port belongs to (`network_device`, `compute_device`).
"""

from __future__ import annotations

from stackyard.core.policy import Rule

_ADMIN = "role:admin"
_SERVICE = "role:service"
_MEMBER = "(role:member and project_id:%(project_id)s)"
_READER = "(role:reader and project_id:%(project_id)s)"
_NET_MEMBER = "(role:member and project_id:%(network:project_id)s)"
_NET_READER = "(role:reader and project_id:%(network:project_id)s)"
_NET_MANAGER = "(role:manager and project_id:%(network:project_id)s)"
_MANAGER = "(role:manager and project_id:%(project_id)s)"
_GROUP_MEMBER = "(role:member and project_id:%(security_group:project_id)s)"
_GROUP_READER = "(role:reader and project_id:%(security_group:project_id)s)"
_SHARED = "True:%(shared)s"
_EXTERNAL = "True:%(external)s"
_NETWORK_DEVICE = "True:%(network_device)s"
_COMPUTE_DEVICE = "True:%(compute_device)s"


def _any(*checks: str) -> str:
    return " or ".join(checks)


_OWN = _any(_ADMIN, _MEMBER)
_SEE_OWN = _any(_ADMIN, _READER)
_ON_NETWORK = _any(_ADMIN, _SERVICE, _NET_MEMBER)


def _rules(check: str, *names: str, about: str) -> tuple[Rule, ...]:
    """Several rules of one default."""
    return tuple(Rule(name, check, about) for name in names)


def _attributes(check: str, noun: str, verbs: str, *attributes: str) -> tuple[Rule, ...]:
    """`create_network:shared` and the like: setting or seeing single attributes."""
    return tuple(
        Rule(f"{verb}_{noun}:{attribute}", check, f"The attribute {attribute} of a {noun}: {verb} it.")
        for verb in verbs.split()
        for attribute in attributes
    )


_PROVIDER = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")
_ADDRESSES = ("fixed_ips:ip_address", "mac_address", "port_security_enabled")
_PAIRS = ("allowed_address_pairs", "allowed_address_pairs:mac_address", "allowed_address_pairs:ip_address")

_NETWORKS = (
    *_rules(_OWN, "create_network", "update_network", "delete_network", about="Make, change and delete a network."),
    Rule("get_network", _any(_ADMIN, _READER, _SERVICE, _SHARED, _EXTERNAL), "See a network."),
    *_attributes(_ADMIN, "network", "create update", "shared", "router:external", "is_default", "segments", *_PROVIDER),
    *_attributes(_ADMIN, "network", "get", "segments", *_PROVIDER),
    *_attributes(_OWN, "network", "create update", "port_security_enabled", "tags"),
    *_attributes(_OWN, "network", "delete", "tags"),
    *_attributes(_any(_ADMIN, _READER, _SHARED, _EXTERNAL), "network", "get", "tags"),
)

_SUBNET_OWN = _any(_ADMIN, _MEMBER, _NET_MEMBER)
_SUBNETS = (
    Rule("create_subnet", _any(_ADMIN, _NET_MEMBER), "Make a subnet on a network."),
    Rule("get_subnet", _any(_ADMIN, _READER, _NET_READER, _SERVICE, _SHARED, _EXTERNAL), "See a subnet."),
    *_rules(_SUBNET_OWN, "update_subnet", "delete_subnet", about="Change and delete a subnet."),
    *_attributes(_ADMIN, "subnet", "create update", "segment_id", "service_types"),
    *_attributes(_ADMIN, "subnet", "get", "segment_id"),
    *_attributes(_SUBNET_OWN, "subnet", "create update delete", "tags"),
    *_attributes(_any(_ADMIN, _READER, _NET_READER, _SHARED, _EXTERNAL), "subnet", "get", "tags"),
)

_PORTS = (
    Rule("create_port", _any(_ON_NETWORK, f"(role:member and {_SHARED})"), "Make a port on a network."),
    Rule("get_port", _any(_ADMIN, _SERVICE, _NET_READER, _READER), "See a port."),
    Rule("update_port", _any(_ADMIN, _SERVICE, _MEMBER), "Change a port."),
    Rule(
        "delete_port",
        _any(_ADMIN, _SERVICE, f"(not {_COMPUTE_DEVICE} and ({_NET_MEMBER} or {_MEMBER}))"),
        "Delete a port.",
    ),
    *_attributes(_any(_ADMIN, _SERVICE, _MEMBER), "port", "create update", "device_id", "binding:vnic_type"),
    *_attributes(_any(f"not {_NETWORK_DEVICE}", _ON_NETWORK), "port", "create update", "device_owner"),
    *_attributes(_ON_NETWORK, "port", "create", *_ADDRESSES),
    *_attributes(_ON_NETWORK, "port", "update", "fixed_ips", "fixed_ips:ip_address", "port_security_enabled"),
    *_attributes(_any(_ADMIN, _SERVICE, _NET_MANAGER), "port", "update", "mac_address"),
    *_attributes(_any(_ON_NETWORK, _SHARED), "port", "create", "fixed_ips", "fixed_ips:subnet_id"),
    *_attributes(_any(_ON_NETWORK, _SHARED), "port", "update", "fixed_ips:subnet_id"),
    *_attributes(_any(_ADMIN, _SERVICE, _NET_MEMBER), "port", "create update", *_PAIRS),
    *_attributes(_any(_ADMIN, _SERVICE), "port", "create update", "binding:host_id"),
    *_attributes(_any(_ADMIN, _SERVICE), "port", "create update", "binding:profile"),
    *_attributes(
        _any(_ADMIN, _SERVICE),
        "port",
        "get",
        "binding:vif_type",
        "binding:vif_details",
        "binding:host_id",
        "binding:profile",
    ),
    *_attributes(_any(_ADMIN, _MEMBER), "port", "create update", "tags"),
    *_attributes(_any(_ADMIN, _MEMBER, _NET_MEMBER), "port", "delete", "tags"),
    *_attributes(_any(_ADMIN, _READER, _NET_READER), "port", "get", "tags"),
)

_GATEWAY = "external_gateway_info"
_ROUTERS = (
    *_rules(
        _OWN,
        "create_router",
        "update_router",
        "delete_router",
        "add_router_interface",
        "remove_router_interface",
        "add_extraroutes",
        "remove_extraroutes",
        about="Make, change and delete a router, its interfaces and routes.",
    ),
    Rule("get_router", _SEE_OWN, "See a router."),
    *_attributes(_ADMIN, "router", "create update get", "distributed", "ha"),
    *_attributes(_OWN, "router", "create update", _GATEWAY, f"{_GATEWAY}:network_id"),
    *_attributes(_ADMIN, "router", "create update", f"{_GATEWAY}:enable_snat", f"{_GATEWAY}:external_fixed_ips"),
    *_attributes(_OWN, "router", "create update delete", "tags"),
    *_attributes(_SEE_OWN, "router", "get", "tags"),
)

_FLOATING_IPS = (
    *_rules(
        _OWN,
        "create_floatingip",
        "update_floatingip",
        "delete_floatingip",
        about="Make, change and delete a floating IP.",
    ),
    Rule("get_floatingip", _SEE_OWN, "See a floating IP."),
    *_attributes(_any(_ADMIN, _MANAGER), "floatingip", "create", "floating_ip_address"),
    *_attributes(_OWN, "floatingip", "create update delete", "tags"),
    *_attributes(_SEE_OWN, "floatingip", "get", "tags"),
)

_SECURITY_GROUPS = (
    *_rules(
        _OWN,
        "create_security_group",
        "update_security_group",
        "delete_security_group",
        about="Make, change and delete a security group.",
    ),
    Rule("get_security_group", _SEE_OWN, "See a security group."),
    *_attributes(_OWN, "security_group", "create update delete", "tags"),
    *_attributes(_SEE_OWN, "security_group", "get", "tags"),
    *_rules(
        _any(_ADMIN, _GROUP_MEMBER),
        "create_security_group_rule",
        "delete_security_group_rule",
        about="Make and delete a rule of a security group.",
    ),
    Rule("get_security_group_rule", _any(_ADMIN, _GROUP_READER), "See a rule of a security group."),
)

_OTHERS = (
    Rule("get_quota", _any(_ADMIN, _MANAGER), "See a project's quotas."),
    *_rules(_ADMIN, "update_quota", "delete_quota", about="Change a project's quotas."),
    Rule("get_agent", _ADMIN, "See the agents."),
    Rule("get_availability_zone", "role:reader", "See the availability zones."),
    Rule("get_service_provider", "role:reader", "See the service providers."),
    Rule("get_network_ip_availability", _any(_ADMIN, _SERVICE), "See how many addresses networks have left."),
    Rule("get_network_api", "@", "See the API's resources and extensions.", ()),
)

POLICIES: tuple[Rule, ...] = (
    *_NETWORKS,
    *_SUBNETS,
    *_PORTS,
    *_ROUTERS,
    *_FLOATING_IPS,
    *_SECURITY_GROUPS,
    *_OTHERS,
)
