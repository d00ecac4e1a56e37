"""Compute's tables, by area; every name is here."""

from __future__ import annotations

from stackyard.services.compute.tables.actions import instance_actions, instance_events
from stackyard.services.compute.tables.servers import block_devices, server_tags, servers

__all__ = ["block_devices", "instance_actions", "instance_events", "server_tags", "servers"]
