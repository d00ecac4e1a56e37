"""Placing servers in the transaction that asks: claims, what is remembered of hosts, and what is read again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.api.compute import rows
from tests.cloud import TestCloud

from stackyard.core import ids
from stackyard.core.db import Transaction
from stackyard.services.compute import scheduler
from stackyard.services.compute.scheduler import NoValidHost, Request
from stackyard.services.compute.tables import (
    aggregate_hosts,
    aggregates,
    compute_nodes,
    compute_services,
    server_group_members,
    server_groups,
)
from stackyard.services.placement import api as placement
from stackyard.services.placement.api import Inventory

HAS = {"VCPU": Inventory(8), "MEMORY_MB": Inventory(4096), "DISK_GB": Inventory(100)}
CAPACITY = {"architecture": "x86_64", "hypervisor": "QEMU", "version": 8002000, "kinds": ["machine"]}


def add_host(cloud: TestCloud, name: str) -> str:
    """A host with room for eight servers; its provider."""
    provider = ids.new_uuid()

    def write(tx: Transaction) -> None:
        number = int(provider[:6], 16) + 1000
        node = {"id": provider, "number": number, "host": name, "address": "192.0.2.1", "capacity": CAPACITY}
        tx.execute(compute_nodes.insert(), node | {"created_at": tx.now, "updated_at": tx.now})
        service = {"uuid": ids.new_uuid(), "host": name, "binary": "nova-compute", "disabled": False}
        service |= {"forced_down": False, "report_count": 1}
        moments = {"last_seen_at": tx.now, "created_at": tx.now, "updated_at": tx.now}
        tx.execute(compute_services.insert(), service | moments)
        placement.ensure_provider(tx, uuid=provider, name=name, inventories=HAS)

    cloud.database.write("add host", write)
    return provider


def asked(**more: Any) -> Request:
    given: dict[str, Any] = {"vcpus": 1, "memory": 512, "disk": 1, "project_id": "p", "user_id": "u"}
    return Request(**given | {"exclude_hosts": frozenset({"testhost"})} | more)


def place(cloud: TestCloud, count: int = 1, server_ids: list[str] | None = None, **more: Any) -> list[str]:
    wanted = server_ids or [ids.new_uuid() for _ in range(count)]
    return cloud.database.write("place", scheduler.place, cloud.runtime, asked(**more), wanted)


def used(cloud: TestCloud, provider: str) -> int:
    return cloud.database.read("used", placement.used_of, [provider])[provider]["VCPU"]


def set_state(cloud: TestCloud, name: str, **state: Any) -> None:
    statement = compute_services.update().where(compute_services.c.host == name).values(**state)
    cloud.database.write("state", lambda tx: tx.execute(statement))


def test_servers_are_spread_and_claimed(still_cloud: TestCloud) -> None:
    one, two = add_host(still_cloud, "one"), add_host(still_cloud, "two")
    chosen = place(still_cloud, 6)
    assert sorted(chosen) == ["one"] * 3 + ["two"] * 3
    assert (used(still_cloud, one), used(still_cloud, two)) == (3, 3)
    with pytest.raises(NoValidHost, match=r"0 after CPUs: the largest free is 5 CPUs of the 6 asked"):
        place(still_cloud, vcpus=6)


def test_all_or_none(still_cloud: TestCloud) -> None:
    one = add_host(still_cloud, "one")
    with pytest.raises(NoValidHost):
        place(still_cloud, 9)
    assert used(still_cloud, one) == 0
    assert place(still_cloud, 8) == ["one"] * 8


def test_what_is_released_is_free_again_and_moves_are_held(still_cloud: TestCloud) -> None:
    one, two = add_host(still_cloud, "one"), add_host(still_cloud, "two")
    server, move = ids.new_uuid(), ids.new_uuid()
    assert place(still_cloud, server_ids=[server], vcpus=8) == ["one"]
    still_cloud.database.write("hold", scheduler.hold, server, move)
    assert place(still_cloud, server_ids=[server], vcpus=8) == ["two"]
    with pytest.raises(NoValidHost):
        place(still_cloud)
    still_cloud.database.write("revert", scheduler.revert, move, server)
    assert (used(still_cloud, one), used(still_cloud, two)) == (8, 0)
    still_cloud.database.write("release", scheduler.release, server)
    assert used(still_cloud, one) == 0
    assert len(place(still_cloud, 16)) == 16


def test_a_rolled_back_claim_is_forgotten(still_cloud: TestCloud) -> None:
    add_host(still_cloud, "one")

    def fail(tx: Transaction) -> None:
        scheduler.place(tx, still_cloud.runtime, asked(vcpus=8), [ids.new_uuid()])
        raise KeyError("the caller's own fault")

    for _ in range(2):
        with pytest.raises(KeyError):
            still_cloud.database.write("fail", fail)
    assert place(still_cloud, vcpus=8) == ["one"]


def test_what_others_claim_is_seen(still_cloud: TestCloud) -> None:
    provider = add_host(still_cloud, "one")
    add_host(still_cloud, "two")
    assert place(still_cloud) == ["one"]
    still_cloud.database.write(
        "other", placement.claim, ids.new_uuid(), project_id="p", user_id="u", resources={provider: {"VCPU": 6}}
    )
    assert place(still_cloud, 3) == ["two"] * 3


def test_hosts_that_are_disabled_or_down_are_noticed_at_once(still_cloud: TestCloud) -> None:
    add_host(still_cloud, "one")
    add_host(still_cloud, "two")
    place(still_cloud)
    set_state(still_cloud, "one", disabled=True)
    set_state(still_cloud, "two", forced_down=True)
    with pytest.raises(NoValidHost, match=r"hosts, 1 after leaving out disabled hosts, 0 after leaving out hosts that"):
        place(still_cloud)
    set_state(still_cloud, "two", forced_down=False)
    assert place(still_cloud) == ["two"]


def test_groups_and_hints(still_cloud: TestCloud) -> None:
    for name in ("one", "two", "three"):
        add_host(still_cloud, name)
    there = rows.insert(still_cloud, mark=False, host="two")
    group = ids.new_uuid()

    def write(tx: Transaction) -> None:
        row = {"id": group, "project_id": "p", "user_id": "u", "name": "g", "policy": "anti-affinity", "rules": {}}
        tx.execute(server_groups.insert(), row | {"created_at": tx.now})
        tx.execute(server_group_members.insert(), {"group_id": group, "server_id": there, "added_at": tx.now})

    still_cloud.database.write("group", write)
    assert set(place(still_cloud, 2, server_group_id=group)) == {"one", "three"}
    with pytest.raises(NoValidHost, match="0 after server group"):
        place(still_cloud, 3, server_group_id=group)
    assert place(still_cloud, hints={"same_host": there}) == ["two"]
    assert "two" not in place(still_cloud, 2, hints={"different_host": [there]})
    with pytest.raises(NoValidHost, match="cannot be read"):
        place(still_cloud, hints={"query": "no"})
    with pytest.raises(NoValidHost, match="is no network"):
        place(still_cloud, hints={"build_near_host_ip": "everywhere"})
    with pytest.raises(NoValidHost, match="more than 1000"):
        place(still_cloud, hints={"same_host": ["x"] * 1001})


def test_zones_follow_aggregates(still_cloud: TestCloud) -> None:
    add_host(still_cloud, "one")
    with pytest.raises(NoValidHost, match="0 after availability zone"):
        place(still_cloud, zone="west")

    def write(tx: Transaction) -> None:
        row = {"uuid": ids.new_uuid(), "name": "west", "zone": "west", "metadata": {"availability_zone": "west"}}
        made = tx.execute(aggregates.insert(), row | {"created_at": tx.now})
        key = made.inserted_primary_key[0]  # type: ignore[index]
        tx.execute(aggregate_hosts.insert(), {"aggregate_id": key, "host": "one", "added_at": tx.now})

    still_cloud.database.write("aggregate", write)
    assert place(still_cloud, zone="west") == ["one"]
    with pytest.raises(NoValidHost):
        place(still_cloud, zone="nova")


def test_forced_hosts_are_claimed_as_far_as_there_is_room(still_cloud: TestCloud) -> None:
    add_host(still_cloud, "one")
    set_state(still_cloud, "one", disabled=True)

    def claim(name: str, vcpus: int) -> None:
        still_cloud.database.write(
            "claim", scheduler.claim_on, still_cloud.runtime, name, asked(vcpus=vcpus), ids.new_uuid()
        )

    claim("one", 8)
    with pytest.raises(NoValidHost, match="exceed the capacity"):
        claim("one", 1)
    with pytest.raises(NoValidHost, match="There is no host gone"):
        claim("gone", 1)


def test_a_forced_host_is_looked_at_by_no_filter(still_cloud: TestCloud) -> None:
    add_host(still_cloud, "one")
    set_state(still_cloud, "one", forced_down=True)
    with pytest.raises(NoValidHost):
        place(still_cloud, host="one")
    assert place(still_cloud, host="one", forced=True, zone="elsewhere") == ["one"]
    with pytest.raises(NoValidHost, match="exceed the capacity"):
        place(still_cloud, host="one", forced=True, vcpus=100)
    with pytest.raises(NoValidHost, match="no such host"):
        place(still_cloud, host="gone", forced=True)
    set_state(still_cloud, "one", disabled=True)
    with pytest.raises(NoValidHost, match="disabled"):
        place(still_cloud, host="one", forced=True)


def test_many_at_once_never_go_over(still_cloud: TestCloud) -> None:
    one, two = add_host(still_cloud, "one"), add_host(still_cloud, "two")

    def attempt(_: int) -> bool:
        try:
            place(still_cloud, vcpus=2)
        except NoValidHost:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(attempt, range(14))) == 8
    assert (used(still_cloud, one), used(still_cloud, two)) == (8, 8)
