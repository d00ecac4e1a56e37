"""The IPAM driver's pools: where a network of Docker has its addresses from.

A pool of Docker's is a subnet pool: one that we make for it, or one that was there, of which it is a part. Docker knows
it by an id that is the subnet pool's, followed, for a part, by that part's CIDR.
"""

from __future__ import annotations

import ipaddress
import itertools
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stackyard.core.errors import ApiError, Conflict, InvalidField, NotFound
from stackyard.plugins.kuryr import names
from stackyard.plugins.kuryr.bodies import ReleasePool, RequestPool
from stackyard.plugins.kuryr.session import IPNetwork, Session, read_flag, read_network, read_options

_OWN_RANGE = ipaddress.ip_network("10.224.0.0/12")
_OWN_PREFIX = 24


def request_pool(session: Session, body: RequestPool) -> dict[str, Any]:
    """/IpamDriver.RequestPool."""
    options = read_options(body.options)
    version = 6 if body.v6 else 4
    subnet = named_subnet(session, options, version)
    cidr = _wanted(body, version)
    if subnet is not None:
        if cidr is not None and str(cidr) != subnet["cidr"]:
            raise Conflict(f"Subnet {subnet['id']} is {subnet['cidr']}, not {cidr}.")
        cidr = read_network("neutron.subnet", subnet["cidr"])
    existing = named_pool(session, options, version)
    if existing is None and cidr is None:
        existing = _default_pool(session, version)
    if existing is not None:
        return _part_of(session, existing, cidr)
    shared = read_flag("neutron.net.shared", options.get("neutron.net.shared", ""))
    return _made(session, cidr or _free_range(session, version), subnet, shared=shared)


def _wanted(body: RequestPool, version: int) -> IPNetwork | None:
    text = body.sub_pool or body.pool
    if not text:
        return None
    cidr = read_network("SubPool" if body.sub_pool else "Pool", text)
    if cidr.version != version:
        raise InvalidField("Pool", f"{cidr} is not of IP version {version}.")
    if body.sub_pool and body.pool and not _within(cidr, [body.pool]):
        raise InvalidField("SubPool", f"{cidr} is not a part of {body.pool}.")
    return cidr


def _within(cidr: IPNetwork, prefixes: Iterable[str]) -> bool:
    around = [read_network("Pool", text) for text in prefixes]
    return any(one.version == cidr.version and cidr.subnet_of(one) for one in around)  # type: ignore[arg-type]


def named_subnet(session: Session, options: Mapping[str, str], version: int) -> dict[str, Any] | None:
    """The subnet that the options name by id or name; None when they name none."""
    return _named(session, options, "subnet", version)


def named_pool(session: Session, options: Mapping[str, str], version: int) -> dict[str, Any] | None:
    """The subnet pool that the options name by id or name; None when they name none."""
    return _named(session, options, "subnetpool", version)


def _named(session: Session, options: Mapping[str, str], noun: str, version: int) -> dict[str, Any] | None:
    prefix = f"neutron.{'pool' if noun == 'subnetpool' else noun}{'.v6' if version == 6 else ''}"
    if resource_id := options.get(f"{prefix}.uuid"):
        found = session.neutron.show(noun, resource_id)
    elif name := options.get(f"{prefix}.name"):
        found = session.named(noun, name)
    else:
        return None
    if found["ip_version"] != version:
        raise InvalidField(prefix, f"{noun} {found['id']} is not of IP version {version}.")
    return found


def _default_pool(session: Session, version: int) -> dict[str, Any] | None:
    found = session.neutron.list("subnetpools", name=names.DEFAULT_POOLS[version], ip_version=str(version))
    return found[0] if len(found) == 1 else None


def _made(session: Session, cidr: IPNetwork, subnet: Mapping[str, Any] | None, *, shared: bool) -> dict[str, Any]:
    api = session.service if shared else session.neutron
    pool = api.create(
        "subnetpool", name=names.pool_name(str(cidr)), prefixes=[str(cidr)], default_prefixlen=cidr.prefixlen,
        min_prefixlen=min(cidr.prefixlen, 8), shared=shared, project_id=session.project_id,
    )  # fmt: skip
    asked = f"{names.ASKED}{time.time_ns()}"
    session.neutron.tag("subnetpool", pool, add=[asked, *([] if subnet is None else [subnet["id"]])])
    return _answer(pool["id"], cidr, subnet)


def _answer(pool_id: str, cidr: IPNetwork, subnet: Mapping[str, Any] | None) -> dict[str, Any]:
    data = {}
    if subnet is not None and subnet["gateway_ip"]:
        data[names.GATEWAY] = f"{subnet['gateway_ip']}/{cidr.prefixlen}"
    return {"PoolID": pool_id, "Pool": str(cidr), "Data": data}


def _part_of(session: Session, pool: Mapping[str, Any], cidr: IPNetwork | None) -> dict[str, Any]:
    """A part of a pool that was there; it may be the whole of it."""
    cidr = cidr or _free_part(session, pool)
    if not _within(cidr, pool["prefixes"]):
        raise Conflict(f"{cidr} is not in subnet pool {pool['id']}, which has {', '.join(pool['prefixes'])}.")
    session.service.tag("subnetpool", pool, add=[names.EXISTING_POOL, names.requested_tag(str(cidr))])
    whole = [str(cidr)] == pool["prefixes"]
    return _answer(pool["id"] if whole else f"{pool['id']}:{cidr}", cidr, None)


