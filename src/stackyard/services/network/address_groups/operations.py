"""What the API does with address groups, and who may ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField, NotFound
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Listing
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network import resources, seen, sharing
from stackyard.services.network.address_groups import rows
from stackyard.services.network.addresses import read_network
from stackyard.services.network.checks import ADMIN, OWN, READER, SHARED, any_of, rules
from stackyard.services.network.resources import Text, either
from stackyard.services.network.tables import address_groups

NAMES = ("address_group", "address_groups")

LISTING = Listing(
    address_groups,
    {
        name: found
        for name, found in resources.standard_filters(address_groups).items()
        if name not in ("tags", "tags-any", "not-tags", "not-tags-any")
    }
    | {"shared": sharing.shared_filter(rows.KIND, address_groups)},
    sort_keys=("name", "description", "project_id", "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
)


class AddressGroupFields(Body):
    """What an address group may be changed to; its addresses have calls of their own."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class NewAddressGroup(AddressGroupFields):
    """The body of a POST."""

    addresses: list[str] | UnsetType | None = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


class AddressesBody(Body):
    """Addresses to add or remove; the whole body, without an envelope."""

    addresses: list[str]


def _read(given: Sequence[str], *, exact: bool) -> list[str]:
    """CIDRs, each once, without host bits, which `exact` refuses."""
    found = [str(read_network(f"addresses[{index}]", text, exact=exact)) for index, text in enumerate(given)]
    if exact and len(set(found)) != len(found):
        raise InvalidField("addresses", "duplicate items are not allowed.")
    return list(dict.fromkeys(found))


def view(row: Any) -> dict[str, Any]:
    """An address group as the API shows it."""
    shown = resources.standard_view(row)
    del shown["tags"]
    return shown | {"name": row.name, "addresses": row.addresses}


def load(tx: Transaction, call: Call) -> seen.Found:
    """The address group in the path; raises AddressGroupNotFound."""
    return rows.find(tx, call.caller, call.path["address_group_id"])


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /address-groups."""
    scope = seen.own_or_shared(call.caller, rows.KIND, address_groups)
    return resources.listed(call, "address_groups", resources.page_of(tx, call.query, LISTING, scope), view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /address-groups/{address_group_id}."""
    del tx
    return {"address_group": resources.shown(call, view(call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /address-groups, one or many."""
    bodies, bulk = resources.read_bodies(call, NewAddressGroup, *NAMES)
    views = []
    for body in bodies:
        project_id = resources.owner(call, body)
        if project_id != call.caller.project_id:
            call.require("create_address_group", {"project_id": project_id})
        row = resources.new_row(tx, new_uuid(), project_id, body)
        row["addresses"] = _read(either(body.addresses, None) or (), exact=True)
        rows.insert(tx, row)
        views.append(view(seen.Found(row)))
    return resources.created(call, NAMES, views, bulk=bulk)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /address-groups/{address_group_id}."""
    resources.check_revision(call, call.target)
    changes = {name: value or "" for name, value in call.body.given()}
    if changes:
        rows.change(tx, call.target.id, **changes)
    return {"address_group": view(load(tx, call))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /address-groups/{address_group_id}."""
    resources.check_revision(call, call.target)
    rows.remove(tx, call.target.id)


def add_addresses(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /address-groups/{address_group_id}/add_addresses; raises AddressesAlreadyExist."""
    row, wanted = call.target, _read(call.body.addresses, exact=False)
    known = [text for text in wanted if text in row.addresses]
    if known:
        raise BadRequest(
            f"Addresses {known} already exist in the address group {row.id}.", kind="AddressesAlreadyExist"
        )
    if wanted:
        rows.change(tx, row.id, addresses=[*row.addresses, *wanted])
    return {"address_group": view(load(tx, call))}


def remove_addresses(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /address-groups/{address_group_id}/remove_addresses; raises AddressesNotFound."""
    row, unwanted = call.target, _read(call.body.addresses, exact=False)
    missing = [text for text in unwanted if text not in row.addresses]
    if missing:
        raise NotFound(f"Addresses {missing} not found in the address group {row.id}.", kind="AddressesNotFound")
    if unwanted:
        rows.change(tx, row.id, addresses=[text for text in row.addresses if text not in unwanted])
    return {"address_group": view(load(tx, call))}


_GROUP = "/v2.0/address-groups/{address_group_id}"

ROUTES = (
    Route("GET", "/v2.0/address-groups", list_, "get_network_api"),
    Route("POST", "/v2.0/address-groups", create, "create_address_group", body=dict, status=201),
    Route("GET", _GROUP, show, "get_address_group", target=load),
    Route("PUT", _GROUP, update, "update_address_group", target=load, body=AddressGroupFields,
          envelope="address_group"),
    Route("DELETE", _GROUP, delete, "delete_address_group", target=load, status=204),
    Route("PUT", f"{_GROUP}/add_addresses", add_addresses, "add_addresses", target=load, body=AddressesBody),
    Route("PUT", f"{_GROUP}/remove_addresses", remove_addresses, "remove_addresses", target=load, body=AddressesBody),
)  # fmt: skip

POLICIES = (
    *rules(
        OWN,
        "create_address_group",
        "update_address_group",
        "delete_address_group",
        "add_addresses",
        "remove_addresses",
        about="Make, change and delete an address group, and the addresses in it.",
    ),
    Rule("get_address_group", any_of(ADMIN, READER, SHARED), "See an address group."),
)
