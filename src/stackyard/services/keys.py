"""What the application provides to services beyond the runtime's own: the host's drivers, and where things are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stackyard.core.runtime import Key
from stackyard.host.containers import ContainerEngine
from stackyard.host.disks import Volumes
from stackyard.host.machines import Machines
from stackyard.host.network import NetworkDriver
from stackyard.host.specs import HostCapacity

if TYPE_CHECKING:
    from stackyard.core.db import Transaction
    from stackyard.services.network.api import PortMetadata

ENGINE: Key[ContainerEngine] = Key("container engine")
"""This host's container engine."""

NETWORK_DRIVER: Key[NetworkDriver] = Key("network driver")
"""This host's network driver."""

MACHINES: Key[Machines] = Key("machine drivers")
"""This host's drivers of servers, by kind of server."""

VOLUMES: Key[Volumes] = Key("volume drivers")
"""This host's back ends of volumes, by name."""

VOLUME_EVENTS: Key[Callable[[Transaction, str, str, str], None]] = Key("events of volumes")
"""Tells a server, by its id, what happened to a volume that it has: (tx, server_id, "volume-extended", volume_id)."""

VOLUME_HOLDERS: Key[Callable[[Transaction, str, str], bool]] = Key("holders of volumes")
"""Whether a server has a volume by this attachment: (tx, server_id, attachment_id); only the server lets it go then."""

CAPACITY: Key[Callable[[], HostCapacity]] = Key("host capacity")
"""Asks what this host has, and what of it is free now."""

METADATA: Key[PortMetadata] = Key("metadata")
"""Who answers what guests ask of 169.254.169.254; a service that runs guests registers itself there."""

STATE_DIR: Key[Path] = Key("state directory")
"""Where the cloud keeps its files; each service has a folder of its own below it."""

HOST_NAME: Key[str] = Key("host name")
"""The name of this host, as APIs show it."""
