"""Plans converge: whatever row and engine say, following the plan reaches what is wanted and then asks for nothing."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.host.specs import ContainerObservation
from stackyard.services.containers.containers.states import Status, Wanted
from stackyard.services.containers.reconcile.plan import BUILD_LABEL, Step, Wish, plan
from stackyard.services.containers.reconcile.settle import settle

STATES = ("created", "running", "paused", "restarting", "exited", "dead")


class Host:
    """An engine that does what steps say, as far as a plan can see."""

    def __init__(self, seen: ContainerObservation | None) -> None:
        self.seen = seen
        self.forgotten = False
        self.lost = False
        self.starts = 0

    def state(self, state: str) -> None:
        assert self.seen is not None, "a step needs a container that is not there"
        self.seen = msgspec.structs.replace(self.seen, state=state, exit_code=0 if state == "exited" else None)

    def take(self, step: Step, wish: Wish) -> None:
        match step:
            case Step.REMOVE | Step.TAKE_DOWN:
                self.seen = None
            case Step.CREATE:
                assert self.seen is None, "created twice"
                self.seen = observation("created", wish.build)
            case Step.START:
                assert self.seen is not None
                assert self.seen.state != "running", "started twice"
                self.starts += 1
                self.state("running")
            case Step.STOP:
                self.state("exited")
            case Step.PAUSE:
                assert self.seen is not None
                assert self.seen.state == "running"
                self.state("paused")
            case Step.UNPAUSE:
                assert self.seen is not None
                assert self.seen.state == "paused"
                self.state("running")
            case Step.FORGET:
                assert self.seen is None, "the row goes before the container"
                self.forgotten = True
            case Step.LOST:
                self.lost = True
            case Step.FETCH_IMAGE | Step.WIRE | Step.LIMIT:
                assert step is not Step.LIMIT or self.seen is not None


def observation(state: str, build: int = 1) -> ContainerObservation:
    return ContainerObservation(
        id="x", state=state, exit_code=0 if state == "exited" else None, labels={BUILD_LABEL: str(build)}
    )


def settled(wish: Wish, seen: ContainerObservation) -> Wish:
    """The wish as the row has it after the outcome was written."""
    return msgspec.structs.replace(
        wish,
        wanted=settle(wish, seen).wanted,
        run_done=wish.run,
        build_done=wish.build,
        stop_first=False,
        limits_changed=False,
        wiring_changed=False,
        same_boot=True,
    )


wishes = st.builds(
    Wish,
    wanted=st.sampled_from(Wanted),
    run=st.integers(0, 3),
    run_done=st.integers(0, 3),
    build=st.integers(1, 3),
    build_done=st.integers(0, 3),
    stop_first=st.booleans(),
    stop_timeout=st.none() | st.integers(0, 10),
    limits_changed=st.booleans(),
    wiring_changed=st.booleans(),
    auto_heal=st.booleans(),
    auto_remove=st.booleans(),
    same_boot=st.booleans(),
)
seens = st.none() | st.builds(observation, st.sampled_from(STATES), st.integers(1, 3))


@given(wishes, seens, st.integers(0, 8))
def test_any_state_converges_even_when_cut_off(wish: Wish, seen: ContainerObservation | None, cut: int) -> None:
    host = Host(seen)
    for step in plan(wish, host.seen)[:cut]:  # killed in the middle: nothing of it was written
        host.take(step, wish)
    for _ in range(4):
        steps = plan(wish, host.seen)
        for step in steps:
            host.take(step, wish)
        if host.forgotten or host.lost or wish.wanted is Wanted.FAILED:
            return
        assert host.seen is not None
        wish = settled(wish, host.seen)
        if wish.wanted is not Wanted.DELETED and not plan(wish, host.seen):
            break
    assert wish.wanted is not Wanted.DELETED
    assert plan(wish, host.seen) == []


@given(wishes, seens)
def test_deleting_always_ends_with_nothing(wish: Wish, seen: ContainerObservation | None) -> None:
    wish = msgspec.structs.replace(wish, wanted=Wanted.DELETED)
    steps = plan(wish, seen)
    assert steps[-2:] == [Step.TAKE_DOWN, Step.FORGET]


@given(wishes, seens)
def test_nothing_starts_before_it_is_wired(wish: Wish, seen: ContainerObservation | None) -> None:
    steps = plan(wish, seen)
    if Step.START in steps:
        assert Step.WIRE in steps[: steps.index(Step.START)]


def test_new_container_is_fetched_created_wired_and_started() -> None:
    wish = Wish(wanted=Wanted.RUNNING, run=1)
    assert plan(wish, None) == [Step.FETCH_IMAGE, Step.CREATE, Step.WIRE, Step.START]


def test_what_ended_by_itself_is_not_started_again() -> None:
    wish = Wish(wanted=Wanted.RUNNING, run=1, run_done=1, build_done=1)
    assert plan(wish, observation("exited")) == []
    found = settle(wish, observation("exited"))
    assert (found.status, found.wanted) == (Status.STOPPED, Wanted.STOPPED)


def test_what_ended_with_the_host_is_started_again() -> None:
    wish = Wish(wanted=Wanted.RUNNING, run=1, run_done=1, build_done=1, same_boot=False)
    assert plan(wish, observation("exited")) == [Step.WIRE, Step.START]
    assert plan(msgspec.structs.replace(wish, wanted=Wanted.STOPPED), observation("exited")) == []


def test_reboot_stops_first_and_start_does_not() -> None:
    asked = Wish(wanted=Wanted.RUNNING, run=2, run_done=1, build_done=1, stop_first=True)
    assert plan(asked, observation("running")) == [Step.STOP, Step.WIRE, Step.START]
    assert plan(msgspec.structs.replace(asked, stop_first=False), observation("running")) == []


def test_rebuild_removes_the_old_build() -> None:
    wish = Wish(wanted=Wanted.CREATED, build=2, build_done=1)
    assert plan(wish, observation("running")) == [Step.REMOVE, Step.FETCH_IMAGE, Step.CREATE, Step.WIRE]
    assert plan(wish, observation("created", build=2)) == []


@pytest.mark.parametrize(
    ("auto_heal", "auto_remove", "expected"),
    [
        (False, False, [Step.LOST]),
        (False, True, [Step.TAKE_DOWN, Step.FORGET]),
        (True, False, [Step.FETCH_IMAGE, Step.CREATE, Step.WIRE, Step.START]),
    ],
)
def test_what_somebody_removed(auto_heal: bool, auto_remove: bool, expected: list[Step]) -> None:
    wish = Wish(wanted=Wanted.RUNNING, run=1, run_done=1, build_done=1, auto_heal=auto_heal, auto_remove=auto_remove)
    assert plan(wish, None) == expected


def test_reasons_name_the_cause() -> None:
    wish = Wish(wanted=Wanted.RUNNING)
    killed = msgspec.structs.replace(observation("exited"), oom_killed=True, exit_code=137)
    assert "memory limit" in (settle(wish, killed).reason or "")
    failed = msgspec.structs.replace(observation("exited"), exit_code=2)
    assert "exit code 2" in (settle(wish, failed).reason or "")