def _free_part(session: Session, pool: Mapping[str, Any]) -> IPNetwork:
    taken = [subnet["cidr"] for subnet in session.neutron.list("subnets", subnetpool_id=pool["id"])]
    taken += [tag.partition(":")[2] for tag in pool["tags"] if tag.startswith(names.requested_tag(""))]
    used = [read_network("cidr", text) for text in taken]
    for prefix in (read_network("prefixes", text) for text in pool["prefixes"]):
        for part in _parts(prefix, max(int(pool["default_prefixlen"]), prefix.prefixlen)):
            if not any(part.overlaps(other) for other in used):
                return part
    raise Conflict(f"Subnet pool {pool['id']} has no room left for a /{pool['default_prefixlen']}.")


_MOST_PARTS = 4096
"""How many parts of a pool are looked at; an IPv6 pool has more than anybody could."""


def _parts(prefix: IPNetwork, length: int) -> Iterator[IPNetwork]:
    parts: Iterator[IPNetwork] = prefix.subnets(new_prefix=length)
    return itertools.islice(parts, _MOST_PARTS)


def _free_range(session: Session, version: int) -> IPNetwork:
    """For a network for which nobody named a subnet: one that no subnet of the project overlaps."""
    if version == 6:
        return ipaddress.IPv6Network((0xFD << 120 | secrets.randbits(56) << 64, 64))
    rows = session.neutron.list("subnets", ip_version="4")
    used = [ipaddress.ip_network(row["cidr"]) for row in rows]
    used += [read_network("prefixes", text) for pool in _own_pools(session) for text in pool["prefixes"]]
    for part in _parts(_OWN_RANGE, _OWN_PREFIX):
        if not any(part.overlaps(other) for other in used):
            return part
    raise Conflict("No range is free for another network; name one with --subnet.")


def _own_pools(session: Session) -> list[dict[str, Any]]:
    found = session.neutron.list("subnetpools", ip_version="4")
    return [pool for pool in found if pool["name"].startswith(names.pool_name(""))]


# ------------------------------------------------------------------------------------------------- finding again


def read_pool(session: Session, pool_id: str) -> tuple[dict[str, Any], IPNetwork]:
    """The subnet pool of a pool id of ours, and the CIDR; raises SubnetPoolNotFound."""
    own_id, _, part = pool_id.partition(":")
    pool = session.neutron.show("subnetpool", own_id)
    return pool, read_network("PoolID", part or pool["prefixes"][0])


def subnet_of(session: Session, pool: Mapping[str, Any], cidr: IPNetwork) -> dict[str, Any] | None:
    """The subnet that has its addresses from there, by its tag; None while there is none."""
    found = session.neutron.list("subnets", tags=pool["id"], cidr=str(cidr))
    return found[0] if found else None


def requested(session: Session, cidr: IPNetwork, options: Mapping[str, str]) -> dict[str, Any] | None:
    """The pool that a network with this CIDR, about to be made, is from: the last that was asked for and has none.

    None when somebody else gives the network its addresses.
    """
    named = named_pool(session, options, cidr.version)
    if named is not None:
        return named
    found = session.neutron.list("subnetpools", name=names.pool_name(str(cidr)))
    found += session.neutron.list("subnetpools", tags=names.requested_tag(str(cidr)))
    found.sort(key=_asked, reverse=True)
    return next((pool for pool in found if subnet_of(session, pool, cidr) is None), None)


def _asked(pool: Mapping[str, Any]) -> tuple[str, int]:
    """When a pool was asked for: the second that the API tells, and for pools of ours the very moment."""
    moments = (tag.removeprefix(names.ASKED) for tag in pool["tags"] if tag.startswith(names.ASKED))
    return str(pool["created_at"]), int(next(moments, "0"))


# ---------------------------------------------------------------------------------------------------- giving back


def release_pool(session: Session, body: ReleasePool) -> dict[str, Any]:
    """/IpamDriver.ReleasePool: subnets and pools that we made go, others lose our tags. Gone is fine."""
    try:
        pool, cidr = read_pool(session, body.pool_id)
    except NotFound:
        return {}
    subnet = subnet_of(session, pool, cidr)
    if subnet is not None and not drop_subnet(session, subnet):
        session.service.tag("subnet", subnet, drop=[pool["id"]])
    if names.EXISTING_POOL in pool["tags"]:
        _untag(session, pool, cidr)
        return {}
    _drop_empty(session, pool["id"])
    return {}


def _drop_empty(session: Session, pool_id: str | None) -> None:
    """Delete a pool of ours, unless it has subnets: one that something of the user's is in is the user's to delete."""
    for pool in session.neutron.list("subnetpools", id=pool_id) if pool_id else []:
        ours = pool["name"].startswith(names.pool_name("")) and names.EXISTING_POOL not in pool["tags"]
        if ours and not session.neutron.list("subnets", subnetpool_id=pool["id"]):
            session.service.delete("subnetpool", pool["id"])


def _untag(session: Session, pool: Mapping[str, Any], cidr: IPNetwork) -> None:
    gone = [names.requested_tag(str(cidr))]
    others = [tag for tag in pool["tags"] if tag.startswith(names.requested_tag("")) and tag not in gone]
    session.service.tag("subnetpool", pool, drop=gone if others else [*gone, names.EXISTING_POOL])


def drop_subnet(session: Session, subnet: Mapping[str, Any]) -> bool:
    """Delete a subnet that we made, unless another network of Docker's or a port is in it; whether it is gone."""
    if names.MADE_SUBNET not in subnet["tags"] or names.members(subnet["tags"]) > 1:
        return False
    try:
        with session.tx.savepoint():
            session.neutron.delete("subnet", subnet["id"])
    except ApiError as error:
        if error.status != 409:
            raise
        return False
    _drop_empty(session, subnet["subnetpool_id"])
    return True
