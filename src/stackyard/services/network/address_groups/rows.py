"""Reading and writing address groups."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.services.network import marks, resources, seen, sharing
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.tables import address_groups, security_group_rules

KIND = "address_group"
"""What policies that share call it."""

_SHOWN = sa.select(address_groups, sharing.shared_label(KIND, address_groups))
_ONE = _SHOWN.where(address_groups.c.id == bindparam("id"))
_INSERT = sa.insert(address_groups)
_DELETE = sa.delete(address_groups).where(address_groups.c.id == bindparam("id"))
_NAMED = sa.select(security_group_rules.c.id).where(security_group_rules.c.remote_address_group_id == bindparam("id"))


def find(tx: Transaction, caller: Caller, group_id: str) -> seen.Found:
    """An address group that the caller may see; raises AddressGroupNotFound."""
    row = tx.first(_ONE, {"id": group_id, "caller": caller.project_id})
    if row is None or not (caller.is_admin or row.project_id == caller.project_id or row.shared_with_caller):
        raise not_found("AddressGroup", group_id)
    return seen.Found(row._mapping, shared=bool(row.shared_with_caller))


def insert(tx: Transaction, row: dict[str, Any]) -> None:
    """Write a new address group."""
    tx.execute(_INSERT, row)
    timeline.record(tx, marks.ADDRESS_GROUP, row["id"], "create asked", f"{len(row['addresses'])} addresses")
    marks.address_group(tx, row["id"])


def change(tx: Transaction, group_id: str, **changes: Any) -> None:
    """Change columns; addresses reach the hosts."""
    resources.touch(tx, address_groups, group_id, **changes)
    timeline.record(tx, marks.ADDRESS_GROUP, group_id, "update asked", ", ".join(sorted(changes)))
    if "addresses" in changes:
        marks.address_group(tx, group_id)


def remove(tx: Transaction, group_id: str) -> None:
    """Delete an address group; raises AddressGroupInUse while rules name it."""
    if tx.first(_NAMED, {"id": group_id}) is not None:
        raise conflict("AddressGroupInUse", f"Address group {group_id} is in use on one or more security group rules.")
    sharing.forget(tx, KIND, group_id)
    tx.execute(_DELETE, {"id": group_id})
    timeline.record(tx, marks.ADDRESS_GROUP, group_id, "delete asked")
    marks.address_group(tx, group_id)
