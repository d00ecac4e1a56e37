"""A server's metadata: keys and values of its owner's, which the guest can read."""

from __future__ import annotations

from typing import Any

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.rules import MEMBER, READER
from stackyard.services.compute.servers import fields, finding, tasks
from stackyard.services.compute.servers.states import VmState, require

CHANGEABLE = (VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED, VmState.STOPPED)


class Metadata(Body):
    """`{"metadata": {...}}`."""

    metadata: dict[str, Any]


class Item(Body):
    """`{"meta": {key: value}}`."""

    meta: dict[str, Any]


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../metadata."""
    del tx
    finding.refuse_query(call)
    return {"metadata": call.target.metadata}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../metadata/{key}."""
    del tx
    finding.refuse_query(call)
    return {"meta": {call.path["key"]: _item(call)}}


def _item(call: Call) -> str:
    key = call.path["key"]
    if key not in call.target.metadata:
        raise NotFound("Metadata item was not found", kind="MetadataItemNotFound")
    return str(call.target.metadata[key])


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST .../metadata: what is given is added."""
    return {"metadata": _write(tx, call, call.target.metadata | _checked(tx, call, call.body.metadata))}


def update_all(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT .../metadata: what is given is all there is."""
    return {"metadata": _write(tx, call, _checked(tx, call, call.body.metadata))}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT .../metadata/{key}."""
    given, key = call.body.meta, call.path["key"]
    if len(given) != 1:
        raise BadRequest("Invalid input for field/attribute meta: it has one key, that of the address.")
    if key not in given:
        raise BadRequest("Request body and URI mismatch")
    _write(tx, call, call.target.metadata | _checked(tx, call, given))
    return {"meta": given}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE .../metadata/{key}."""
    _item(call)
    _write(tx, call, {key: value for key, value in call.target.metadata.items() if key != call.path["key"]})


def _checked(tx: Transaction, call: Call, given: dict[str, Any]) -> dict[str, str]:
    return fields.check_metadata(tx, call, "metadata", given)


def _write(tx: Transaction, call: Call, metadata: dict[str, str]) -> dict[str, str]:
    server = call.target
    tasks.require_unlocked(call, server, "update metadata")
    require(server, "update metadata", CHANGEABLE, tasks=None)
    fields.require_limit(tx, call, "metadata_items", len(metadata), "Metadata property count")
    tasks.update(tx, server.id, metadata=metadata)
    return metadata


_PATH = "/v2.1/servers/{server_id}/metadata"
_RULE = "os_compute_api:server-metadata:"

ROUTES = (
    Route("GET", _PATH, list_, f"{_RULE}index", target=finding.load),
    Route("POST", _PATH, create, f"{_RULE}create", target=finding.load, body=Metadata),
    Route("PUT", _PATH, update_all, f"{_RULE}update_all", target=finding.load, body=Metadata),
    Route("GET", f"{_PATH}/{{key}}", show, f"{_RULE}show", target=finding.load),
    Route("PUT", f"{_PATH}/{{key}}", update, f"{_RULE}update", target=finding.load, body=Item),
    Route("DELETE", f"{_PATH}/{{key}}", delete, f"{_RULE}delete", target=finding.load, status=204),
)

POLICIES = (
    Rule(f"{_RULE}index", READER, "See a server's metadata."),
    Rule(f"{_RULE}show", READER, "See one item of a server's metadata."),
    Rule(f"{_RULE}create", MEMBER, "Add metadata to a server."),
    Rule(f"{_RULE}update_all", MEMBER, "Replace a server's metadata."),
    Rule(f"{_RULE}update", MEMBER, "Change one item of a server's metadata."),
    Rule(f"{_RULE}delete", MEMBER, "Delete one item of a server's metadata."),
)
