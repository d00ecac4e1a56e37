"""What operations that never came to their end have taken of the cloud, given back when the server goes.

It is found without the task, which a later request (delete above all) has taken the place of.
"""

from __future__ import annotations

from typing import Any

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.compute import migrations, scheduler
from stackyard.services.compute.servers import resize, tasks
from stackyard.services.compute.servers.system_metadata import SHELVED_IMAGE
from stackyard.services.image import api as image_api

UNFILLED = ("queued", "saving")


def clear(tx: Transaction, runtime: Runtime, server: Any) -> None:
    """Give back what a resize holds twice, and delete images that were never filled, and the one it was shelved as.

    The server is counted by its own flavor after that, in Placement and by its project's quota.
    """
    for image in image_api.snapshots_of(tx, server.id, {}):
        if image.status in UNFILLED or image.id == (server.system_metadata or {}).get(SHELVED_IMAGE):
            image_api.discard_image(tx, runtime, image.id)
    live = resize.open_live_move(tx, server.id)
    if live is not None:
        scheduler.release(tx, live.uuid)
        migrations.update(tx, live.uuid, status="cancelled")
        for host in {live.source_compute, live.dest_compute} - {server.host}:
            tasks.mark(tx, server.id, host)
    move = resize.open_move(tx, server.id)
    if move is None:
        return
    if server.old_flavor is None:
        resize.undo(tx, runtime, server, move, status="error")
    else:
        resize.keep(tx, runtime, server, move, status="error")
