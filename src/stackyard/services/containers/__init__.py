"""Containers: Zun's API, version 1, microversions 1.1 to 1.40, over this host's container engine.

An operation writes what is wanted (containers/), the reconciler brings it about (reconcile/).
"""

from __future__ import annotations

from stackyard.core.microversion import Microversion, MicroversionRange
from stackyard.core.routes import PUBLIC, Route, Service
from stackyard.services.containers import (
    action_log,
    capsules,
    engine_networks,
    hosts,
    images,
    quotas,
    registries,
    versions,
)
from stackyard.services.containers.containers import actions, commit, console, create, finding, interfaces, operations
from stackyard.services.containers.containers.bodies import Update, create_body
from stackyard.services.containers.faults import fault
from stackyard.services.containers.policies import POLICIES


def _v(minor: int) -> Microversion:
    return Microversion(1, minor)


_ONE = "/v1/containers/{container}"
_IT = {"target": finding.load}
_ACT = {"target": finding.load, "status": 202, "body": dict}
_LOOK = {"target": finding.load, "edge": True}
_OF_PROJECT = {"target": quotas.target, "since": _v(26)}

ROUTES = (
    Route("GET", "/", versions.root, PUBLIC),
    Route("GET", "/v1", versions.v1, PUBLIC),
    # containers
    Route("GET", "/v1/containers", operations.list_, "container:get_all"),
    Route("POST", "/v1/containers", create.create, "container:create", status=202, body=create_body),
    Route("GET", _ONE, operations.show, "container:get_one", **_IT),
    Route("PATCH", _ONE, operations.patch, "container:update", body=Update, **_IT),
    Route("DELETE", _ONE, operations.delete, "container:delete", status=204, **_IT),
    Route("POST", f"{_ONE}/start", actions.start, "container:start", **_ACT),
    Route("POST", f"{_ONE}/stop", actions.stop, "container:stop", **_ACT),
    Route("POST", f"{_ONE}/reboot", actions.reboot, "container:reboot", **_ACT),
    Route("POST", f"{_ONE}/pause", actions.pause, "container:pause", **_ACT),
    Route("POST", f"{_ONE}/unpause", actions.unpause, "container:unpause", **_ACT),
    Route("POST", f"{_ONE}/rebuild", actions.rebuild, "container:rebuild", **_ACT),
    Route("POST", f"{_ONE}/rename", operations.rename, "container:rename", body=dict, until=_v(13), **_IT),
    Route(
        "POST",
        f"{_ONE}/resize_container",
        operations.resize,
        "container:resize_container",
        body=Update,
        since=_v(19),
        **_IT,
    ),
    Route("POST", f"{_ONE}/commit", commit.commit, "container:commit", **_ACT),
    Route("POST", f"{_ONE}/kill", console.kill, "container:kill", **_LOOK),
    Route("GET", f"{_ONE}/logs", console.logs, "container:logs", **_LOOK),
    Route("POST", f"{_ONE}/execute", console.execute, "container:execute", **_LOOK),
    Route("POST", f"{_ONE}/execute_resize", console.no_terminal, "container:execute_resize", **_LOOK),
    Route("POST", f"{_ONE}/resize", console.no_terminal, "container:resize", **_LOOK),
    Route("GET", f"{_ONE}/attach", console.no_terminal, "container:attach", **_LOOK),
    Route("GET", f"{_ONE}/top", console.top, "container:top", **_LOOK),
    Route("GET", f"{_ONE}/stats", console.stats, "container:stats", **_LOOK),
    Route("GET", f"{_ONE}/get_archive", console.get_archive, "container:get_archive", **_LOOK),
    Route("POST", f"{_ONE}/put_archive", console.put_archive, "container:put_archive", **_LOOK),
    Route("GET", f"{_ONE}/network_list", interfaces.list_, "container:network_list", since=_v(13), **_IT),
    Route("POST", f"{_ONE}/network_attach", interfaces.attach, "container:network_attach", since=_v(8), **_ACT),
    Route("POST", f"{_ONE}/network_detach", interfaces.detach, "container:network_detach", since=_v(6), **_ACT),
    Route(
        "POST", f"{_ONE}/add_security_group", interfaces.add_group, "container:add_security_group", until=_v(14), **_ACT
    ),
    Route(
        "POST",
        f"{_ONE}/remove_security_group",
        interfaces.remove_group,
        "container:remove_security_group",
        until=_v(14),
        **_ACT,
    ),
    Route("GET", f"{_ONE}/container_actions", action_log.list_, "container:actions", **_IT),
    Route("GET", f"{_ONE}/container_actions/{{request_id}}", action_log.show, "container:actions", **_IT),
    # images, hosts, services
    Route("GET", "/v1/images", images.list_, "image:get_all", edge=True),
    Route("POST", "/v1/images", images.pull, "image:pull", edge=True),
    Route("GET", "/v1/images/{image}", images.show, "image:get_one", edge=True),
    Route("DELETE", "/v1/images/{image}", images.delete, "image:delete", edge=True),
    Route("GET", "/v1/images/{name}/search", images.search, "image:search", edge=True),
    Route("GET", "/v1/hosts", hosts.list_hosts, "host:get_all", edge=True, since=_v(4)),
    Route("GET", "/v1/hosts/{host}", hosts.show_host, "host:get", edge=True, since=_v(4)),
    Route("GET", "/v1/services", hosts.list_services, "zun-service:get_all"),
    Route("DELETE", "/v1/services", hosts.delete_service, "zun-service:delete", status=204),
    Route("PUT", "/v1/services/enable", hosts.enable, "zun-service:enable", body=dict),
    Route("PUT", "/v1/services/disable", hosts.disable, "zun-service:disable", body=dict),
    Route("PUT", "/v1/services/force_down", hosts.force_down, "zun-service:force_down", body=dict),
    Route("GET", "/v1/availability_zones", hosts.list_zones, "availability_zones:get_all"),
    # quotas
    Route("GET", "/v1/quotas", quotas.show, "quota:get", **_OF_PROJECT),
    Route("GET", "/v1/quotas/{project_id}", quotas.show, "quota:get", **_OF_PROJECT),
    Route("GET", "/v1/quotas/{project_id}/defaults", quotas.defaults, "quota:get_default", **_OF_PROJECT),
    Route("PUT", "/v1/quotas/{project_id}", quotas.put, "quota:update", body=quotas.QuotaBody, **_OF_PROJECT),
    Route("DELETE", "/v1/quotas/{project_id}", quotas.delete, "quota:delete", status=204, **_OF_PROJECT),
    Route("GET", "/v1/quota_classes/{name}", quotas.show_class, "quota_class:get", since=_v(26)),
    Route(
        "PUT",
        "/v1/quota_classes/{name}",
        quotas.put_class,
        "quota_class:update",
        body=quotas.QuotaBody,
        since=_v(26),
    ),
    # registries
    Route("GET", "/v1/registries", registries.list_, "registry:get_all", since=_v(30)),
    Route(
        "POST",
        "/v1/registries",
        registries.create,
        "registry:create",
        status=201,
        body=registries.Fields,
        envelope="registry",
        since=_v(30),
    ),
    Route(
        "GET", "/v1/registries/{registry}", registries.show, "registry:get_one", target=registries.load, since=_v(30)
    ),
    Route(
        "PATCH",
        "/v1/registries/{registry}",
        registries.update,
        "registry:update",
        body=registries.Fields,
        envelope="registry",
        target=registries.load,
        since=_v(30),
    ),
    Route(
        "DELETE",
        "/v1/registries/{registry}",
        registries.delete,
        "registry:delete",
        status=204,
        target=registries.load,
        since=_v(30),
    ),
    # the engine's networks, capsules
    Route("POST", "/v1/networks", engine_networks.create, "network:create", body=engine_networks.NetworkBody),
    Route("DELETE", "/v1/networks/{network}", engine_networks.delete, "network:delete", status=204, since=_v(27)),
    Route("GET", "/v1/capsules", capsules.refuse, "capsule:get_all"),
    Route("POST", "/v1/capsules", capsules.refuse, "capsule:create"),
    Route("GET", "/v1/capsules/{capsule}", capsules.refuse, "capsule:get"),
    Route("DELETE", "/v1/capsules/{capsule}", capsules.refuse, "capsule:delete"),
)

SERVICE = Service(
    type="container",
    name="zun",
    mount="/container",
    classic_port=9517,
    catalog_path="/v1",
    routes=ROUTES,
    policies=POLICIES,
    fault=fault,
    microversions=MicroversionRange("container", _v(1), _v(40)),
)
