"""What can only be looked at: a server's addresses, its topology, the password that the guest has made."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.guests import password
from stackyard.services.compute.rules import ADMIN, MEMBER, READER
from stackyard.services.compute.servers import finding, tasks
from stackyard.services.compute.servers.facts import Facts


def addresses(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../ips."""
    finding.refuse_query(call)
    return {"addresses": _addresses(tx, call)}


def addresses_on(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../ips/{network}: those on the network of this name."""
    finding.refuse_query(call)
    found = _addresses(tx, call)
    label = call.path["network"]
    if label not in found:
        raise NotFound("Instance is not a member of specified network")
    return {label: found[label]}


def _addresses(tx: Transaction, call: Call) -> dict[str, Any]:
    return Facts.read(tx, call, [call.target.id]).addresses(call.target, extended=False)


def topology(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../topology: servers here have one node, which is not told apart."""
    del tx, call
    return {"nodes": [], "pagesize_kb": None}


def show_password(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../os-server-password: what the guest has encrypted for the owner's key."""
    del tx
    finding.refuse_query(call)
    return {"password": password.read(call.target.system_metadata)}


def clear_password(tx: Transaction, call: Call) -> None:
    """DELETE .../os-server-password: it is forgotten here; the guest's own stays."""
    tasks.update(tx, call.target.id, system_metadata=password.stored(call.target.system_metadata, ""))


_SERVER = "/v2.1/servers/{server_id}"
_TOPOLOGY = "compute:server:topology:"
_PASSWORD = "os_compute_api:os-server-password:"  # noqa: S105 (a rule's name)

ROUTES = (
    Route("GET", f"{_SERVER}/ips", addresses, "os_compute_api:ips:index", target=finding.load),
    Route("GET", f"{_SERVER}/ips/{{network}}", addresses_on, "os_compute_api:ips:show", target=finding.load),
    Route("GET", f"{_SERVER}/topology", topology, f"{_TOPOLOGY}index", target=finding.load, since=Microversion(2, 78)),
    Route("GET", f"{_SERVER}/os-server-password", show_password, f"{_PASSWORD}show", target=finding.load),
    Route(
        "DELETE", f"{_SERVER}/os-server-password", clear_password, f"{_PASSWORD}clear", target=finding.load, status=204
    ),
)

POLICIES = (
    Rule("os_compute_api:ips:index", READER, "See a server's addresses."),
    Rule("os_compute_api:ips:show", READER, "See a server's addresses on one network."),
    Rule(f"{_TOPOLOGY}index", READER, "See a server's topology."),
    Rule(f"{_TOPOLOGY}host:index", ADMIN, "See where on its host a server's topology lies."),
    Rule(f"{_PASSWORD}show", READER, "See the encrypted password that a guest has made."),
    Rule(f"{_PASSWORD}clear", MEMBER, "Forget the encrypted password that a guest has made."),
)
