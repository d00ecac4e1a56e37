"""Availability zones (os-availability-zone): those of services that keep volumes."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.routes import Route
from stackyard.services.volume import hosts


def available(tx: Transaction) -> dict[str, bool]:
    """Zone -> whether a service in it is enabled."""
    found: dict[str, bool] = {}
    for row in hosts.rows(tx):
        if row.binary == hosts.VOLUME:
            found[row.zone] = found.get(row.zone, False) or not row.disabled
    return found


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-availability-zone."""
    zones = available(tx) or {call.runtime.settings.volume.availability_zone: True}
    views = [{"zoneName": zone, "zoneState": {"available": works}} for zone, works in sorted(zones.items())]
    return {"availabilityZoneInfo": views}


ROUTES = (Route("GET", "/v3/os-availability-zone", list_, "volume:any"),)
