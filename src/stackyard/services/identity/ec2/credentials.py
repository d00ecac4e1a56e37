"""/v3/users/{user_id}/credentials/OS-EC2: a user's EC2 keys, made by us. They are credentials of the type ec2."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
from sqlalchemy.engine import Row

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.ids import new_hex
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.identity import targets
from stackyard.services.identity.credentials import keys, store, tables
from stackyard.services.identity.credentials.operations import refuse_delegated
from stackyard.services.identity.listing import collection
from stackyard.services.identity.policies import ADMIN, ADMIN_OR_READER, CLOUD, OWNER
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.targets import the


class NewKeys(OpenBody):
    """Where the keys are to be good."""

    tenant_id: Annotated[str, msgspec.Meta(max_length=64)]


def load_owner(tx: Transaction, call: Call) -> dict[str, Any]:
    """The user, as the owner of the keys that are to be made."""
    return {**targets.load(tx, call), "target.credential.user_id": call.path["user_id"]}


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """The keys that the path names, whose owner is who the credential says, whatever the path does.

    Raises NotFound for unknown ones, whoever asks, as Keystone does.
    """
    row = tx.first(tables.BY_ID, {"id": store.id_of_access_key(call.path["access"])})
    if row is None or row.type.lower() != tables.EC2:
        raise NotFound(f"Could not find credential: {call.path['access']}.")
    return {**targets.load(tx, call), "credential": row, "target.credential.user_id": row.user_id}


def _the_keys(call: Call) -> Row[Any]:
    row: Row[Any] = call.target["credential"]
    if row.user_id != the(call, "user").id:
        raise NotFound(f"Could not find credential: {call.path['access']}.")
    refuse_delegated(call)
    return row


def _view(tx: Transaction, call: Call, row: Row[Any]) -> dict[str, Any]:
    blob = json.loads(keys.unseal(tx, row.blob))
    return {
        "user_id": row.user_id,
        "tenant_id": row.project_id,
        "access": blob["access"],
        "secret": blob.get("secret"),
        "trust_id": blob.get("trust_id"),
        "links": {"self": call.url(f"/v3/users/{row.user_id}/credentials/OS-EC2/{blob['access']}")},
    }


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """A user's keys."""
    refuse_delegated(call)
    rows = tx.all(tables.OF_USER, {"user_id": the(call, "user").id, "type": tables.EC2})
    return collection(call, "credentials", [_view(tx, call, row) for row in rows])


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """One pair of keys."""
    return {"credential": _view(tx, call, _the_keys(call))}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """Make a pair of keys for a project."""
    user = the(call, "user")
    project = tx.first(project_tables.BY_ID, {"id": call.body.tenant_id})
    if project is None:
        raise NotFound(f"Could not find project: {call.body.tenant_id}.")
    refuse_delegated(call)
    blob = {"access": new_hex(), "secret": new_hex(), "trust_id": None}
    values = {
        "id": store.id_of_access_key(str(blob["access"])),
        "user_id": user.id,
        "project_id": project.id,
        "type": tables.EC2,
    }
    return {"credential": _view(tx, call, store.add(tx, call, values, json.dumps(blob)))}


def delete(tx: Transaction, call: Call) -> None:
    """Delete a pair of keys; tokens got with it end."""
    tx.execute(tables.DELETE, {"id": _the_keys(call).id})


_KEYS_OWNER = "user_id:%(target.credential.user_id)s"
_CHANGE = f"{ADMIN} or (role:member and {_KEYS_OWNER})"

POLICIES = (
    Rule("identity:ec2_get_credential", f"{ADMIN_OR_READER} or {_KEYS_OWNER}", "See EC2 keys.", CLOUD),
    Rule("identity:ec2_list_credentials", f"{ADMIN_OR_READER} or {OWNER}", "List a user's EC2 keys.", CLOUD),
    Rule("identity:ec2_create_credential", _CHANGE, "Make EC2 keys.", CLOUD),
    Rule("identity:ec2_delete_credential", _CHANGE, "Delete EC2 keys.", CLOUD),
)

_ALL = "/v3/users/{user_id}/credentials/OS-EC2"

ROUTES = (
    Route("GET", _ALL, list_, "identity:ec2_list_credentials", target=targets.load),
    Route("POST", _ALL, create, "identity:ec2_create_credential", target=load_owner, body=NewKeys, status=201),
    Route("GET", f"{_ALL}/{{access}}", show, "identity:ec2_get_credential", target=load),
    Route("DELETE", f"{_ALL}/{{access}}", delete, "identity:ec2_delete_credential", target=load),
)
