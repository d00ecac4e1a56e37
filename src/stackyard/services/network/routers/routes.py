"""The calls on routers, and who may make them."""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network.checks import ADMIN, OWN, SEE_OWN, attributes, rules
from stackyard.services.network.routers import operations as routers
from stackyard.services.network.routers.bodies import GatewayList, InterfaceBody, RouteList, RouterFields

_PATH = "/v2.0/routers/{router_id}"

ROUTES = (
    Route("GET", "/v2.0/routers", routers.list_, "get_network_api"),
    Route("POST", "/v2.0/routers", routers.create, "create_router", body=dict, status=201),
    Route("GET", _PATH, routers.show, "get_router", target=routers.load),
    Route("PUT", _PATH, routers.update, "update_router", target=routers.load, body=RouterFields, envelope="router"),
    Route("DELETE", _PATH, routers.delete, "delete_router", target=routers.load, status=204),
    Route("PUT", f"{_PATH}/add_router_interface", routers.add_interface, "add_router_interface", target=routers.load,
          body=InterfaceBody),
    Route("PUT", f"{_PATH}/remove_router_interface", routers.remove_interface, "remove_router_interface",
          target=routers.load, body=InterfaceBody),
    Route("PUT", f"{_PATH}/add_extraroutes", routers.add_routes, "add_extraroutes", target=routers.load,
          body=RouteList, envelope="router"),
    Route("PUT", f"{_PATH}/remove_extraroutes", routers.remove_routes, "remove_extraroutes", target=routers.load,
          body=RouteList, envelope="router"),
    Route("PUT", f"{_PATH}/add_external_gateways", routers.add_gateways, "add_external_gateways",
          target=routers.load, body=GatewayList, envelope="router"),
    Route("PUT", f"{_PATH}/update_external_gateways", routers.update_gateways, "update_external_gateways",
          target=routers.load, body=GatewayList, envelope="router"),
    Route("PUT", f"{_PATH}/remove_external_gateways", routers.remove_gateways, "remove_external_gateways",
          target=routers.load, body=GatewayList, envelope="router"),
)  # fmt: skip

_GATEWAY = "external_gateway_info"
_GATEWAYS = "external_gateways"


def _gateway_rules(action: str) -> tuple[Rule, ...]:
    """The rules on single attributes of gateways that are added or changed."""
    about = "The attribute {} of a router's gateways: set it."
    return tuple(
        Rule(f"{action}:{_GATEWAYS}{ending}", check, about.format(ending.lstrip(":") or _GATEWAYS))
        for ending, check in (("", OWN), (":network_id", OWN), (":enable_snat", ADMIN), (":external_fixed_ips", ADMIN))
    )


POLICIES = (
    *rules(
        OWN,
        "create_router",
        "update_router",
        "delete_router",
        "add_router_interface",
        "remove_router_interface",
        "add_extraroutes",
        "remove_extraroutes",
        "add_external_gateways",
        "update_external_gateways",
        "remove_external_gateways",
        f"remove_external_gateways:{_GATEWAYS}",
        about="Make, change and delete a router, its interfaces, gateways and routes.",
    ),
    *_gateway_rules("add_external_gateways"),
    *_gateway_rules("update_external_gateways"),
    Rule("get_router", SEE_OWN, "See a router."),
    *attributes(ADMIN, "router", "create update get", "distributed", "ha"),
    *attributes(ADMIN, "router", "create update", "enable_default_route_bfd", "enable_default_route_ecmp"),
    *attributes(OWN, "router", "create update", _GATEWAY, f"{_GATEWAY}:network_id"),
    *attributes(ADMIN, "router", "create update", f"{_GATEWAY}:enable_snat", f"{_GATEWAY}:external_fixed_ips"),
    *attributes(OWN, "router", "create update delete", "tags"),
    *attributes(SEE_OWN, "router", "get", "tags"),
)
