"""Volumes, what they are attached to, and snapshots of them.

Three kinds of columns: what the user asked for; what is wanted now (`task`: the one operation that is under way, with
its arguments); and what was observed. `host` and `backend` say where it is kept; the API shows `host@backend#backend`.
"""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata

volumes = sa.Table(
    "volumes",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=True, index=True),
    sa.Column("description", sa.String(255), nullable=True),
    sa.Column("size", sa.Integer, nullable=False),  # GiB
    sa.Column("availability_zone", sa.String(255), nullable=False),
    sa.Column("volume_type_id", sa.String(36), nullable=True, index=True),
    sa.Column("multiattach", sa.Boolean, nullable=False),
    sa.Column("bootable", sa.Boolean, nullable=False),
    sa.Column("encrypted", sa.Boolean, nullable=False),
    sa.Column("encryption_key_id", sa.String(36), nullable=True),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("admin_metadata", sa.JSON, nullable=False),  # readonly, attached_mode
    # volume_image_metadata: properties of the image that it was made from, and its own fields; None: it has none
    sa.Column("image_metadata", sa.JSON, nullable=True),
    # what it was made from
    sa.Column("snapshot_id", sa.String(36), nullable=True, index=True),
    sa.Column("source_volid", sa.String(36), nullable=True, index=True),
    sa.Column("image_id", sa.String(36), nullable=True),
    sa.Column("backup_id", sa.String(36), nullable=True),
    sa.Column("group_id", sa.String(36), nullable=True, index=True),
    # where it is
    sa.Column("host", sa.String(255), nullable=True, index=True),
    sa.Column("backend", sa.String(255), nullable=True),
    # states, in Cinder's words
    sa.Column("status", sa.String(32), nullable=False, index=True),
    sa.Column("previous_status", sa.String(32), nullable=True),
    sa.Column("migration_status", sa.String(32), nullable=True),
    sa.Column("replication_status", sa.String(32), nullable=True),
    # {"name": create | delete | extend | upload | retype | migrate | revert | reimage | restore, arguments}
    sa.Column("task", sa.JSON, nullable=True),
    sa.Column("task_request_id", sa.String(64), nullable=True),
    sa.Column("fault", sa.String(1000), nullable=True),  # why it is in an error state
    # counts for quotas (a temporary volume of the service's own does not)
    sa.Column("use_quota", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False, index=True),
    sa.Column("updated_at", Moment, nullable=True, index=True),
    sa.Column("launched_at", Moment, nullable=True),
)

attachments = sa.Table(
    "volume_attachments",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("volume_id", sa.ForeignKey("volumes.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("user_id", sa.String(64), nullable=True),
    sa.Column("instance_id", sa.String(36), nullable=True, index=True),
    sa.Column("attached_host", sa.String(255), nullable=True),
    sa.Column("mountpoint", sa.String(255), nullable=True),
    sa.Column("attach_mode", sa.String(8), nullable=False),  # rw, ro, null
    sa.Column("attach_status", sa.String(32), nullable=False),  # reserved, attaching, attached, detached, ...
    sa.Column("connector", sa.JSON, nullable=True),
    sa.Column("connection_info", sa.JSON, nullable=True),
    sa.Column("attached_at", Moment, nullable=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

snapshots = sa.Table(
    "volume_snapshots",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("volume_id", sa.String(36), nullable=False, index=True),
    sa.Column("volume_size", sa.Integer, nullable=False),
    sa.Column("volume_type_id", sa.String(36), nullable=True),
    sa.Column("name", sa.String(255), nullable=True),
    sa.Column("description", sa.String(255), nullable=True),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("image_metadata", sa.JSON, nullable=True),  # of the volume, when it was taken
    sa.Column("bootable", sa.Boolean, nullable=False),
    sa.Column("encryption_key_id", sa.String(36), nullable=True),
    sa.Column("group_snapshot_id", sa.String(36), nullable=True, index=True),
    sa.Column("host", sa.String(255), nullable=True, index=True),
    sa.Column("backend", sa.String(255), nullable=True),
    sa.Column("status", sa.String(32), nullable=False, index=True),
    sa.Column("progress", sa.String(8), nullable=True),
    sa.Column("task", sa.JSON, nullable=True),  # create, delete
    sa.Column("fault", sa.String(1000), nullable=True),
    sa.Column("use_quota", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False, index=True),
    sa.Column("updated_at", Moment, nullable=True),
)
