"""The back-end scheduler: what each filter keeps, what is chosen, what a refusal says; and laws for any back ends."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.services.volume.scheduler import Backend, NoValidBackend, Place, Request, choose


def backend(host: str = "a", name: str = "file", **fields: Any) -> Backend:
    given = {"zone": "nova", "total": 100.0, "free": 100.0, "capabilities": {"volume_backend_name": name}} | fields
    return Backend(host=host, name=name, **given)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"up": False}, {}),
        ({"disabled": True}, {}),
        ({"free": 4.0}, {}),
        ({"provisioned": 96}, {}),
        ({"reserved_percentage": 96}, {}),
        ({"zone": "other"}, {"zone": "nova"}),
        ({}, {"extra_specs": {"volume_backend_name": "lvm"}}),
        ({}, {"extra_specs": {"capabilities:volume_backend_name": "lvm"}}),
        ({}, {"extra_specs": {"fast": "<is> True"}}),
        ({}, {"extra_specs": {"RESKEY:availability_zones": "x, y"}}),
        ({}, {"only": Place("b", "file")}),
        ({}, {"same": frozenset({Place("b", "file")})}),
        ({}, {"other": frozenset({Place("a", "file")})}),
    ],
)
def test_what_keeps_a_volume_out(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    with pytest.raises(NoValidBackend):
        choose([backend(**fields)], Request(size=5, **wanted))


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"provisioned": 1000, "over_subscription": 20.0}, {}),
        ({"provisioned": 1000, "thin": False}, {}),
        ({"zone": "other"}, {}),
        ({}, {"extra_specs": {"volume_backend_name": "<or> lvm <or> file"}}),
        ({"capabilities": {"multiattach": "True"}}, {"extra_specs": {"multiattach": "<is> true"}}),
        ({}, {"extra_specs": {"provisioning:min_vol_size": "1", "quality:gold": "yes"}}),
        ({}, {"extra_specs": {"RESKEY:availability_zones": "x, nova"}}),
        ({}, {"only": Place("a", "file"), "same": frozenset({Place("a", "file")})}),
    ],
)
def test_what_does_not(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert choose([backend(**fields)], Request(size=5, **wanted)).place == Place("a", "file")


def test_the_one_with_most_room_is_chosen() -> None:
    full, half, empty = backend("a", provisioned=90), backend("b", provisioned=50), backend("c")
    assert choose([full, half, empty], Request(size=5)).host == "c"
    assert choose([backend("b"), backend("a")], Request(size=5)).host == "a"


def test_a_refusal_says_what_each_filter_left() -> None:
    with pytest.raises(NoValidBackend) as refusal:
        choose([backend("a", up=False), backend("b", zone="x")], Request(size=7, zone="nova"))
    text = str(refusal.value)
    assert "Of 2 back ends" in text
    assert "service is up and enabled: 1" in text
    assert "availability zone: 0" in text
    assert "7 GiB" in text


BACKENDS = st.lists(
    st.builds(
        backend,
        host=st.sampled_from("abcdef"),
        name=st.sampled_from(["file", "lvm"]),
        zone=st.sampled_from(["x", "y"]),
        up=st.booleans(),
        disabled=st.booleans(),
        total=st.floats(0, 1000),
        free=st.floats(0, 1000),
        provisioned=st.integers(0, 3000),
        thin=st.booleans(),
        over_subscription=st.floats(1, 20),
        reserved_percentage=st.integers(0, 99),
    ),
    max_size=6,
)
REQUESTS = st.builds(
    Request,
    size=st.integers(0, 500),
    zone=st.sampled_from(["", "x", "y"]),
    extra_specs=st.sampled_from([{}, {"volume_backend_name": "lvm"}]),
    other=st.sets(st.builds(Place, st.sampled_from("abc"), st.just("file"))).map(frozenset),
)


def chosen(backends: list[Backend], request: Request) -> Backend | None:
    try:
        return choose(backends, request)
    except NoValidBackend:
        return None


@given(BACKENDS, REQUESTS)
def test_what_is_chosen_may_keep_it_and_nothing_better_was_there(backends: list[Backend], request: Request) -> None:
    found = chosen(backends, request)
    fit = [one for one in backends if chosen([one], request) is not None]
    assert (found is None) == (not fit)
    if found is not None:
        assert found in fit
        assert found.room >= request.size
        assert all(found.room >= one.room for one in fit)


@given(BACKENDS, REQUESTS, st.integers(1, 500))
def test_asking_for_more_never_finds_what_asking_for_less_did_not(
    backends: list[Backend], request: Request, more: int
) -> None:
    larger = msgspec.structs.replace(request, size=request.size + more)
    if chosen(backends, larger) is not None:
        assert chosen(backends, request) is not None


@given(BACKENDS, REQUESTS)
def test_the_order_of_back_ends_does_not_matter(backends: list[Backend], request: Request) -> None:
    one, two = chosen(backends, request), chosen(backends[::-1], request)
    assert (one and (one.place, one.room)) == (two and (two.place, two.room))
