"""What becomes of a server's volumes when it ends, and when one of them has grown."""

from __future__ import annotations

from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.compute.servers import finding, tasks
from stackyard.services.compute.volumes import rows
from stackyard.services.compute.volumes.rows import State
from stackyard.services.volume import api as volume_api


def release(tx: Transaction, runtime: Runtime, server_id: str) -> None:
    """A server ends: its volumes are free again, and those that were to go with it go."""
    for row in rows.of_server(tx, server_id):
        if row.attachment_id is not None:
            volume_api.detached(tx, row.attachment_id)
        rows.delete(tx, row.id)
        if row.delete_on_termination:
            volume_api.delete(tx, runtime, row.volume_id)


def tell(tx: Transaction, server_id: str, event: str, volume_id: str) -> None:
    """Something happened to a volume of a server: one that has grown is shown so by its disk, soon."""
    server = finding.by_id(tx, server_id)
    if event != "volume-extended" or server is None or server.host is None:
        return
    for row in rows.of_server(tx, server_id):
        if row.volume_id == volume_id and row.state == State.ATTACHED:
            rows.update(tx, row.id, state=State.EXTENDED)
            tasks.mark(tx, server_id, server.host)


def require_host(tx: Transaction, runtime: Runtime, server: Any) -> str | None:
    """The one host that a server can be on because of its volumes; None when any will do."""
    if runtime.settings.volume.shared:
        return None
    found = volume_api.rows(tx, [row.volume_id for row in rows.of_server(tx, server.id)])
    return next((volume.host for volume in found.values() if volume.host), None)
