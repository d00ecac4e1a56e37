"""Compute's tables, by area; every name is here."""

from __future__ import annotations

from stackyard.services.compute.tables.actions import instance_actions, instance_events
from stackyard.services.compute.tables.consoles import console_tokens
from stackyard.services.compute.tables.flavors import flavor_projects, flavors
from stackyard.services.compute.tables.groups import server_group_members, server_groups
from stackyard.services.compute.tables.hosts import aggregate_hosts, aggregates, compute_nodes, compute_services
from stackyard.services.compute.tables.keypairs import keypairs
from stackyard.services.compute.tables.migrations import migrations
from stackyard.services.compute.tables.quotas import user_quotas
from stackyard.services.compute.tables.servers import block_devices, server_tags, servers
from stackyard.services.compute.tables.transfers import transfer_tickets

__all__ = [
    "aggregate_hosts",
    "aggregates",
    "block_devices",
    "compute_nodes",
    "compute_services",
    "console_tokens",
    "flavor_projects",
    "flavors",
    "instance_actions",
    "instance_events",
    "keypairs",
    "migrations",
    "server_group_members",
    "server_groups",
    "server_tags",
    "servers",
    "transfer_tickets",
    "user_quotas",
]
