"""Every step of every change fails once: nothing half made stays, and the next try succeeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pyroute2
import pytest
from tests.dataplane.lab import EVERYTHING, OUTSIDE, Lab, new_id, new_mac, run, subnet

from stackyard.host.errors import HostError
from stackyard.host.network import names
from stackyard.host.network.nft import Nftables, NftError
from stackyard.host.specs import FloatingIPSpec, PortSpec, RouterSpec

pytestmark = pytest.mark.root

STEPS = 80
"""More kernel calls than any change makes."""


@dataclass
class Saboteur:
    """Makes the kernel call of that number fail, once; 0 is the first."""

    left: int = -1

    def step(self, error: Exception) -> None:
        self.left -= 1
        if self.left == -1:
            raise error


@pytest.fixture
def saboteur(monkeypatch: pytest.MonkeyPatch) -> Saboteur:
    made = Saboteur()
    run_rtnl = pyroute2.IPRoute._run_generic_rtnl

    def failing(self: object, function: object, *arguments: object, **options: object) -> object:
        if "del" not in arguments:
            made.step(pyroute2.NetlinkError(5, "sabotage"))
        return run_rtnl(self, function, *arguments, **options)

    monkeypatch.setattr(pyroute2.IPRoute, "_run_generic_rtnl", failing)
    run_nft = Nftables.run

    def failing_nft(self: Nftables, text: str) -> None:
        made.step(NftError("sabotage"))
        run_nft(self, text)

    monkeypatch.setattr(Nftables, "run", failing_nft)
    return made


def fail_everywhere(saboteur: Saboteur, change: Callable[[], None], check: Callable[[], None]) -> int:
    """Let each kernel call fail in turn; says how many the change makes."""
    for number in range(STEPS):
        saboteur.left = number
        try:
            change()
        except HostError as error:
            assert "sabotage" in str(error)  # noqa: PT017 - the loop ends with the try that nothing stops
            saboteur.left = -1
            check()
        else:
            saboteur.left = -1
            return number
    raise AssertionError("the change makes more calls than were tried")


def test_a_port_that_fails_anywhere_leaves_nothing(lab: Lab, saboteur: Saboteur) -> None:
    network, group, place = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING), lab.place()
    wanted = lab.attach(
        network, "10.1.0.5", "fd01::5/64", groups=(group,), at=place, gateways=("10.1.0.1", "fd01::1")
    ).port
    lab.driver.remove_port(wanted.id)

    def check() -> None:
        assert names.port(wanted.id) not in lab.fabric.run("ip", "link").stdout
        assert names.short(wanted.id) not in lab.fabric.run("nft", "list", "table", "bridge", "stackyard").stdout
        assert "eth0" not in place.run("ip", "link").stdout

    assert fail_everywhere(saboteur, lambda: lab.driver.apply_port(wanted), check) > 8
    assert lab.driver.observe().ports == {wanted.id}


def test_a_change_of_a_port_that_fails_anywhere_can_be_repeated(lab: Lab, saboteur: Saboteur) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    one = lab.attach(network, "10.1.0.5", groups=(group,), gateways=("10.1.0.1",))
    two = lab.attach(network, "10.1.0.9", groups=(group,))
    moved = lab.attach(network, "10.1.0.6", groups=(group,)).port
    lab.driver.remove_port(moved.id)
    after = msgspec.structs.replace(one.port, addresses=moved.addresses, mac=new_mac(), gateways=("10.1.0.254",))

    def change() -> None:
        lab.driver.apply_port(after)

    def back() -> None:
        lab.driver.apply_port(one.port)

    assert fail_everywhere(saboteur, change, back) > 5
    assert lab.driver.observe().problems == {}
    assert two.pings("10.1.0.6")
    assert "10.1.0.5/" not in one.run("ip", "addr").stdout
    assert "via 10.1.0.254" in one.run("ip", "route").stdout


def test_a_network_that_fails_anywhere_leaves_nothing(lab: Lab, saboteur: Saboteur) -> None:
    wanted = lab.served_network(subnet(f"{OUTSIDE}.0/24"), external=True)
    lab.driver.remove_network(wanted.id)

    def check() -> None:
        assert lab.fabric.run("ip", "-o", "link").stdout.count("\n") == 1
        assert names.host_leg(lab.cloud, wanted.id) not in run("ip", "link").stdout
        assert f"sy-{lab.cloud}-d-" not in run("ip", "netns").stdout

    assert fail_everywhere(saboteur, lambda: lab.driver.apply_network(wanted), check) > 10
    assert lab.driver.observe().networks == {wanted.id}


def test_a_router_that_fails_anywhere_leaves_nothing(lab: Lab, saboteur: Saboteur) -> None:
    outside = lab.network(subnet(f"{OUTSIDE}.0/24"), external=True)
    inside = lab.network(subnet("10.1.0.0/24"), subnet("fd01::/64", ipv6_mode="slaac"))
    floating = FloatingIPSpec(id=new_id(), floating_ip=f"{OUTSIDE}.50", fixed_ip="10.1.0.6")
    wanted = lab.router(inside, external=outside, gateway=f"{OUTSIDE}.10", floating_ips=(floating,))
    lab.driver.remove_router(wanted.id)

    def check() -> None:
        assert "syr" not in lab.fabric.run("ip", "-o", "link").stdout
        assert f"sy-{lab.cloud}-r-" not in run("ip", "netns").stdout

    assert fail_everywhere(saboteur, lambda: lab.driver.apply_router(wanted), check) > 15
    assert lab.driver.observe().routers == {wanted.id}


def test_a_driver_that_died_at_any_step_is_carried_on_by_the_next(lab: Lab, saboteur: Saboteur) -> None:
    network, group = lab.served_network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    one = lab.attach(network, "10.1.0.5", groups=(group,), gateways=("10.1.0.1",))
    router = lab.router(network)
    half_made: list[PortSpec] = []

    def die_half_way(spec: PortSpec | RouterSpec, number: int) -> None:
        """As a killed process: what was made stays, for nothing runs that could undo it."""
        saboteur.left = number
        applied = lab.driver.apply_port if isinstance(spec, PortSpec) else lab.driver.apply_router
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("contextlib.ExitStack.__exit__", lambda *_: False)
            with pytest.raises(HostError, match="sabotage"):
                applied(spec)
        saboteur.left = -1
        lab.restart_driver()

    for number in range(5):  # either takes more steps than that
        where = lab.place()
        spec = msgspec.structs.replace(one.port, id=new_id(), netns=where.path, mac=new_mac())
        die_half_way(spec, number)
        half_made.append(spec)
        die_half_way(msgspec.structs.replace(router, id=new_id()), number)
    for again in half_made:
        lab.driver.apply_port(again)
    lab.driver.apply_network(network)
    lab.driver.apply_security_group(group)
    assert lab.driver.observe().problems == {}
    assert lab.driver.observe().ports == {one.port.id, *(spec.id for spec in half_made)}
    lab.driver.purge()
    assert f"sy-{lab.cloud}" not in run("ip", "netns").stdout
    assert "eth0" not in one.run("ip", "link").stdout
