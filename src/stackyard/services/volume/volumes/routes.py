"""The routes of volumes, of what they have, and of what can be done to them; and the rules on them."""

from __future__ import annotations

from stackyard.core import actions
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import metadata, tasks
from stackyard.services.volume.managing import routes as managing
from stackyard.services.volume.rules import ADMIN, MEMBER, READER
from stackyard.services.volume.volumes import (
    administration,
    attaching,
    bodies,
    growing,
    image_metadata,
    images,
    listing,
    operations,
    retype,
)
from stackyard.services.volume.volumes.finding import load

ACTIONS = (
    *administration.ACTIONS,
    *attaching.ACTIONS,
    *growing.ACTIONS,
    *image_metadata.ACTIONS,
    *images.ACTIONS,
    *retype.ACTIONS,
    *managing.VOLUME_ACTIONS,
)

_PATH = "/v3/volumes"
_ONE = f"{_PATH}/{{volume_id}}"
_LISTED = listing.LISTING_PARAMETERS

ROUTES = (
    Route("GET", _PATH, listing.index, "volume:get_all", query=_LISTED),
    Route("GET", f"{_PATH}/detail", listing.detail, "volume:get_all", query=_LISTED),
    Route(
        "GET", f"{_PATH}/summary", listing.summary, "volume:get_all", since=Microversion(3, 12), query=("all_tenants",)
    ),
    Route("POST", _PATH, operations.create, "volume:create", body=bodies.Create, status=202),
    Route("GET", _ONE, operations.show, "volume:get", target=load),
    Route("PUT", _ONE, operations.update, "volume:update", target=load, envelope="volume", body=bodies.Update),
    Route("DELETE", _ONE, operations.delete, "volume:delete", target=load, query=("cascade", "force")),
    Route("POST", f"{_ONE}/action", actions.endpoint(ACTIONS, load, "volumes"), "volume:any", edge=True, body=dict),
    *metadata.routes(
        metadata.Metadata("Volume", tasks.VOLUME),
        f"{_ONE}/metadata",
        {
            "get": "volume:get_volume_metadata",
            "create": "volume:create_volume_metadata",
            "update": "volume:update_volume_metadata",
            "delete": "volume:delete_volume_metadata",
        },
        load,
    ),
)

_ACT = "volume_extension:volume_actions:"
_ADMIN = "volume_extension:volume_admin_actions:"
_IMAGE = "volume_extension:volume_image_metadata:"

POLICIES = (
    Rule("volume:create", MEMBER, "Make a volume."),
    Rule("volume:create_from_image", MEMBER, "Make a volume from an image."),
    Rule("volume:get", READER, "See a volume."),
    Rule("volume:get_all", READER, "List volumes, or sum them up."),
    Rule("volume:update", MEMBER, "Change a volume's name, description, metadata or bootable flag."),
    Rule("volume:delete", MEMBER, "Delete a volume."),
    Rule("volume:force_delete", ADMIN, "Delete a volume whatever its status."),
    Rule("volume:multiattach", MEMBER, "Make a volume that may be attached several times."),
    Rule("volume_extension:volume_host_attribute", ADMIN, "See where volumes are kept."),
    Rule("volume_extension:volume_tenant_attribute", READER, "See whose volumes are."),
    Rule("volume_extension:volume_mig_status_attribute", ADMIN, "See how volumes' migrations are."),
    Rule("volume:get_volume_metadata", READER, "See a volume's metadata."),
    Rule("volume:create_volume_metadata", MEMBER, "Add metadata to a volume."),
    Rule("volume:update_volume_metadata", MEMBER, "Change a volume's metadata."),
    Rule("volume:delete_volume_metadata", MEMBER, "Delete a volume's metadata."),
    Rule(f"{_IMAGE}show", READER, "See what a volume remembers of its image."),
    Rule(f"{_IMAGE}set", MEMBER, "Change what a volume remembers of its image."),
    Rule(f"{_IMAGE}remove", MEMBER, "Delete what a volume remembers of its image."),
    Rule("volume:extend", MEMBER, "Make a volume larger."),
    Rule("volume:extend_attached_volume", MEMBER, "Make a volume larger that is in use."),
    Rule("volume:revert_to_snapshot", MEMBER, "Take a volume back to its last snapshot."),
    Rule("volume:retype", MEMBER, "Give a volume another type."),
    Rule("volume:update_readonly_flag", MEMBER, "Have a volume attached for reading alone."),
    Rule("volume:reimage", MEMBER, "Have a volume begin with an image again."),
    Rule("volume:reimage_reserved", MEMBER, "Have a volume that is reserved begin with an image again."),
    Rule(f"{_ACT}upload_image", MEMBER, "Make an image of a volume."),
    Rule(f"{_ACT}upload_public", ADMIN, "Make a public image of a volume."),
    Rule(f"{_ACT}attach", MEMBER, "Say that a volume is attached."),
    Rule(f"{_ACT}detach", MEMBER, "Say that a volume is detached."),
    Rule(f"{_ACT}reserve", MEMBER, "Reserve a volume."),
    Rule(f"{_ACT}unreserve", MEMBER, "Let a reserved volume be attached by others."),
    Rule(f"{_ACT}begin_detaching", MEMBER, "Say that a volume is about to be detached."),
    Rule(f"{_ACT}roll_detaching", MEMBER, "Say that a volume stays attached."),
    Rule(f"{_ACT}initialize_connection", MEMBER, "Ask how a volume is reached."),
    Rule(f"{_ACT}terminate_connection", MEMBER, "Say that a volume need not be reached any more."),
    Rule(f"{_ADMIN}extend_volume_completion", ADMIN, "Say that a server has seen how its volume grew."),
    Rule(f"{_ADMIN}reset_status", ADMIN, "Set a volume's status."),
    Rule(f"{_ADMIN}force_delete", ADMIN, "Delete a volume whatever its status."),
    Rule(f"{_ADMIN}force_detach", ADMIN, "Say that a volume is detached, whatever its status."),
    Rule(f"{_ADMIN}migrate_volume", ADMIN, "Move a volume to another back end."),
    Rule(f"{_ADMIN}migrate_volume_completion", ADMIN, "Say that a volume has been moved."),
)
