"""Reading and writing flavors and profiles, and what routers ask of them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core.db import Transaction, TryAgain
from stackyard.core.errors import NotFound, ServiceUnavailable
from stackyard.services.network.faults import conflict, invalid, not_found
from stackyard.services.network.tables import flavor_profiles, network_flavors, routers, service_profiles

SERVICE_TYPE = "L3_ROUTER_NAT"
PROVIDER = "stackyard"
"""The one provider, and the name by which profiles ask for it."""

_FLAVOR = sa.select(network_flavors).where(network_flavors.c.id == bindparam("id"))
_PROFILE = sa.select(service_profiles).where(service_profiles.c.id == bindparam("id"))
_IN_USE = sa.select(routers.c.id).where(routers.c.flavor_id == bindparam("id")).limit(1)
_BIND = sa.insert(flavor_profiles)
_UNBIND = sa.delete(flavor_profiles).where(
    flavor_profiles.c.flavor_id == bindparam("flavor"), flavor_profiles.c.service_profile_id == bindparam("profile")
)


def flavor(tx: Transaction, flavor_id: str) -> Any:
    """A flavor's row; raises FlavorNotFound."""
    row = tx.first(_FLAVOR, {"id": flavor_id})
    if row is None:
        raise not_found("Flavor", flavor_id)
    return row


def profile(tx: Transaction, profile_id: str) -> Any:
    """A profile's row; raises ServiceProfileNotFound."""
    row = tx.first(_PROFILE, {"id": profile_id})
    if row is None:
        raise NotFound(f"Service Profile {profile_id} could not be found.", kind="ServiceProfileNotFound")
    return row


def usable(tx: Transaction, flavor_id: str) -> None:
    """Check that a router may have this flavor; raises FlavorNotFound, FlavorDisabled, InvalidInput."""
    row = flavor(tx, flavor_id)
    if row.service_type != SERVICE_TYPE:
        raise invalid(f"Flavor {flavor_id} is of {row.service_type}, not {SERVICE_TYPE}.")
    if not row.enabled:
        raise ServiceUnavailable("Flavor is not enabled.", kind="FlavorDisabled")
    next_provider(tx, row)


def next_provider(tx: Transaction, row: Any) -> dict[str, str]:
    """The provider that a flavor's first profile leads to; raises what keeps it from having one."""
    if not row.service_profiles:
        raise unbound("", row.id)
    first = profile(tx, row.service_profiles[0])
    if not first.enabled:
        raise ServiceUnavailable("Service Profile is not enabled.", kind="ServiceProfileDisabled")
    if first.driver != PROVIDER:
        raise unknown_driver(first.driver)
    return {"driver": first.driver, "provider": PROVIDER, "metainfo": first.metainfo}


def unknown_driver(driver: str) -> NotFound:
    """A profile's driver is none of the providers'."""
    return NotFound(f"Service Profile driver {driver} could not be found.", kind="ServiceProfileDriverNotFound")


def unbound(profile_id: str, flavor_id: str) -> NotFound:
    """A flavor has not this profile."""
    return NotFound(
        f"Service Profile {profile_id} is not associated with flavor {flavor_id}.",
        kind="FlavorServiceProfileBindingNotFound",
    )


def refuse_used(tx: Transaction, flavor_id: str) -> None:
    """Raise FlavorInUse while a router has the flavor."""
    if tx.first(_IN_USE, {"id": flavor_id}) is not None:
        raise conflict("FlavorInUse", f"Flavor {flavor_id} is used by some service instance.")


def bind(tx: Transaction, row: Any, profile_row: Any) -> None:
    """Give a flavor a profile; raises FlavorServiceProfileBindingExists."""
    if profile_row.id in row.service_profiles:
        raise conflict(
            "FlavorServiceProfileBindingExists",
            f"Service Profile {profile_row.id} is already associated with flavor {row.id}.",
        )
    try:
        tx.execute(_BIND, {"flavor_id": row.id, "service_profile_id": profile_row.id})
    except IntegrityError as error:
        raise TryAgain(str(error.orig)) from error
    _write(tx, row, [*row.service_profiles, profile_row.id], profile_row, [*profile_row.flavors, row.id])


def unbind(tx: Transaction, row: Any, profile_row: Any) -> None:
    """Take a profile from a flavor; raises FlavorServiceProfileBindingNotFound."""
    if profile_row.id not in row.service_profiles:
        raise unbound(profile_row.id, row.id)
    tx.execute(_UNBIND, {"flavor": row.id, "profile": profile_row.id})
    kept = [known for known in row.service_profiles if known != profile_row.id]
    _write(tx, row, kept, profile_row, [known for known in profile_row.flavors if known != row.id])


def _write(tx: Transaction, row: Any, profiles: list[str], profile_row: Any, flavors: list[str]) -> None:
    change(tx, network_flavors, row.id, {"service_profiles": profiles})
    change(tx, service_profiles, profile_row.id, {"flavors": flavors})


def change(tx: Transaction, table: sa.Table, row_id: str, changes: dict[str, Any]) -> None:
    """Change a flavor or a profile."""
    if changes:
        tx.execute(sa.update(table).where(table.c.id == bindparam("key")).values(**changes), {"key": row_id})
