"""The options of a domain as they are stored, and as they take effect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.ids import new_hex
from stackyard.services.identity.credentials import keys
from stackyard.services.identity.domain_config import tables
from stackyard.services.identity.domain_config.options import is_sensitive

Config = dict[str, dict[str, Any]]
"""Group -> option -> value."""


def shown(tx: Transaction, domain_id: str) -> Config:
    """What is set for a domain, without what is secret."""
    found: Config = {}
    for row in tx.all(tables.ALL, {"domain_id": domain_id}):
        if row.sealed is None:
            found.setdefault(row.group_name, {})[row.option_name] = row.value
    return found


def is_set(tx: Transaction, domain_id: str, group: str | None = None, option: str | None = None) -> bool:
    """Whether anything is set (of a group, or that option), secret or not."""
    rows = tx.all(tables.ALL, {"domain_id": domain_id})
    return any(group in (None, row.group_name) and option in (None, row.option_name) for row in rows)


def put(tx: Transaction, domain_id: str, config: Mapping[str, Mapping[str, Any]]) -> None:
    """Set options, leaving others as they are."""
    for group, values in config.items():
        for option, value in values.items():
            tx.execute(tables.DELETE_ONE, {"domain_id": domain_id, "group": group, "option": option})
            sensitive = is_sensitive(group, option)
            row = {
                "id": new_hex(),
                "domain_id": domain_id,
                "group_name": group,
                "option_name": option,
                "value": None if sensitive else value,
                "sealed": keys.seal(tx, json.dumps(value)) if sensitive else None,
            }
            tx.execute(tables.INSERT, row)


def remove(tx: Transaction, domain_id: str, group: str | None = None, option: str | None = None) -> None:
    """Set nothing any more: all, a group, or one option."""
    if group is None:
        tx.execute(tables.DELETE_ALL, {"domain_id": domain_id})
    elif option is None:
        tx.execute(tables.DELETE_GROUP, {"domain_id": domain_id, "group": group})
    else:
        tx.execute(tables.DELETE_ONE, {"domain_id": domain_id, "group": group, "option": option})


def settings_of(tx: Transaction, domain_id: str) -> Mapping[str, Mapping[str, Any]]:
    """What is set for a domain as it takes effect: group -> option -> value, secrets in clear (not to be logged).

    A `%(password)s` in another option stands for the secret option of that name. Empty where nothing is set.
    """
    found: Config = {}
    secrets: dict[str, Any] = {}
    for row in tx.all(tables.ALL, {"domain_id": domain_id}):
        value = row.value if row.sealed is None else json.loads(keys.unseal(tx, row.sealed))
        found.setdefault(row.group_name, {})[row.option_name] = value
        if row.sealed is not None:
            secrets[row.option_name] = value
    for group, values in found.items():
        for option, value in values.items():
            if isinstance(value, str) and not is_sensitive(group, option):
                values[option] = _filled_in(value, secrets)
    return found


def _filled_in(text: str, secrets: Mapping[str, Any]) -> str:
    for name, value in secrets.items():
        text = text.replace(f"%({name})s", str(value))
    return text


def configured_domains(tx: Transaction) -> list[str]:
    """The ids of the domains for which anything is set."""
    return [row.domain_id for row in tx.all(tables.DOMAINS)]
