"""Where a new subnet's network comes from: a CIDR that was given, or a subnet pool."""

from __future__ import annotations

import ipaddress
from typing import Any

from msgspec import UNSET

from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.services.network.addresses import IPNetwork, read_address, read_network
from stackyard.services.network.resources import either, flag, integer
from stackyard.services.network.subnetpools import rows as pools
from stackyard.services.network.subnets.bodies import NewSubnet, read_version

PREFIX_DELEGATION = "prefix_delegation"
"""What clients call the pool that stands for prefixes from a router outside of the cloud."""


def bad(reason: str) -> BadRequest:
    """A subnet that cannot be asked for so."""
    return BadRequest(f"Bad subnets request: {reason}.", kind="BadRequest")


def pool_of(tx: Transaction, caller: Caller, body: NewSubnet) -> Any:
    """The pool that a subnet is to be cut out of, None for none; raises SubnetPoolNotFound and BadRequest."""
    pool_id = either(body.subnetpool_id, None)
    by_default = flag("use_default_subnetpool", body.use_default_subnetpool, default=False)
    if by_default and pool_id:
        raise bad("subnetpool_id and use_default_subnetpool cannot both be specified")
    if pool_id == PREFIX_DELEGATION:
        raise bad(
            "subnetpool_id: IPv6 prefix delegation is not served by this cloud; name a subnet pool, or give a cidr"
        )
    version = read_version(body)
    if pool_id:
        pool = pools.find(tx, caller, pool_id)
        if pool.ip_version != version:
            raise bad(f"Cannot allocate IPv{version} subnet from IPv{pool.ip_version} subnet pool")
        return pool
    if not by_default:
        return None
    pool = pools.default(tx, version)
    if pool is None:
        raise bad(f"No default subnetpool found for IPv{version}")
    return pool


def asked(body: NewSubnet, pool: Any) -> IPNetwork | int | None:
    """The network that a body asks for, or only its prefix length; None: a pool's default. Raises BadRequest."""
    cidr, prefixlen = either(body.cidr, None), either(body.prefixlen, None)
    if cidr is not None and prefixlen is not None:
        raise bad("cidr and prefixlen must not be supplied together")
    if cidr is not None:
        return read_network("cidr", cidr)
    if pool is None:
        raise bad("a subnetpool must be specified in the absence of a cidr")
    if either(body.allocation_pools, None):
        raise bad("allocation_pools allowed only for specific subnet requests")
    length = None if prefixlen is None else integer("prefixlen", prefixlen)
    if length is not None and length < 0:
        raise InvalidField("prefixlen", f"'{length}' should be non-negative.")
    if body.gateway_ip in (UNSET, None):
        return length
    gateway = read_address("gateway_ip", body.gateway_ip)
    length = pool.default_prefixlen if length is None else length
    if gateway.version != pool.ip_version or length > gateway.max_prefixlen:
        raise bad(f"gateway_ip {gateway} has no network of prefix length {length} in an IPv{pool.ip_version} pool")
    return ipaddress.ip_network(f"{gateway}/{length}", strict=False)
