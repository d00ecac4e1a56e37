"""What `forwarding` is to listen for, from the ports' rows and back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, Conflict
from stackyard.core.runtime import Runtime
from stackyard.plugins.kuryr import exposed, names
from stackyard.plugins.kuryr.bodies import EndpointOnly
from stackyard.plugins.kuryr.forwarding import Forwarder, Published
from stackyard.plugins.kuryr.session import Session, open_session
from stackyard.services import keys
from stackyard.services.network import api as network_api

log = logging.getLogger("stackyard.kuryr")


def publish(runtime: Runtime, forwarder: Forwarder, endpoint: EndpointOnly) -> None:
    """Listen for what an endpoint's port has noted, and note what has become of it; when that cannot be, withdraw it.

    Raises Conflict.
    """
    wanted = runtime.database.read("kuryr.published", _of_endpoint, runtime, endpoint.endpoint_id)
    try:
        for one in wanted:
            if network_api.entrance(runtime, one.network_id) is None:
                raise Conflict(f"Network {one.network_id} has no DHCP server, by which published ports are reached.")
        found = forwarder.open(endpoint.endpoint_id, wanted)
        if found != wanted:
            runtime.database.write("kuryr.note", _note, runtime, endpoint.endpoint_id, found)
    except BaseException:
        forwarder.close(endpoint.endpoint_id)
        runtime.database.write("kuryr.withdraw", _withdraw, runtime, endpoint)
        raise


def restore(runtime: Runtime, forwarder: Forwarder) -> None:
    """After a start: listen for everything that was published before, as far as its ports are free."""
    try:
        known = runtime.database.read("kuryr.published", _all, runtime)
    except ApiError as error:
        log.warning("published ports are not looked for", extra={"reason": error.message})
        return
    for endpoint_id, wanted in known.items():
        try:
            forwarder.open(endpoint_id, wanted)
        except Conflict as error:
            log.warning("a published port is lost", extra={"endpoint": endpoint_id, "reason": error.message})


def _of_endpoint(tx: Transaction, runtime: Runtime, endpoint_id: str) -> list[Published]:
    session = open_session(tx, runtime)
    return [one for port in _ports(session, device_id=endpoint_id) for one in _published(port)]


def _ports(session: Session, **query: str) -> list[dict[str, Any]]:
    found = session.service.list("ports", device_owner=names.DEVICE_OWNER, project_id=session.project_id, **query)
    return [port for port in found if exposed.PUBLISHED in port["binding:profile"]]


def _published(port: Mapping[str, Any]) -> list[Published]:
    addresses = sorted((item["ip_address"] for item in port["fixed_ips"]), key=lambda text: ":" in text)
    return [
        Published(
            protocol=noted["protocol"], host_ip=noted["host_ip"], host_port=noted["host_port"],
            host_port_end=noted["host_port_end"], network_id=port["network_id"], address=addresses[0],
            port=noted["port"],
        )
        for noted in port["binding:profile"][exposed.PUBLISHED]
    ]  # fmt: skip


def _all(tx: Transaction, runtime: Runtime) -> dict[str, list[Published]]:
    session, host = open_session(tx, runtime), runtime[keys.HOST_NAME]
    return {port["device_id"]: _published(port) for port in _ports(session, **{"binding:host_id": host})}


def _note(tx: Transaction, runtime: Runtime, endpoint_id: str, found: list[Published]) -> None:
    session = open_session(tx, runtime)
    for port in _ports(session, device_id=endpoint_id):
        noted = [
            {"protocol": one.protocol, "port": one.port, "host_ip": one.host_ip, "host_port": one.host_port,
             "host_port_end": one.host_port}
            for one in found
        ]  # fmt: skip
        profile = {**port["binding:profile"], exposed.PUBLISHED: noted}
        session.service.update("port", port["id"], binding__profile=profile)


def _withdraw(tx: Transaction, runtime: Runtime, endpoint: EndpointOnly) -> None:
    exposed.revoke(open_session(tx, runtime), endpoint)
