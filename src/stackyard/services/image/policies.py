"""Who may do what to images; Glance's rules by Glance's names and with its defaults."""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.services.image.cache import policies as cache
from stackyard.services.image.metadefs import policies as metadefs

_ADMIN = "rule:context_is_admin"
_MEMBER = "role:member and project_id:%(project_id)s"
_SERVICE = "role:service or role:admin"
_READER = "role:reader and project_id:%(project_id)s"
_IMAGE_MEMBER = "project_id:%(member_id)s"
_SEEN = (
    f"(project_id:%(project_id)s or {_IMAGE_MEMBER} or 'community':%(visibility)s "
    "or 'public':%(visibility)s or 'shared':%(visibility)s)"
)
_ADMIN_OR_MEMBER = f"{_ADMIN} or ({_MEMBER})"
_ADMIN_OR_READER = f"{_ADMIN} or ({_READER})"
_ADMIN_OR_READER_OR_SHARED = f"{_ADMIN} or (role:reader and (project_id:%(project_id)s or {_IMAGE_MEMBER}))"

POLICIES: tuple[Rule, ...] = (
    Rule(
        "context_is_admin",
        "role:admin",
        "Who is an administrator; for policy.yaml and property protections to name.",
        (),
    ),
    Rule("default", "@", "Everyone who is signed in; for policy.yaml and property protections to name.", ()),
    Rule("add_image", f"{_ADMIN} or ({_MEMBER} and project_id:%(owner)s)", "Create an image."),
    Rule("delete_image", _ADMIN_OR_MEMBER, "Delete an image."),
    Rule("get_image", f"{_ADMIN} or (role:reader and {_SEEN})", "Show an image."),
    Rule("get_images", _ADMIN_OR_READER, "List the images that one may see."),
    Rule("modify_image", _ADMIN_OR_MEMBER, "Change an image's attributes, properties and tags; stage and import."),
    Rule("publicize_image", _ADMIN, "Make an image public."),
    Rule("communitize_image", _ADMIN_OR_MEMBER, "Make an image a community image."),
    Rule("download_image", f"{_ADMIN} or (role:member and {_SEEN})", "Download an image's data."),
    Rule("upload_image", _ADMIN_OR_MEMBER, "Upload an image's data."),
    Rule("copy_image", _ADMIN, "Copy an image's data to further stores."),
    Rule("deactivate", _ADMIN_OR_MEMBER, "Forbid the download of an image."),
    Rule("reactivate", _ADMIN_OR_MEMBER, "Allow the download of an image again."),
    Rule("get_image_location", _ADMIN_OR_READER, "See where an image's data lies."),
    Rule("set_image_location", _ADMIN_OR_MEMBER, "Say where an image's data lies."),
    Rule("delete_image_location", _ADMIN, "Remove an image's data from one of its stores."),
    Rule("add_image_location", f"{_SERVICE} or ({_MEMBER})", "Name where an image's data is."),
    Rule("fetch_image_location", _SERVICE, "See all places where an image's data lies."),
    Rule("add_member", _ADMIN_OR_MEMBER, "Share an image with a project."),
    Rule("delete_member", _ADMIN_OR_MEMBER, "Stop sharing an image with a project."),
    Rule("get_member", _ADMIN_OR_READER_OR_SHARED, "Show one project that an image is shared with."),
    Rule("get_members", _ADMIN_OR_READER_OR_SHARED, "List the projects that an image is shared with."),
    Rule("modify_member", f"{_ADMIN} or (role:member and {_IMAGE_MEMBER})", "Accept or reject a shared image."),
    Rule("tasks_api_access", _ADMIN, "Use the tasks API."),
    Rule("stores_info_detail", f"{_ADMIN} or role:service", "See how the stores are configured."),
    *metadefs.POLICIES,
    *cache.POLICIES,
)
