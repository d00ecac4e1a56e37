"""Servers, their tags, and what they boot from and have attached.

Three kinds of columns of a server: what the user asked for; what is wanted now (`task`, with its arguments, is the one
operation that is under way, and `power` what the server shall be when none is); and what was observed. A deleted server
keeps its row (`deleted_at`), for usage and for lists of what changed, until it is forgotten.
"""

from __future__ import annotations

import sqlalchemy as sa

from stackyard.core.db import Moment, metadata

servers = sa.Table(
    "servers",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False, unique=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False, index=True),
    sa.Column("description", sa.String(255), nullable=True),
    sa.Column("hostname", sa.String(255), nullable=False),
    # machine, container or system; decided by the image
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("image_id", sa.String(36), nullable=True),
    # what the image said when the server was made: formats, size, min_disk, kernel_id, ramdisk_id, properties
    sa.Column("image", sa.JSON, nullable=False),
    # the flavor as it was: flavorid, name, vcpus, ram, disk, ephemeral, swap, rxtx_factor, extra_specs
    sa.Column("flavor", sa.JSON, nullable=False),
    sa.Column("flavor_id", sa.String(255), nullable=False, index=True),
    # before a resize that is not confirmed yet
    sa.Column("old_flavor", sa.JSON, nullable=True),
    sa.Column("key_name", sa.String(255), nullable=True),
    sa.Column("key_data", sa.Text, nullable=True),
    sa.Column("key_type", sa.String(16), nullable=True),
    sa.Column("user_data", sa.Text, nullable=True),  # base64, as given
    sa.Column("config_drive", sa.Boolean, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("system_metadata", sa.JSON, nullable=False),
    sa.Column("personality", sa.JSON, nullable=False),
    sa.Column("hints", sa.JSON, nullable=False),
    sa.Column("server_group_id", sa.String(36), nullable=True, index=True),
    sa.Column("trusted_image_certificates", sa.JSON, nullable=True),
    sa.Column("disk_config", sa.String(8), nullable=False),  # AUTO or MANUAL
    sa.Column("access_ip_v4", sa.String(39), nullable=True),
    sa.Column("access_ip_v6", sa.String(39), nullable=True),
    sa.Column("asked_zone", sa.String(255), nullable=True),
    sa.Column("asked_host", sa.String(255), nullable=True),
    sa.Column("reservation_id", sa.String(32), nullable=False, index=True),
    sa.Column("launch_index", sa.Integer, nullable=False),
    sa.Column("root_device_name", sa.String(255), nullable=False),
    # the ports in order: {"port", "network", "mac", "tag", "made" (by us, so that it goes with the server), "device"}
    sa.Column("interfaces", sa.JSON, nullable=False),
    # where it is
    sa.Column("host", sa.String(255), nullable=True, index=True),
    sa.Column("zone", sa.String(255), nullable=True),
    # states, in Nova's words; status is worked out of them (states.py)
    sa.Column("vm_state", sa.String(32), nullable=False, index=True),
    sa.Column("task_state", sa.String(32), nullable=True),
    sa.Column("power_state", sa.Integer, nullable=False),
    sa.Column("power", sa.String(16), nullable=False),  # running, stopped, paused, suspended, none
    sa.Column("progress", sa.Integer, nullable=False),
    # {"name": ..., arguments}, and the request that asked for it, whose action is finished with it
    sa.Column("task", sa.JSON, nullable=True),
    sa.Column("task_request_id", sa.String(64), nullable=True),
    sa.Column("rescue", sa.JSON, nullable=True),
    sa.Column("fault", sa.JSON, nullable=True),  # {"code", "message", "created", "details"}
    sa.Column("locked", sa.Boolean, nullable=False),
    sa.Column("locked_by", sa.String(16), nullable=True),  # owner or admin
    sa.Column("locked_reason", sa.String(255), nullable=True),
    # grows with every request, so that a reconciler that worked on an older wish does not overwrite a newer one
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("boot_id", sa.String(64), nullable=True),
    sa.Column("created_at", Moment, nullable=False, index=True),
    sa.Column("updated_at", Moment, nullable=False, index=True),
    sa.Column("launched_at", Moment, nullable=True),
    sa.Column("terminated_at", Moment, nullable=True),
    sa.Column("deleted_at", Moment, nullable=True, index=True),
)

server_tags = sa.Table(
    "server_tags",
    metadata,
    sa.Column("server_id", sa.ForeignKey("servers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag", sa.String(60), primary_key=True, index=True),
)

block_devices = sa.Table(
    "server_block_devices",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("server_id", sa.ForeignKey("servers.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("device_name", sa.String(255), nullable=True),
    sa.Column("source_type", sa.String(16), nullable=False),  # image, volume, snapshot, blank
    sa.Column("destination_type", sa.String(16), nullable=False),  # local, volume
    sa.Column("boot_index", sa.Integer, nullable=True),
    sa.Column("image_id", sa.String(36), nullable=True),
    sa.Column("snapshot_id", sa.String(36), nullable=True),
    sa.Column("volume_id", sa.String(36), nullable=True, index=True),
    sa.Column("volume_size", sa.Integer, nullable=True),
    sa.Column("volume_type", sa.String(255), nullable=True),
    # the volume service's attachment; None while the volume is still being made
    sa.Column("attachment_id", sa.String(36), nullable=True),
    # of a volume: making, attaching, attached, extended (its new size is to be told), detaching; of others attached
    sa.Column("state", sa.String(16), nullable=False, server_default="attached"),
    # the instance action that ends when the volume has come or gone
    sa.Column("action_id", sa.String(36), nullable=True),
    sa.Column("device_type", sa.String(16), nullable=True),
    sa.Column("disk_bus", sa.String(16), nullable=True),
    sa.Column("guest_format", sa.String(16), nullable=True),
    sa.Column("delete_on_termination", sa.Boolean, nullable=False),
    sa.Column("tag", sa.String(60), nullable=True),
    sa.Column("created_at", Moment, nullable=False),
)
