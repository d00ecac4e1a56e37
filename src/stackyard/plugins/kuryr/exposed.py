"""Ports of containers that others may reach: what an image exposes, what `--expose` and `-p` name.

They become ingress rules of a security group of the port's own. Published ones are also noted in the port's binding
profile, from which `forwarding` knows which ports of this host lead where, also after a start.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from stackyard.core.body import convert
from stackyard.core.errors import Conflict, InvalidField, NotFound
from stackyard.plugins.kuryr import names
from stackyard.plugins.kuryr.bodies import EndpointOnly, ExposedPort, ExternalConnectivity, PublishedPort
from stackyard.plugins.kuryr.session import Session
from stackyard.services.network import api as network_api

PUBLISHED = "published"
"""The key of published ports in a port's binding profile."""


def program(session: Session, body: ExternalConnectivity) -> bool:
    """/NetworkDriver.ProgramExternalConnectivity; returns whether something is published."""
    options = body.options or {}
    published = convert(options.get(names.PORT_MAP) or [], list[PublishedPort], f"Options.{names.PORT_MAP}")
    named = convert(options.get(names.EXPOSED_PORTS) or [], list[ExposedPort], f"Options.{names.EXPOSED_PORTS}")
    if not published and not named:
        return False
    network = session.joined_network(body.network_id)
    port = session.port(network, body.endpoint_id)
    if port is None:
        raise NotFound(f"There is no port of endpoint {body.endpoint_id}.")
    withdraw(session, port)
    _open(session, port, rules({(one.proto, one.port) for one in [*named, *published]}))
    if published:
        profile = session.service.show("port", port["id"])["binding:profile"]
        noted = {PUBLISHED: [_noted(one) for one in published]}
        session.service.update("port", port["id"], binding__profile={**profile, **noted})
    return bool(published)


def _noted(one: PublishedPort) -> dict[str, Any]:
    if one.proto not in (6, 17):
        raise InvalidField(
            "Proto", f"{names.PROTOCOLS.get(one.proto, one.proto)} cannot be published: tcp and udp can."
        )
    last = max(one.host_port_end, one.host_port)
    return {"protocol": names.PROTOCOLS[one.proto], "port": one.port, "host_ip": one.host_ip,
            "host_port": one.host_port, "host_port_end": last}  # fmt: skip


def rules(wanted: Iterable[tuple[int, int]]) -> list[dict[str, Any]]:
    """Ingress rules for these (protocol number, port): neighbouring ports are one rule."""
    found: list[dict[str, Any]] = []
    for number, port in sorted(set(wanted)):
        if number not in names.PROTOCOLS:
            raise InvalidField("Proto", f"{number} is not a protocol with ports: 6 (tcp), 17 (udp), 132 (sctp).")
        protocol = names.PROTOCOLS[number]
        last = found[-1] if found else {}
        if last.get("protocol") == protocol and last["port_range_max"] == port - 1:
            last["port_range_max"] = port
        else:
            ends = {"port_range_min": port, "port_range_max": port}
            found.append({"direction": "ingress", "protocol": protocol, **ends})
    return [{**rule, "ethertype": ethertype} for rule in found for ethertype in ("IPv4", "IPv6")]


def _open(session: Session, port: Mapping[str, Any], wanted: list[dict[str, Any]]) -> None:
    """Put a port into the group with these rules, which all that expose the same share: projects have few groups."""
    if not port["port_security_enabled"]:
        return
    text = ", ".join(f"{rule['protocol']} {rule['port_range_min']}-{rule['port_range_max']}" for rule in wanted[::2])
    name = names.EXPOSED_PREFIX + hashlib.sha256(text.encode()).hexdigest()[:12]
    try:
        group = str(network_api.find_security_group(session.tx, session.neutron.caller, name).id)
    except NotFound:
        group = network_api.create_security_group(
            session.tx, session.runtime, session.project_id, name,
            description=f"Docker exposed ports created by Kuryr: {text}"[:255], rules=wanted,
        )  # fmt: skip
    network_api.set_security_groups(session.tx, port["id"], [*_groups(session, port), group])


def _groups(session: Session, port: Mapping[str, Any]) -> list[str]:
    return list(session.neutron.show("port", port["id"])["security_groups"])


def revoke(session: Session, body: EndpointOnly) -> dict[str, Any]:
    """/NetworkDriver.RevokeExternalConnectivity. Gone is fine."""
    network = session.network(body.network_id)
    port = session.port(network, body.endpoint_id) if network is not None else None
    if port is not None:
        withdraw(session, port)
    return {}


def withdraw(session: Session, port: Mapping[str, Any]) -> None:
    """Take a port out of the group of its exposed ports; nothing of it is published any more."""
    now = _groups(session, port)
    found = [session.service.show("security_group", key) for key in now]
    ours = [group["id"] for group in found if group["name"].startswith(names.EXPOSED_PREFIX)]
    if ours:
        network_api.set_security_groups(session.tx, port["id"], [key for key in now if key not in ours])
    for key in ours:
        # Others may be in it, that expose the same.
        with contextlib.suppress(Conflict), session.tx.savepoint():
            network_api.delete_security_group(session.tx, session.runtime, key)
    profile = session.service.show("port", port["id"])["binding:profile"]
    if PUBLISHED in profile:
        kept = {key: value for key, value in profile.items() if key != PUBLISHED}
        session.service.update("port", port["id"], binding__profile=kept)
