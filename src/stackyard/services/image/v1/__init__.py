"""Images as version 1 of the API has them: metadata in headers, `is_public` for visibility, members that may share on.

The rows, operations and rules are version 2's; here is only the other wording. `headers.py` reads and writes
x-image-meta headers, `images.py` and `members.py` are the two nouns.
"""

from __future__ import annotations

from stackyard.core.routes import Route
from stackyard.services.image.images import load
from stackyard.services.image.v1 import images, members

_IMAGE = "/v1/images/{image_id}"
_MEMBERS = f"{_IMAGE}/members"

ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1", images.index, "get_images"),
    Route("GET", "/v1/images", images.index, "get_images"),
    Route("GET", "/v1/images/detail", images.detail, "get_images"),
    Route("POST", "/v1/images", images.create, "add_image", target=images.load_new, edge=True),
    Route("HEAD", _IMAGE, images.meta, "get_image", target=load),
    Route("GET", _IMAGE, images.data, "download_image", target=images.load_active, edge=True),
    Route("PUT", _IMAGE, images.update, "modify_image", target=load, edge=True),
    Route("DELETE", _IMAGE, images.delete, "delete_image", target=load),
    Route("GET", _MEMBERS, members.index, "get_image", target=load),
    Route("PUT", _MEMBERS, members.replace, "get_image", target=load, body=dict),
    Route("PUT", f"{_MEMBERS}/{{member_id}}", members.add, "get_image", target=load, body=dict),
    Route("DELETE", f"{_MEMBERS}/{{member_id}}", members.delete, "get_image", target=load),
    Route("GET", "/v1/shared-images/{member_id}", members.shared, "get_images"),
)
