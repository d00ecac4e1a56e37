"""The config drive of a server: the documents of the metadata service, as files."""

from __future__ import annotations

from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.compute.guests import ec2, openstack
from stackyard.services.compute.guests.facts import Guest, as_json, gather, with_files

LABEL = "config-2"
"""The label of its file system, by which guests find it."""

_EC2_VERSIONS = (ec2.VERSIONS[-1], "latest")


def files(tx: Transaction, runtime: Runtime, server: Any) -> dict[str, bytes]:
    """The content of each file by its path on the drive, for the server of this row.

    While a task runs that has a new password for its administrator, the drive tells it, and no drive does later.
    """
    return layout(with_files(gather(tx, runtime, server), password(server)))


def password(server: Any) -> str | None:
    """The administrator's password that the task at work on a server has for it."""
    return (server.task or {}).get("admin_password")


def layout(guest: Guest) -> dict[str, bytes]:
    """The files for a guest."""
    found: dict[str, bytes] = {}
    for version in _EC2_VERSIONS:
        tree = ec2.tree(guest, ec2.VERSIONS[-1])
        if "user-data" in tree:
            found[f"ec2/{version}/user-data"] = tree["user-data"]
        found[f"ec2/{version}/meta-data.json"] = as_json(ec2.without_names(tree["meta-data"]))
    for version in (*openstack.VERSIONS, "latest"):
        meant = openstack.resolve(version) or version
        for name in openstack.names(guest, meant):
            if name != openstack.PASSWORD:
                content = openstack.document(guest, meant, name)
                found[f"openstack/{version}/{name}"] = content if isinstance(content, bytes) else as_json(content)
    for index, (_, content) in enumerate(guest.content):
        found[f"openstack/content/{index:04d}"] = content
    return found
