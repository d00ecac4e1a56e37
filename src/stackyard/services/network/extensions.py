"""What clients may find out of the API itself: versions, resources, extensions."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound

_UPDATED = "2026-01-01T00:00:00-00:00"

EXTENSIONS: dict[str, tuple[str, str]] = {
    "agent": ("agent", "The agent management extension."),
    "agent-resources-synced": ("Agent's Resource View Synced to Placement", "Says so of agents"),
    "agent_sort_key": ("Agent sort keys", "Sorts agents"),
    "dhcp_agent_scheduler": ("DHCP Agent Scheduler", "Which DHCP agents serve which networks"),
    "l3_agent_scheduler": ("L3 Agent Scheduler", "Which L3 agents serve which routers"),
    "aap-reject-multicast": ("Reject multicast MACs in address pairs", "Address pairs have unicast MACs"),
    "allowed-address-pairs": ("Allowed Address Pairs", "Provides allowed address pairs"),
    "availability_zone": ("Availability Zone", "The availability zones of hosts."),
    "availability_zone_filter": ("Availability Zone Filter Extension", "Finds availability zones by their attributes"),
    "l2_adjacency": ("L2 Adjacency", "Says whether all ports of a network reach each other without a router."),
    "multi-provider": ("Multi Provider Network", "Networks of several segments"),
    "network-segment-range": ("Neutron Network Segment Range", "Ranges that networks get their numbers from"),
    "network_availability_zone": ("Network Availability Zone", "Availability zone hints of networks"),
    "segment": ("Segment", "Segments extension."),
    "standard-attr-segment": ("Standard Attribute Extension for segments", "Standard attributes of segments"),
    "vlan-transparent": ("Vlantransparent", "Provides Vlan Transparent Networks"),
    "binding": ("Port Binding", "Expose port bindings of a virtual port to external application"),
    "binding-extended": ("Port Bindings Extended", "Several bindings of a port, of which one is active"),
    "data-plane-status": ("Port data plane status extension", "Status of underlying data plane"),
    "dns-domain-ports": ("dns_domain for ports", "Allows the DNS domain to be specified for a network port."),
    "extra_dhcp_opt": ("Neutron Extra DHCP options", "DHCP options of single ports"),
    "ip_allocation": ("IP Allocation", "Says how a port got its addresses"),
    "port-device-profile": ("Port device profile", "Expose the port device profile (Cyborg)"),
    "port-hardware-offload-type": ("Port hardware offload", "Expose port hardware offload extension"),
    "port-hint-ovs-tx-steering": ("Port hint for OVS tx steering", "The hint tx-steering"),
    "port-hints": ("Port hints", "Hints for what serves a port"),
    "port-mac-address-regenerate": ("Neutron Port MAC address regenerate", "Network port MAC address regenerate"),
    "port-numa-affinity-policy": ("Port NUMA affinity policy", "Expose the port NUMA affinity policy"),
    "port-numa-affinity-policy-socket": ("Port NUMA affinity policy socket", "The NUMA affinity policy socket"),
    "port-resource-request": ("Port Resource Request", "What a port asks of placement"),
    "port-resource-request-groups": ("Port Resource Request Groups", "Several groups of resources and traits"),
    "port-trusted-vif": ("Port trusted vif", "Expose port 'trusted' attribute in the API"),
    "tag-ports-during-bulk-creation": ("Tag Ports During Bulk Creation", "Tags of ports as they are made"),
    "trunk": ("Trunk Extension", "Provides support for trunk ports"),
    "trunk-details": ("Trunk port details", "Expose trunk port details"),
    "uplink-status-propagation": ("Uplink status propagation extension", "Whether a port's link follows the uplink's"),
    "uplink-status-propagation-updatable": ("Uplink status propagation updatable extension", "And to change it"),
    "dns-integration": ("DNS Integration", "Names of ports, answered by the network's DNS."),
    "ext-gw-mode": ("Neutron L3 Configurable external gateway mode", "Router gateways with and without SNAT"),
    "external-net": ("Neutron external network", "Adds external network attribute to network resource."),
    "dvr": ("Distributed Virtual Router", "Keeps the flag distributed of routers."),
    "enable-default-route-ecmp": ("Default Route ECMP", "Routers use all their gateways, each for a part."),
    "expose-l3-conntrack-helper": ("Expose CT target rules for conntrack helper", "Shows them with their router"),
    "expose-port-forwarding-in-fip": ("Expose Floating IP port forwardings", "Shows them with their floating IP"),
    "external-gateway-multihoming": ("Neutron L3 External Gateway Multihoming", "Several gateways of a router"),
    "flavors": ("Neutron Service Flavors", "Flavor specification for Neutron advanced services."),
    "floating-ip-port-forwarding": ("Floating IP Port Forwarding", "Leads ports of a floating IP to several machines"),
    "floating-ip-port-forwarding-description": ("Floating IP Port Forwarding new field description", "Describes them"),
    "floating-ip-port-forwarding-detail": ("Floating IP port forwarding detail", "Shows their ids in floating IPs"),
    "floating-ip-port-forwarding-port-ranges": ("Floating IP Port Forwarding support port ranges", "Leads on ranges"),
    "floatingip-autodelete-internal": ("Autodelete floating IPs of internal networks", "Drops what nobody uses"),
    "floatingip-pools": ("Floating IP Pools Extension", "Provides a floating IP pools API."),
    "l3-conntrack-helper": ("L3 Conntrack helper", "Conntrack helpers of routers"),
    "l3-ext-ndp-proxy": ("Router enable_ndp_proxy", "Lets a router answer for IPv6 addresses behind it"),
    "l3-flavors": ("Router Flavor Extension", "Flavor support for routers."),
    "l3-ha": ("HA Router extension", "Keeps the flag ha of routers."),
    "l3-ndp-proxy": ("L3 NDP Proxy", "Router support for L3 NDP proxy."),
    "qos": ("Quality of Service", "QoS policies of networks and ports, with their rules"),
    "qos-bw-limit-direction": ("Direction for QoS bandwidth limit rule", "Limits what is sent and what is received"),
    "qos-bw-minimum-ingress": ("Ingress direction for QoS minimum bandwidth rule", "Promises in both directions"),
    "qos-default": ("QoS default policy", "The policy that new networks of a project get"),
    "qos-port-network-policy": ("QoS port network policy ID", "Shows the network's policy on ports"),
    "qos-pps": ("QoS Rule Type Packet per Second Extension", "Limits of packets a second"),
    "qos-pps-minimum": ("QoS minimum packet rate rule", "Promises of packets a second"),
    "qos-pps-minimum-rule-alias": ("QoS minimum packet rate rule alias", "Such rules by their ids alone"),
    "qos-rule-type-details": ("Details of QoS rule types", "What the types of rules take"),
    "qos-rule-type-filter": ("Allow to filter the list of QoS rule types", "all_rules and all_supported"),
    "qos-rules-alias": ("Quality of Service rules alias API", "Rules by their ids alone"),
    "qos-fip": ("Floating IP QoS", "QoS policies of floating IPs"),
    "qos-fip-network-policy": ("Floating IP QoS, the policy of the network", "Shows the external network's policy"),
    "qos-gateway-ip": ("Router gateway IP QoS", "QoS policies of routers' gateways"),
    "router-admin-state-down-before-update": ("Routers down before their kind changes", "Refuses it while they are up"),
    "router-enable-snat": ("Exposes the router enable_snat flag", "Shows whether a router hides tenants"),
    "router_availability_zone": ("Router Availability Zone", "Availability zone support for router."),
    "extraroute": ("Neutron Extra Route", "Extra routes configuration for L3 router"),
    "extraroute-atomic": ("Atomically add/remove extra routes", "Edit extra routes of a router by single routes"),
    "fip-port-details": ("Floating IP Port Details Extension", "Add port_details attribute to Floating IP resource"),
    "ip-substring-filtering": ("IP address substring filtering", "Finds ports by a part of an address"),
    "local_ip": ("Local IP", "Provides support for Local IPs"),
    "net-mtu": ("Network MTU", "Provides MTU attribute for a network resource."),
    "net-mtu-writable": ("Network MTU (writable)", "Provides a writable MTU attribute for a network resource."),
    "network-ip-availability": ("Network IP Availability", "Provides IP availability data for networks and subnets."),
    "network-ip-availability-details": ("Network IP Availability Details Extension", "Counts in and outside of pools"),
    "address-scope": ("Address scope", "Address scopes extension."),
    "auto-allocated-topology": ("Auto Allocated Topology Services", "Auto Allocated Topology Services."),
    "default-subnetpools": ("Default Subnetpools", "Marks a subnet pool as the default, and uses it."),
    "metering": ("Neutron Metering", "Neutron Metering extension."),
    "metering_source_and_destination_fields": (
        "Neutron Metering with source and destination filtering",
        "Rules on source and destination IP prefixes",
    ),
    "subnet-dns-publish-fixed-ip": ("Subnet DNS publish fixed IP", "Says whether to publish the names of a subnet"),
    "subnet-segmentid-enforce": ("Subnet SegmentID (policy enforced)", "Enforce segment_id policy rule."),
    "subnet-segmentid-writable": ("Subnet SegmentID (writable)", "Changes the segment of a subnet"),
    "subnet-service-types": ("Subnet service types", "Provides ability to set the subnet service_types field"),
    "subnet_allocation": ("Subnet Allocation", "Enables allocation of subnets from a subnet pool"),
    "subnet_onboard": ("Subnet Onboard", "Provides support for onboarding subnets into subnet pools"),
    "subnetpool-prefix-ops": ("Subnet Pool Prefix Operations", "Adds prefixes to subnet pools and removes them"),
    "pagination": ("Pagination support", "Pages by limit and marker"),
    "port-security": ("Port Security", "Provides port security"),
    "project-id": ("project_id field enabled", "Names the owner project_id as well as tenant_id"),
    "provider": ("Provider Network", "Expose mapping of virtual networks to physical networks"),
    "quotas": ("Quota management support", "Expose functions for quotas management per project"),
    "quota_details": ("Quota details management support", "Expose functions for quotas usage statistics per project"),
    "address-group": ("Address group", "Support address group"),
    "port-security-groups-filtering": ("Port filtering on security groups", "Filters ports by security groups"),
    "rbac-address-group": ("Add address_group type to RBAC", "Add address_group type to network RBAC"),
    "rbac-subnetpool": ("Add subnetpool type to RBAC", "Add subnetpool type to network RBAC"),
    "rbac-address-scope": ("Add address_scope type to RBAC", "Add address_scope type to RBAC"),
    "rbac-policies": ("RBAC Policies", "Allows creation and modification of policies that control project access."),
    "rbac-security-groups": ("Add security_group type to network RBAC", "Add security_group type to network RBAC"),
    "revision-if-match": ("If-Match constraints based on revision_number", "If-Match: revision_number=N"),
    "router": ("Neutron L3 Router", "Router abstraction with floating IPs"),
    "security-group": ("security-group", "The security groups extension."),
    "security-groups-default-rules": ("Default rules for security groups", "Rules for every new security group"),
    "security-groups-default-statefulness": (
        "Security Groups Default Statefulness",
        "Whether new security groups are stateful when nobody says, by project or for all",
    ),
    "security-groups-remote-address-group": (
        "Remote address group id field for security group rules",
        "Rules that name address groups",
    ),
    "security-groups-rules-belongs-to-default-sg": (
        "Security group rule belongs to the project's default security group",
        "Says which rules are those of default groups",
    ),
    "security-groups-shared-filtering": ("Security group filtering on the shared field", "Filters groups by shared"),
    "security-groups-normalized-cidr": ("Normalized CIDR field for security group rules", "Adds normalized_cidr"),
    "service-type": ("Neutron Service Type Management", "The service providers"),
    "sorting": ("Sorting support", "Sorts by any attributes"),
    "standard-attr-description": ("standard-attr-description", "Descriptions of all resources"),
    "standard-attr-revisions": ("Resource revision numbers", "Revision numbers of all resources"),
    "standard-attr-tag": ("Tag support for resources with standard attribute", "Tags of all resources"),
    "standard-attr-timestamp": ("Resource timestamps", "Adds created_at and updated_at"),
    "stateful-security-group": ("Stateful security group", "Says that a security group is stateful"),
    "tag": ("Tag support", "Tags of networks"),
    "tag-ext": ("Tag support for resources: subnet, port, router", "Tags of further resources"),
    "subnet-external-network": ("Subnet belongs to an external network", "Adds router:external to subnets"),
}
"""Alias -> name and description, of what is served and nothing else."""

_COLLECTIONS = ("networks", "subnets", "ports", "routers", "floatingips", "security-groups", "security-group-rules",
                "segments", "network_segment_ranges", "trunks",
                "rbac-policies", "address-groups",
                "default-security-group-rules", "quotas", "agents", "availability_zones", "service-providers",
                "network-ip-availabilities", "subnetpools", "address-scopes",
                "floatingip_pools", "local_ips", "ndp_proxies", "flavors", "service_profiles",
                "extensions")  # fmt: skip


def versions(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /."""
    del tx
    links = [{"rel": "self", "href": call.url("/v2.0/")}]
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]}


def collections(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v2.0/."""
    del tx
    return {
        "resources": [
            {
                "name": name[:-3] + "y" if name.endswith("ies") else name[:-1],
                "collection": name,
                "links": [{"rel": "self", "href": call.url(f"/v2.0/{name}")}],
            }
            for name in _COLLECTIONS
        ]
    }


def _view(alias: str) -> dict[str, Any]:
    name, description = EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": description, "updated": _UPDATED, "links": []}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v2.0/extensions."""
    del tx, call
    return {"extensions": [_view(alias) for alias in EXTENSIONS]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /v2.0/extensions/{alias}; raises ExtensionNotFound."""
    del tx
    alias = call.path["alias"]
    if alias not in EXTENSIONS:
        raise NotFound(f"Extension with alias {alias} does not exist", kind="ExtensionsNotFound")
    return {"extension": _view(alias)}
