"""What the control plane tells a host to make true, and what the host reports back: plain data, nothing else.

A spec is complete: a driver that gets it needs no other source to make the thing true, may get it again at any time
(applying twice is applying once), and removes what the spec no longer says. Addresses are text, sizes are MiB,
times are seconds unless a name says otherwise. All are msgspec structs, so that they travel to a remote agent as JSON.
"""

from __future__ import annotations

from stackyard.host.specs.base import (
    Spec,
)
from stackyard.host.specs.containers import (
    BindMount,
    ContainerObservation,
    ContainerSpec,
    ContainerStats,
    EngineEvent,
    EngineInfo,
    ExecResult,
    HealthCheck,
    ImageObservation,
    ProcessTable,
)
from stackyard.host.specs.network import (
    Address,
    AddressPair,
    FloatingIPSpec,
    HostRecord,
    NetworkObservation,
    NetworkSpec,
    PortSpec,
    Route,
    RouterGateway,
    RouterInterface,
    RouterSpec,
    SecurityGroupSpec,
    SecurityRule,
    ServicePort,
    SubnetSpec,
)

__all__ = [
    "Address",
    "AddressPair",
    "BindMount",
    "ContainerObservation",
    "ContainerSpec",
    "ContainerStats",
    "EngineEvent",
    "EngineInfo",
    "ExecResult",
    "FloatingIPSpec",
    "HealthCheck",
    "HostRecord",
    "ImageObservation",
    "NetworkObservation",
    "NetworkSpec",
    "PortSpec",
    "ProcessTable",
    "Route",
    "RouterGateway",
    "RouterInterface",
    "RouterSpec",
    "SecurityGroupSpec",
    "SecurityRule",
    "ServicePort",
    "Spec",
    "SubnetSpec",
]
