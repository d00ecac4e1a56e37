"""The calls on floating IPs and their pools, and who may make them."""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network.checks import ADMIN, MANAGER, OWN, SEE_OWN, any_of, attributes, rules
from stackyard.services.network.floatingips import operations as floatingips
from stackyard.services.network.floatingips import pools

_PATH = "/v2.0/floatingips/{floatingip_id}"

ROUTES = (
    Route("GET", "/v2.0/floatingips", floatingips.list_, "get_network_api"),
    Route("POST", "/v2.0/floatingips", floatingips.create, "create_floatingip", body=dict, status=201),
    Route("GET", _PATH, floatingips.show, "get_floatingip", target=floatingips.load),
    Route("PUT", _PATH, floatingips.update, "update_floatingip", target=floatingips.load,
          body=floatingips.FloatingFields, envelope="floatingip"),
    Route("DELETE", _PATH, floatingips.delete, "delete_floatingip", target=floatingips.load, status=204),
    Route("GET", "/v2.0/floatingip_pools", pools.list_, "get_floatingip_pool"),
)  # fmt: skip

POLICIES = (
    *rules(
        OWN,
        "create_floatingip",
        "update_floatingip",
        "delete_floatingip",
        about="Make, change and delete a floating IP.",
    ),
    Rule("get_floatingip", SEE_OWN, "See a floating IP."),
    *attributes(any_of(ADMIN, MANAGER), "floatingip", "create", "floating_ip_address"),
    *attributes(OWN, "floatingip", "create update delete", "tags"),
    *attributes(SEE_OWN, "floatingip", "get", "tags"),
    Rule("get_floatingip_pool", "role:reader", "See the pools that floating IPs come from."),
)
