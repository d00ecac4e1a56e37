"""Decisions: who is chosen among those that will do, what a refusal says, and what always holds."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.compute.scheduler.yard import circumstances, host, request, snapshot

from stackyard.services.compute.scheduler.decision import decide
from stackyard.services.compute.scheduler.hosts import Snapshot
from stackyard.services.compute.scheduler.request import NoValidHost, Request


def use(state: Snapshot, name: str, asked: Request) -> None:
    one = state.by_name[name]
    state.use(one.provider, {key: one.used.get(key, 0) + amount for key, amount in asked.resources().items()})


def test_the_freest_host_is_first() -> None:
    state = snapshot(host("a"), host("b"), host("c", memory=32768))
    chosen = []
    for _ in range(6):
        one = decide(state, request(memory=4096), circumstances())
        use(state, one.name, request(memory=4096))
        chosen.append(one.name)
    assert chosen[0] == "c"
    assert set(chosen) == {"a", "b", "c"}


def test_a_refusal_says_what_each_filter_left() -> None:
    hosts = [host(f"h{number:02}", zone="east") for number in range(9)]
    hosts += [host(f"w{number}", zone="west", memory=900 - number) for number in range(3)]
    with pytest.raises(NoValidHost) as refused:
        decide(snapshot(*hosts), request(memory=2048, zone="west"), circumstances())
    assert str(refused.value) == (
        "No valid host was found. 12 hosts, 3 after availability zone, 0 after RAM: "
        "the largest free is 900 MiB of the 2048 asked."
    )
    with pytest.raises(NoValidHost, match=r"^No valid host was found\. 0 hosts\.$"):
        decide(snapshot(), request(), circumstances())
    with pytest.raises(NoValidHost, match=r"1 host, 0 after leaving out disabled hosts\.$"):
        decide(snapshot(host("a", enabled=False)), request(), circumstances())


def test_soft_policies_prefer_but_do_not_insist() -> None:
    state = snapshot(host("a", memory=1024), host("b", memory=65536))
    together = circumstances(policy="soft-affinity", group_hosts={"a": 2})
    assert decide(state, request(), together).name == "a"
    assert decide(state, request(memory=2048), together).name == "b", "there is no room beside the others"
    apart = circumstances(policy="soft-anti-affinity", group_hosts={"b": 1})
    assert decide(state, request(), apart).name == "a"
    assert decide(state, request(memory=2048), apart).name == "b"


def test_ties_go_by_name() -> None:
    assert decide(snapshot(host("b"), host("a"), host("c")), request(), circumstances()).name == "a"


def test_what_is_used_up_is_seen_in_every_ranking() -> None:
    state = snapshot(host("a", zone="west"), host("b", zone="west"))
    for _ in range(2):
        for asked in (request(zone="west", memory=16384), request(memory=16384)):
            one = decide(state, asked, circumstances())
            use(state, one.name, asked)
        with pytest.raises(NoValidHost, match="0 after RAM"):
            decide(state, request(), circumstances())
        for name in ("a", "b"):
            state.use(state.by_name[name].provider, {"MEMORY_MB": 0, "VCPU": 0, "DISK_GB": 0})


SIZES = st.tuples(st.integers(1, 8), st.integers(1, 4096), st.integers(0, 20))
HOSTS = st.lists(st.tuples(st.integers(0, 16), st.integers(0, 8192), st.integers(0, 60)), min_size=1, max_size=8)


def made(sizes: list[tuple[int, int, int]]) -> Snapshot:
    return snapshot(
        *(host(f"h{n}", vcpus=vcpus, memory=memory, disk=disk) for n, (vcpus, memory, disk) in enumerate(sizes))
    )


@given(HOSTS, st.lists(SIZES, max_size=30))
def test_no_host_is_ever_over_and_none_refused_that_fits(
    sizes: list[tuple[int, int, int]], wanted: list[tuple[int, int, int]]
) -> None:
    state, twin = made(sizes), made(sizes)
    for vcpus, memory, disk in wanted:
        asked = request(vcpus=vcpus, memory=memory, disk=disk)
        room = [one for one in state.hosts if one.fits(asked.resources())]
        try:
            chosen = decide(state, asked, circumstances())
        except NoValidHost:
            assert not room
            continue
        assert chosen in room
        assert chosen.score == max(one.score for one in room), "it is the freest"
        assert decide(twin, asked, circumstances()).name == chosen.name, "the same input, the same host"
        for one in (state, twin):
            use(one, chosen.name, asked)
        assert all(amount >= 0 for one in state.hosts for amount in one.free.values())


@given(HOSTS, st.integers(1, 12), st.integers(1, 3))
def test_groups_stay_together_or_apart(sizes: list[tuple[int, int, int]], count: int, most: int) -> None:
    asked = request(vcpus=1, memory=100, disk=0)
    for policy in ("affinity", "anti-affinity"):
        state, there = made(sizes), Counter[str]()
        for _ in range(count):
            found = circumstances(policy=policy, max_per_host=most, group_hosts=dict(there))
            try:
                chosen = decide(state, asked, found)
            except NoValidHost:
                break
            use(state, chosen.name, asked)
            there[chosen.name] += 1
        if policy == "affinity":
            assert len(there) <= 1
        else:
            assert all(number <= most for number in there.values())
