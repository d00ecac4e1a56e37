"""The network service: Neutron's API, version 2.0.

Read ROUTES first; each noun has a module or folder of its name. An operation writes what is wanted; `reconcile` has the
host's network driver make it so, from the specs that `specs` builds out of rows. Other services use `api`.
"""

from __future__ import annotations

from stackyard.core.routes import PUBLIC, Route, Service
from stackyard.services.network import (
    address_scopes,
    agents,
    auto_allocation,
    availability,
    conntrack_helpers,
    default_rules,
    default_statefulness,
    extensions,
    ndp_proxies,
    quotas,
    tags,
)
from stackyard.services.network.address_groups import operations as address_groups
from stackyard.services.network.faults import fault
from stackyard.services.network.flavors import operations as flavors
from stackyard.services.network.floatingips import routes as floatingips
from stackyard.services.network.local_ips import operations as local_ips
from stackyard.services.network.metering import operations as metering
from stackyard.services.network.networks import operations as networks
from stackyard.services.network.networks.bodies import NetworkFields
from stackyard.services.network.policies import POLICIES
from stackyard.services.network.port_forwardings import operations as port_forwardings
from stackyard.services.network.ports import bindings as port_bindings
from stackyard.services.network.ports import operations as ports
from stackyard.services.network.ports.bodies import PortChanges
from stackyard.services.network.qos import routes as qos
from stackyard.services.network.rbac import routes as rbac
from stackyard.services.network.routers import routes as routers
from stackyard.services.network.security_groups import operations as groups
from stackyard.services.network.security_groups import rules as group_rules
from stackyard.services.network.security_groups.bodies import GroupFields
from stackyard.services.network.segments import operations as segments
from stackyard.services.network.segments import ranges as segment_ranges
from stackyard.services.network.subnetpools import operations as subnetpools
from stackyard.services.network.subnets import operations as subnets
from stackyard.services.network.subnets.bodies import SubnetFields
from stackyard.services.network.trunks import operations as trunks

_NETWORK = "/v2.0/networks/{network_id}"
_SUBNET = "/v2.0/subnets/{subnet_id}"
_PORT = "/v2.0/ports/{port_id}"
_GROUP = "/v2.0/security-groups/{security_group_id}"
_RULE = "/v2.0/security-group-rules/{security_group_rule_id}"

# Lists need no rule on a target: what they show is what the caller may see.
_LIST = "get_network_api"

_QUOTA = "/v2.0/quotas/{project_id}"

ROUTES = (
    Route("GET", "/", extensions.versions, PUBLIC),
    Route("GET", "/v2.0", extensions.collections, PUBLIC),
    Route("GET", "/v2.0/extensions", extensions.list_, _LIST),
    Route("GET", "/v2.0/extensions/{alias}", extensions.show, _LIST),
    Route("GET", "/v2.0/networks", networks.list_, _LIST),
    Route("POST", "/v2.0/networks", networks.create, "create_network", body=dict, status=201),
    Route("GET", _NETWORK, networks.show, "get_network", target=networks.load),
    Route("PUT", _NETWORK, networks.update, "update_network", target=networks.load, body=NetworkFields,
          envelope="network"),
    Route("DELETE", _NETWORK, networks.delete, "delete_network", target=networks.load, status=204),
    Route("GET", "/v2.0/subnets", subnets.list_, _LIST),
    Route("POST", "/v2.0/subnets", subnets.create, "create_subnet", body=dict, target=subnets.load_new, status=201),
    Route("GET", _SUBNET, subnets.show, "get_subnet", target=subnets.load),
    Route("PUT", _SUBNET, subnets.update, "update_subnet", target=subnets.load, body=SubnetFields, envelope="subnet"),
    Route("DELETE", _SUBNET, subnets.delete, "delete_subnet", target=subnets.load, status=204),
    Route("GET", "/v2.0/ports", ports.list_, _LIST),
    Route("POST", "/v2.0/ports", ports.create, "create_port", body=dict, target=ports.load_new, status=201),
    Route("GET", _PORT, ports.show, "get_port", target=ports.load),
    Route("PUT", _PORT, ports.update, "update_port", target=ports.load, body=PortChanges, envelope="port"),
    Route("DELETE", _PORT, ports.delete, "delete_port", target=ports.load, status=204),
    *routers.ROUTES,
    *conntrack_helpers.ROUTES,
    *ndp_proxies.ROUTES,
    *floatingips.ROUTES,
    *port_forwardings.ROUTES,
    *local_ips.ROUTES,
    *flavors.ROUTES,
    Route("GET", "/v2.0/security-groups", groups.list_, _LIST, edge=True),
    Route("POST", "/v2.0/security-groups", groups.create, "create_security_group", body=dict, status=201),
    Route("GET", _GROUP, groups.show, "get_security_group", target=groups.load),
    Route("PUT", _GROUP, groups.update, "update_security_group", target=groups.load, body=GroupFields,
          envelope="security_group"),
    Route("DELETE", _GROUP, groups.delete, "delete_security_group", target=groups.load, status=204),
    Route("GET", "/v2.0/security-group-rules", group_rules.list_, _LIST, edge=True),
    Route("POST", "/v2.0/security-group-rules", group_rules.create, "create_security_group_rule", body=dict,
          target=group_rules.load_new, status=201),
    Route("GET", _RULE, group_rules.show, "get_security_group_rule", target=group_rules.load),
    Route("DELETE", _RULE, group_rules.delete, "delete_security_group_rule", target=group_rules.load, status=204),
    Route("GET", "/v2.0/quotas", quotas.list_, "update_quota"),
    Route("GET", "/v2.0/quotas/tenant", quotas.own_project, _LIST),
    Route("GET", "/v2.0/quotas/project", quotas.own_project, _LIST),
    Route("GET", _QUOTA, quotas.show, "get_quota", target=quotas.load),
    Route("GET", f"{_QUOTA}/default", quotas.default, "get_quota", target=quotas.load),
    Route("GET", f"{_QUOTA}/details", quotas.details, "get_quota", target=quotas.load),
    Route("GET", f"{_QUOTA}/details.json", quotas.details, "get_quota", target=quotas.load),
    Route("PUT", _QUOTA, quotas.update, "update_quota", target=quotas.load, body=dict),
    Route("DELETE", _QUOTA, quotas.delete, "delete_quota", target=quotas.load, status=204),
    *agents.ROUTES,
    *availability.ROUTES,
    *qos.ROUTES,
    *rbac.ROUTES,
    *address_groups.ROUTES,
    *default_rules.ROUTES,
    *default_statefulness.ROUTES,
    *port_bindings.ROUTES,
    *trunks.ROUTES,
    *segments.ROUTES,
    *segment_ranges.ROUTES,
    *subnetpools.ROUTES,
    *address_scopes.ROUTES,
    *auto_allocation.ROUTES,
    *metering.ROUTES,
    *tags.routes(),
)  # fmt: skip

SERVICE = Service(
    type="network",
    name="neutron",
    mount="/network",
    classic_port=9696,
    routes=ROUTES,
    policies=POLICIES,
    fault=fault,
)
