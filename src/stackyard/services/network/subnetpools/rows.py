"""Reading and writing subnet pools, and cutting subnets out of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.network import address_scopes, resources, seen, sharing
from stackyard.services.network.addresses import IPNetwork
from stackyard.services.network.faults import conflict, invalid, not_found
from stackyard.services.network.subnetpools import prefixes as sets
from stackyard.services.network.subnetpools.bodies import check_number, loaded, stored
from stackyard.services.network.tables import subnetpools, subnets

SHOWN = sa.select(subnetpools, sharing.shared_label(address_scopes.POOL, subnetpools))
_ONE = SHOWN.where(subnetpools.c.id == bindparam("id"))
_DEFAULT = sa.select(subnetpools).where(subnetpools.c.is_default, subnetpools.c.ip_version == bindparam("version"))
_COUNT = (
    sa.update(subnetpools).where(subnetpools.c.id == bindparam("key")).values(allocations=subnetpools.c.allocations + 1)
)
_SUBNETS = sa.select(subnets).where(subnets.c.subnetpool_id == bindparam("pool"))
_OF_SCOPE = sa.select(subnetpools.c.id, subnetpools.c.prefixes).where(
    subnetpools.c.address_scope_id == bindparam("scope")
)
_ON_NETWORK = sa.select(subnets.c.id, subnets.c.subnetpool_id).where(
    subnets.c.network_id == bindparam("network"), subnets.c.ip_version == bindparam("version")
)


def find(tx: Transaction, caller: Caller, pool_id: str) -> seen.Found:
    """A pool that the caller may see; raises SubnetPoolNotFound."""
    row = tx.first(_ONE, {"id": pool_id, "caller": caller.project_id})
    if row is None or not (caller.is_admin or row.project_id == caller.project_id or row.shared_with_caller):
        raise not_found("SubnetPool", pool_id)
    return seen.Found(row._mapping, shared=bool(row.shared_with_caller))


def default(tx: Transaction, version: int) -> Any:
    """The default pool of an IP version, or None."""
    return tx.first(_DEFAULT, {"version": version})


def subnets_of(tx: Transaction, pool_id: str) -> Sequence[Any]:
    """The subnets that are from a pool."""
    return tx.all(_SUBNETS, {"pool": pool_id})


def claim(tx: Transaction, pool_id: str) -> None:
    """Before what is left of a pool is looked at: of two transactions that do so, one is run again."""
    tx.execute(_COUNT, {"key": pool_id})


def allocate(tx: Transaction, pool: Any, project_id: str, wanted: IPNetwork | int | None) -> IPNetwork:
    """A network for a subnet of a project: this one, or any of this prefix length (None: the pool's default one).

    Raises MinPrefixSubnetAllocationError, MaxPrefixSubnetAllocationError, SubnetPoolQuotaExceeded and, when there is
    no room or the network is taken or not of the pool, SubnetAllocationError.
    """
    if wanted is None:
        wanted = int(pool.default_prefixlen)
    prefixlen = wanted if isinstance(wanted, int) else wanted.prefixlen
    _check_length(pool, prefixlen)
    claim(tx, pool.id)
    present = subnets_of(tx, pool.id)
    if pool.default_quota:
        own = [ipaddress.ip_network(subnet.cidr) for subnet in present if subnet.project_id == project_id]
        if not sets.within_quota(pool.ip_version, pool.default_quota, own, prefixlen):
            raise conflict("SubnetPoolQuotaExceeded", "Per-project subnet pool prefix quota exceeded.")
    taken = [ipaddress.ip_network(subnet.cidr) for subnet in present]
    free = sets.subtract(loaded(pool.prefixes), taken, pool.ip_version)
    if isinstance(wanted, int):
        found = sets.cut(free, wanted)
        if found is None:
            raise _no_room(f"Insufficient prefix space to allocate subnet size /{prefixlen}")
        return found
    if not sets.within(free, wanted):
        raise _no_room("Cannot allocate requested subnet from the available set of prefixes")
    return wanted


def _check_length(pool: Any, prefixlen: int) -> None:
    if prefixlen > pool.max_prefixlen:
        raise BadRequest(
            f"Unable to allocate subnet with prefix length {prefixlen}, maximum allowed prefix is "
            f"{pool.max_prefixlen}.",
            kind="MaxPrefixSubnetAllocationError",
        )
    if prefixlen < pool.min_prefixlen:
        raise BadRequest(
            f"Unable to allocate subnet with prefix length {prefixlen}, minimum allowed prefix is "
            f"{pool.min_prefixlen}.",
            kind="MinPrefixSubnetAllocationError",
        )


def _no_room(reason: str) -> Exception:
    return conflict("SubnetAllocationError", f"Failed to allocate subnet: {reason}.")


def check_affinity(tx: Transaction, network_id: str, version: int, pool: Any) -> None:
    """Subnets of one IP version on a network are all of one pool, of one address scope, or all of none.

    `pool` is the new subnet's, None when it is of none. Raises NetworkSubnetPoolAffinityError and
    NetworkAddressScopeAffinityError.
    """
    scope = address_scopes.of_networks(tx, [network_id]).get((network_id, version))
    if scope is not None and pool is not None and pool.address_scope_id != scope:
        raise _scope_affinity()
    for subnet in tx.all(_ON_NETWORK, {"network": network_id, "version": version}):
        other = pool.id if pool is not None else None
        if subnet.subnetpool_id != other and (pool is None or scope is None):
            raise BadRequest(
                "Subnets hosted on the same network must be allocated from the same subnet pool.",
                kind="NetworkSubnetPoolAffinityError",
            )


def _scope_affinity() -> BadRequest:
    return BadRequest(
        "Subnets of the same address family hosted on the same network must all participate in the same address scope.",
        kind="NetworkAddressScopeAffinityError",
    )


def check_scope(
    tx: Transaction, caller: Caller, pool_id: str, scope_id: str | None, networks: Sequence[IPNetwork], *, moved: bool
) -> None:
    """Whether a pool with these prefixes may be in an address scope; `moved`: it was not in it before."""
    if moved:
        _check_networks(tx, pool_id, networks[0].version)
    if scope_id is None:
        return
    scope = address_scopes.find(tx, caller, scope_id)
    if scope.ip_version != networks[0].version:
        raise BadRequest(
            f"Illegal subnetpool association: subnetpool {pool_id} cannot associate with address scope {scope_id} "
            f"because subnetpool ip_version is not {scope.ip_version}.",
            kind="IllegalSubnetPoolIpVersionAssociationToAddressScope",
        )
    address_scopes.claim(tx, scope_id)
    for other in tx.all(_OF_SCOPE, {"scope": scope_id}):
        if other.id != pool_id and sets.intersect(loaded(other.prefixes), networks):
            raise conflict(
                "AddressScopePrefixConflict",
                "Failed to associate address scope: subnetpools within an address scope must have unique prefixes.",
            )


def _check_networks(tx: Transaction, pool_id: str, version: int) -> None:
    """A network whose subnets are of several pools would be in several scopes if one of them moved."""
    for network_id in sorted({subnet.network_id for subnet in subnets_of(tx, pool_id)}):
        found = tx.all(_ON_NETWORK, {"network": network_id, "version": version})
        if any(subnet.subnetpool_id != pool_id for subnet in found):
            raise _scope_affinity()


def check_default(tx: Transaction, version: int) -> None:
    """Raises InvalidInput when there is a default pool of this IP version already."""
    if default(tx, version) is not None:
        raise invalid(
            "A default subnetpool for this IP family has already been set. Only one default may exist per IP family"
        )


def check_owned_scope(tx: Transaction, caller: Caller, pool: Any) -> None:
    """A pool in another project's address scope stays as it is; raises IllegalSubnetPoolUpdate."""
    if pool.address_scope_id is None:
        return
    scope = address_scopes.find(tx, caller, pool.address_scope_id)
    if not caller.is_admin and scope.project_id != caller.project_id:
        raise illegal_update(
            f"subnetpool {pool.id} cannot be updated when associated with shared address scope {pool.address_scope_id}"
        )


def illegal_update(reason: str) -> BadRequest:
    """A change that a pool cannot have."""
    return BadRequest(f"Illegal subnetpool update : {reason}.", kind="IllegalSubnetPoolUpdate")


def set_prefixes(tx: Transaction, caller: Caller, pool: Any, networks: Sequence[IPNetwork]) -> list[str]:
    """Give a pool more prefixes; returns them all as rows keep them."""
    check_owned_scope(tx, caller, pool)
    whole = sets.compact([*loaded(pool.prefixes), *networks])
    check_scope(tx, caller, pool.id, pool.address_scope_id, whole, moved=False)
    check_number(whole)
    found = stored(whole)
    if found != pool.prefixes:
        claim(tx, pool.id)
        resources.touch(tx, subnetpools, pool.id, prefixes=found)
    return found
