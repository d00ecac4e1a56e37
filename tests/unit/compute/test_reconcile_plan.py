"""What is done with a server that has no task, as a pure function."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.services.compute.reconcile.plan import Decision, Step, Wish, plan
from stackyard.services.compute.servers.states import Power, PowerState, VmState

STATES = ("defined", "running", "paused", "stopped", "suspended", "crashed", None)
AFTER: dict[Step, str | None] = {
    Step.BRING_UP: "running",
    Step.STOP: "stopped",
    Step.PAUSE: "paused",
    Step.SUSPEND: "suspended",
    Step.REMOVE: None,
}
POWER = {
    VmState.ACTIVE: Power.RUNNING,
    VmState.RESCUED: Power.RUNNING,
    VmState.RESIZED: Power.RUNNING,
    VmState.PAUSED: Power.PAUSED,
    VmState.SUSPENDED: Power.SUSPENDED,
    VmState.STOPPED: Power.STOPPED,
}


def settle(vm_state: str, power: str, power_state: int, seen: str | None, *, same_boot: bool = True) -> tuple[Any, ...]:
    """Do what is planned until nothing is; fails when it never ends."""
    taken: list[Step] = []
    for _ in range(6):
        wish = Wish(vm_state=vm_state, power=power, power_state=power_state, same_boot=same_boot)
        decision = plan(wish, seen)
        if decision == Decision():
            return vm_state, power_state, seen, taken
        if decision.lost:
            return VmState.ERROR, int(PowerState.NOSTATE), None, taken
        for step in decision.steps:
            seen = AFTER[step]
            same_boot = same_boot or step is Step.BRING_UP
            taken.append(step)
        vm_state = decision.columns.get("vm_state", vm_state)
        power = decision.columns.get("power", power)
        power_state = decision.columns.get("power_state", power_state)
    raise AssertionError(f"no end: {taken}")


@given(
    vm_state=st.sampled_from(list(VmState)),
    power=st.sampled_from(list(Power)),
    power_state=st.sampled_from([int(state) for state in PowerState]),
    same_boot=st.booleans(),
    seen=st.sampled_from(STATES),
)
def test_it_always_comes_to_rest(vm_state: str, power: str, power_state: int, same_boot: bool, seen: Any) -> None:
    """Whatever is wanted, written and seen: a few steps, then nothing more; and nothing that is gone is made anew."""
    _, _, there, taken = settle(vm_state, power, power_state, seen, same_boot=same_boot)
    if seen is None:
        assert taken == []
    if vm_state in (VmState.SHELVED_OFFLOADED, VmState.DELETED):
        assert there is None
    if vm_state == VmState.ERROR:
        assert (there, taken) == (seen, [])


@pytest.mark.parametrize("vm_state", [VmState.ACTIVE, VmState.PAUSED, VmState.RESCUED, VmState.RESIZED])
@pytest.mark.parametrize("ended", ["stopped", "crashed"])
def test_a_restart_of_the_host_is_undone(vm_state: VmState, ended: str) -> None:
    """What ran before the host was restarted runs again, in the state it had."""
    found = settle(vm_state, POWER[vm_state], int(PowerState.RUNNING), ended, same_boot=False)
    assert found[0] == vm_state
    assert found[2] == ("paused" if vm_state == VmState.PAUSED else "running")


@pytest.mark.parametrize("vm_state", [VmState.ACTIVE, VmState.PAUSED])
def test_what_ended_by_itself_is_stopped(vm_state: VmState) -> None:
    """As Nova's comparison of power states has it; a crash shows in the power state."""
    assert settle(vm_state, POWER[vm_state], 1, "stopped") == ("stopped", PowerState.SHUTDOWN, "stopped", [])
    assert settle(vm_state, POWER[vm_state], 1, "crashed") == ("stopped", PowerState.CRASHED, "crashed", [])


@pytest.mark.parametrize(
    ("vm_state", "seen", "steps"),
    [
        (VmState.STOPPED, "running", [Step.STOP]),
        (VmState.SHELVED, "paused", [Step.STOP]),
        (VmState.SOFT_DELETED, "running", [Step.STOP]),
        (VmState.SUSPENDED, "running", [Step.SUSPEND]),
        (VmState.PAUSED, "running", [Step.PAUSE]),
        (VmState.SHELVED_OFFLOADED, "stopped", [Step.REMOVE]),
        (VmState.ACTIVE, "paused", []),
        (VmState.ACTIVE, "defined", [Step.BRING_UP]),
    ],
)
def test_what_somebody_else_did_is_undone(vm_state: VmState, seen: str, steps: list[Step]) -> None:
    """The host is brought to what is wanted; a machine that its hypervisor paused is only shown as it is."""
    assert settle(vm_state, POWER.get(vm_state, Power.NONE), 0, seen)[3] == steps


@pytest.mark.parametrize("vm_state", [state for state in VmState if state not in ("building", "error", "deleted")])
def test_what_is_gone_is_said_to_be_gone(vm_state: VmState) -> None:
    """Not made anew unasked; and a server that is shelved away is nowhere by rights."""
    decision = plan(Wish(vm_state=vm_state, power="running", power_state=1), None)
    assert decision.lost == (vm_state != VmState.SHELVED_OFFLOADED)


def test_as_it_should_be_is_left_alone() -> None:
    """Adoption: what is as it was left needs nothing, not even a write."""
    for vm_state, power, power_state, seen in (
        (VmState.ACTIVE, Power.RUNNING, PowerState.RUNNING, "running"),
        (VmState.STOPPED, Power.STOPPED, PowerState.SHUTDOWN, "stopped"),
        (VmState.PAUSED, Power.PAUSED, PowerState.PAUSED, "paused"),
        (VmState.SUSPENDED, Power.SUSPENDED, PowerState.SHUTDOWN, "suspended"),
    ):
        assert plan(Wish(vm_state=vm_state, power=power, power_state=power_state), seen) == Decision()
