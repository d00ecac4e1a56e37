"""Moving packets: the Protocol that every network driver implements.

Read `NetworkDriver` first; `kernel.py` programs the Linux kernel, `memory.py` is the in-memory twin.
tests/contract/test_network_driver.py holds both to the same promises; tests/dataplane sends real packets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stackyard.host.network.metadata import MetadataHandler
from stackyard.host.specs import (
    AddressGroupSpec,
    NetworkObservation,
    NetworkPart,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    SecurityGroupSpec,
    Tap,
)


class NetworkDriver(Protocol):
    """The packet side of one host. Every method may be called from any thread and repeated at any time.

    Applying a spec makes the kernel match it, by the smallest change; what an earlier spec said and this one does not
    is removed. Things may be applied in any order: a port whose group or network has not been applied yet is safe
    (closed). A step that fails leaves nothing half made. Raises HostError, SpecError.
    """

    def start(self) -> None:
        """Make what everything else needs (the fabric namespace, base tables), adopting what an earlier run left."""
        ...

    def apply_network(self, spec: NetworkSpec) -> None:
        """Bridge, and DHCP and DNS server."""
        ...

    def remove_network(self, network_id: str) -> None:
        """Remove it with its server; gone is fine."""
        ...

    def apply_port(self, spec: PortSpec) -> None:
        """Wire the port into its namespace, with anti-spoofing and security groups in force before it is up."""
        ...

    def tap(self, port_id: str) -> Tap:
        """Where the device of a port of kind tap is, for a machine to open it (taps.open_tap)."""
        ...

    def remove_port(self, port_id: str) -> None:
        """Unwire; also when its namespace is gone already."""
        ...

    def apply_security_group(self, spec: SecurityGroupSpec) -> None:
        """Rules and members of a group; a rule taken away also ends the connections that it allowed."""
        ...

    def remove_security_group(self, group_id: str) -> None:
        """Remove it; ports still naming it get nothing from it."""
        ...

    def apply_address_group(self, spec: AddressGroupSpec) -> None:
        """The addresses that rules of security groups name together."""
        ...

    def remove_address_group(self, group_id: str) -> None:
        """Remove it; rules still naming it match nothing."""
        ...

    def apply_router(self, spec: RouterSpec) -> None:
        """Router namespace with its legs, routes, translation and advertisements."""
        ...

    def remove_router(self, router_id: str) -> None:
        """Remove it; gone is fine."""
        ...

    def entrance(self, network_id: str) -> str | None:
        """Path of a namespace of this host with an address on the network, from which its ports can be reached.

        None when there is none: the network has no server, or is not here.
        """
        ...

    def answer_metadata(self, handler: MetadataHandler) -> None:
        """Ask this handler for what guests ask of 169.254.169.254 and fe80::a9fe:a9fe; until then they are told 503."""
        ...

    def read_meters(self) -> dict[str, tuple[int, int]]:
        """Packets and bytes that each metering label of the routers here has counted since it was made, by its id."""
        ...

    def observe(self) -> NetworkObservation:
        """Look at the kernel (not at memory) and say what of ours is there and whole."""
        ...

    def unapplied(self, specs: Sequence[NetworkPart]) -> frozenset[str]:
        """The ids of those specs that are not what was applied last; with `observe`, the whole truth."""
        ...

    def purge(self) -> None:
        """Remove everything that this driver ever made on this host, and nothing else."""
        ...
