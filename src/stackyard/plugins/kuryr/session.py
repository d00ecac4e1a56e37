"""One call of Docker's: its transaction, the project that it acts in, and the network API in that project's name."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict, InvalidField, NotFound
from stackyard.core.runtime import Runtime
from stackyard.plugins.kuryr import names
from stackyard.plugins.project import find_project, network_api
from stackyard.services.network.api import Inward

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True)
class Session:
    """What a call has to work with.

    `neutron` sees and may do what a member of the project sees and may; `service` is for what Neutron lets only an
    administrator do (profiles, sharing, tags and MACs on networks of others); nothing is looked for with it.
    """

    tx: Transaction
    runtime: Runtime
    project_id: str
    neutron: Inward
    service: Inward

    def network(self, docker_id: str) -> dict[str, Any] | None:
        """The network that a network of Docker is, by its tags."""
        return _one("networks", self.neutron.list("networks", tags=",".join(names.id_tags(docker_id))))

    def joined_network(self, docker_id: str) -> dict[str, Any]:
        """The same; raises NotFound when there is none."""
        found = self.network(docker_id)
        if found is None:
            raise NotFound(f"There is no network with the tags {', '.join(names.id_tags(docker_id))}.")
        return found

    def port(self, network: Mapping[str, Any], endpoint_id: str) -> dict[str, Any] | None:
        """The port of an endpoint on a network, by its tags."""
        tags = ",".join(names.id_tags(endpoint_id))
        return _one("ports", self.neutron.list("ports", network_id=network["id"], tags=tags))

    def named(self, noun: str, name: str) -> dict[str, Any]:
        """The only resource of that name; raises NotFound, Conflict."""
        found = _one(f"{noun}s", self.neutron.list(f"{noun}s", name=name))
        if found is None:
            raise NotFound(f"There is no {noun} named {name}.")
        return found


def _one(what: str, found: list[dict[str, Any]]) -> dict[str, Any] | None:
    if len(found) > 1:
        raise Conflict(f"There are {len(found)} {what} where one is meant: {', '.join(row['id'] for row in found)}.")
    return found[0] if found else None


def open_session(tx: Transaction, runtime: Runtime) -> Session:
    """A session of the configured project; raises Conflict when there is no such project."""
    wanted = runtime.settings.kuryr.project
    project = find_project(tx, wanted)
    if project is None:
        raise Conflict(f"There is no project '{wanted}' in use for Docker's networks; name another: kuryr.project.")
    member = network_api(tx, runtime, project, "kuryr", "member", "reader")
    service = network_api(tx, runtime, project, "kuryr", "admin", "member", "reader", "service")
    return Session(tx, runtime, project.id, member, service)


def read_network(field: str, text: str) -> IPNetwork:
    """A CIDR without host bits; raises InvalidField."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise InvalidField(field, f"{error}.") from None


def read_interface(field: str, text: str) -> IPInterface:
    """An address, with or without its prefix length; raises InvalidField."""
    try:
        return ipaddress.ip_interface(text)
    except ValueError as error:
        raise InvalidField(field, f"{error}.") from None


def read_options(given: Mapping[str, Any] | None) -> dict[str, str]:
    """Options of ours as texts; raises InvalidField for one that begins like ours and is not known, or is no text."""
    found = {}
    for name, value in (given or {}).items():
        if not name.startswith("neutron."):
            continue
        if name not in names.NETWORK_OPTIONS:
            raise InvalidField(name, f"there is no such option; there are {', '.join(sorted(names.NETWORK_OPTIONS))}.")
        if not isinstance(value, str) or len(value) > 255:
            raise InvalidField(name, "it must be a text of at most 255 characters.")
        if value:
            found[name] = value
    return found


def read_flag(name: str, text: str) -> bool:
    """A yes or no as Kuryr reads it; raises InvalidField."""
    word = text.strip().lower()
    if word in ("1", "t", "true", "on", "y", "yes"):
        return True
    if word in ("0", "f", "false", "off", "n", "no", ""):
        return False
    raise InvalidField(name, f"'{text}' is neither true nor false.")
