"""Making an image of a container: reserved in the image service at once, filled by the reconciler of commits."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from msgspec import Meta
from sqlalchemy import bindparam

from stackyard.core import reconcile, timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Moment, Transaction, metadata
from stackyard.services.containers.containers import states
from stackyard.services.containers.containers.create import KIND
from stackyard.services.containers.containers.values import nothing_for_none, of_call
from stackyard.services.image import api as image_api

COMMIT_KIND = "container_commit"

commits = sa.Table(
    "container_commits",
    metadata,
    sa.Column("image_id", sa.String(36), primary_key=True),
    sa.Column("container_uuid", sa.String(36), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

BY_IMAGE = sa.select(commits).where(commits.c.image_id == bindparam("image_id"))
DROP = sa.delete(commits).where(commits.c.image_id == bindparam("image_id"))
ALL = sa.select(commits.c.image_id)

_Word = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\A[a-zA-Z0-9][a-zA-Z0-9_./:-]*\Z")]


class CommitParameters(Body):
    """The image's name and tag."""

    repository: _Word
    tag: _Word | None = None


def commit(tx: Transaction, call: Call) -> Reply:
    """POST .../commit?repository=&tag=: the id of the new image, which becomes active when it is filled."""
    row = call.target
    states.require(row, "commit")
    asked = of_call(CommitParameters, call)
    tag = nothing_for_none(asked.tag)
    name = asked.repository if tag is None else f"{asked.repository}:{tag}"
    image_id = image_api.reserve_image(tx, call.runtime, call.caller, name=name)
    made: dict[str, Any] = {"image_id": image_id, "container_uuid": row.uuid, "created_at": tx.now}
    tx.execute(sa.insert(commits), made)
    timeline.record(tx, KIND, row.uuid, "commit asked", f"to image {image_id}")
    reconcile.mark(tx, reconcile.kind_on(COMMIT_KIND, row.host), image_id)
    return Reply({"uuid": image_id}, status=202)
