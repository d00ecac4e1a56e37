"""Images (Glance v2): what containers and machines are started from, kept as checked files.

Start reading at ROUTES. `images.py` is the noun; `patch.py` changes one; `upload.py` and `download.py` stream data;
`store.py` keeps it on disk; `formats/` looks at what it is; `memberships.py` shares; `imports.py` and
`importing.py` import, `locations.py` names where data lies, `stores/` keep it, `tasks.py` tells how work went;
`metadefs/` defines metadata; `v1/` is the older API, `cache/` keeps data on this host; `reconcile.py` keeps rows and
files in agreement; `api.py` is the door for other services.
"""

from __future__ import annotations

from stackyard.core.openapi import BYTES
from stackyard.core.routes import PUBLIC, Route, Service
from stackyard.services.image import (
    descriptions,
    discovery,
    download,
    images,
    imports,
    listing,
    locations,
    memberships,
    patch,
    schemas,
    tasks,
    upload,
    usage,
    v1,
)
from stackyard.services.image.cache import routes as cache
from stackyard.services.image.faults import fault
from stackyard.services.image.metadefs import routes as metadefs
from stackyard.services.image.policies import POLICIES

_IMAGE = "/v2/images/{image_id}"
_MEMBERS = f"{_IMAGE}/members"
_MEMBER = f"{_MEMBERS}/{{member_id}}"
_STORED = "/v2/stores/{store_id}/{image_id}"
_TAG = f"{_IMAGE}/tags/{{tag}}"


def _image(method: str, path: str, operation: object, rule: str, **options: object) -> Route:
    """A route about one image that the caller may see."""
    return Route(method, path, operation, rule, target=images.load, **options)  # type: ignore[arg-type]


ROUTES: tuple[Route, ...] = (
    Route("GET", "/", discovery.versions, PUBLIC),
    Route("GET", "/versions", discovery.explicit_versions, PUBLIC),
    Route("GET", "/v2/images", listing.list_, "get_images", query=descriptions.LIST_QUERY),
    Route(
        "POST",
        "/v2/images",
        images.create,
        "add_image",
        status=201,
        body=dict,
        schema=descriptions.NewImage,
        target=images.load_new,
    ),
    Route("DELETE", "/v2/images", images.nameless, "delete_image"),
    _image("GET", _IMAGE, images.show, "get_image"),
    _image(
        "PATCH",
        _IMAGE,
        patch.update,
        "modify_image",
        body=list,
        schema=list[descriptions.Operation],
        media_type=patch.RFC,
        edge=True,
    ),
    _image("DELETE", _IMAGE, images.delete, "delete_image"),
    _image("PUT", f"{_IMAGE}/file", upload.upload, "upload_image", edge=True, media_type=BYTES),
    _image("GET", f"{_IMAGE}/file", download.download, "download_image", edge=True),
    _image("PUT", f"{_IMAGE}/stage", upload.stage, "modify_image", edge=True, media_type=BYTES),
    _image("POST", f"{_IMAGE}/import", imports.import_, "get_image", body=dict, schema=descriptions.Import, status=202),
    _image("GET", f"{_IMAGE}/locations", locations.list_, "fetch_image_location"),
    _image(
        "POST",
        f"{_IMAGE}/locations",
        locations.add,
        "add_image_location",
        body=dict,
        schema=descriptions.NewLocation,
        status=202,
    ),
    Route("DELETE", _STORED, locations.leave_store, "delete_image_location", target=locations.load_stored),
    _image("GET", f"{_IMAGE}/tasks", tasks.of_image, "get_image"),
    _image("POST", f"{_IMAGE}/actions/deactivate", images.deactivate, "deactivate"),
    _image("POST", f"{_IMAGE}/actions/reactivate", images.reactivate, "reactivate"),
    _image("PUT", _TAG, images.add_tag, "modify_image"),
    _image("DELETE", _TAG, images.delete_tag, "modify_image"),
    Route("GET", _MEMBERS, memberships.list_, "get_members", target=memberships.load),
    Route(
        "POST",
        _MEMBERS,
        memberships.create,
        "add_member",
        body=dict,
        schema=descriptions.NewMember,
        target=memberships.load,
    ),
    Route("GET", _MEMBER, memberships.show, "get_member", target=memberships.load_shown),
    Route(
        "PUT",
        _MEMBER,
        memberships.update,
        "modify_member",
        body=dict,
        schema=descriptions.MemberChange,
        target=memberships.load,
    ),
    Route("DELETE", _MEMBER, memberships.delete, "delete_member", target=memberships.load, status=204),
    Route("GET", "/v2/schemas/{name}", schemas.show, "get_images"),
    Route("GET", "/v2/schemas/metadefs/{name}", schemas.show_metadef, "get_images"),
    Route("GET", "/v2/info/import", discovery.import_info, "get_images"),
    Route("GET", "/v2/info/stores", discovery.stores, "get_images"),
    Route("GET", "/v2/info/stores/detail", discovery.stores_detail, "stores_info_detail"),
    Route("GET", "/v2/info/usage", usage.show, "get_images"),
    Route("GET", "/v2/tasks", tasks.list_, "tasks_api_access"),
    Route("POST", "/v2/tasks", tasks.create, "tasks_api_access", body=dict, schema=descriptions.NewTask),
    Route("GET", "/v2/tasks/{task_id}", tasks.show, "tasks_api_access"),
    *metadefs.ROUTES,
    *v1.ROUTES,
    *cache.ROUTES,
)

SERVICE = Service(
    type="image",
    name="glance",
    mount="/image",
    classic_port=9292,
    routes=ROUTES,
    policies=POLICIES,
    fault=fault,
)
