"""The catalogue as a token shows it, with every URL as this client can use it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stackyard.core.db import Transaction
from stackyard.services.identity.catalog import tables
from stackyard.services.identity.endpoint_filter.selection import endpoints_of_project

ROOT_URL = "$(root_url)s"
"""Stands, in the URLs of the cloud's own endpoints, for the address at which a client reached it: a changed port or a
proxy in front needs no change of data."""

_PLACE = re.compile(r"[$%]\((\w+)\)s")
_KNOWN = frozenset({"project_id", "tenant_id", "user_id"})


def render_url(template: str, values: Mapping[str, str | None]) -> str | None:
    """The template with its places filled in; None when a value is missing, as in an endpoint for projects alone."""
    missing = False

    def fill(match: re.Match[str]) -> str:
        nonlocal missing
        value = values.get(match[1])
        missing = missing or value is None
        return value or ""

    url = _PLACE.sub(fill, template)
    return None if missing else url


def catalog(tx: Transaction, root_url: str, project_id: str | None, user_id: str | None) -> list[dict[str, Any]]:
    """The enabled services with the endpoints whose URL can be told for this project and user.

    A project that endpoints are associated with (OS-EP-FILTER) sees those, and the services that they are of.
    """
    values = {"root_url": root_url, "project_id": project_id, "tenant_id": project_id, "user_id": user_id}
    chosen = {row.id for row in endpoints_of_project(tx, project_id)} if project_id else set()
    by_service: dict[str, list[dict[str, Any]]] = {}
    for row in tx.all(tables.CATALOG_ENDPOINTS):
        url = render_url(row.url, values)
        if url is not None and (not chosen or row.id in chosen):
            by_service.setdefault(row.service_id, []).append(
                {
                    "id": row.id,
                    "interface": row.interface,
                    "region_id": row.region_id,
                    "url": url,
                    "region": row.region_id,
                }
            )
    return [
        {"endpoints": by_service.get(row.id, []), "id": row.id, "type": row.type, "name": row.name or ""}
        for row in tx.all(tables.CATALOG_SERVICES)
        if not chosen or row.id in by_service
    ]


def unknown_places(template: str) -> list[str]:
    """The places of a URL that nothing is known to fill, with those that are malformed."""
    names = _PLACE.findall(template)
    rest = _PLACE.sub("", template)
    return [name for name in names if name not in _KNOWN] + re.findall(r"[$%]\([^)]*\)?", rest)
