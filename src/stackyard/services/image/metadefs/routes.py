"""The part of the image service's route table that is about metadata definitions."""

from __future__ import annotations

from stackyard.core.body import Body
from stackyard.core.routes import Route
from stackyard.services.image.metadefs import bodies, namespaces
from stackyard.services.image.metadefs.items import Items
from stackyard.services.image.metadefs.tables import OBJECTS, PROPERTIES, RESOURCE_TYPES, TAGS

_ALL = "/v2/metadefs/namespaces"
_ONE = f"{_ALL}/{{namespace}}"

_DELETE_ALL = "delete_metadef_namespace"

objects, properties, tags, types = Items(OBJECTS), Items(PROPERTIES), Items(TAGS), Items(RESOURCE_TYPES)


def _rules(plural: str, singular: str, remove: str = "delete") -> dict[str, str]:
    return {
        "list": f"get_metadef_{plural}",
        "show": f"get_metadef_{singular}",
        "create": f"add_metadef_{singular}",
        "update": f"modify_metadef_{singular}",
        "delete": f"{remove}_metadef_{singular}",
    }


def _items(kind: Items, rules: dict[str, str], body: type[Body]) -> tuple[Route, ...]:
    """The calls that properties, objects and tags have in common."""
    path = f"{_ONE}/{kind.kind}"
    load = namespaces.load
    return (
        Route("GET", path, kind.list_, rules["list"], target=load),
        Route("DELETE", path, kind.delete_all, rules.get("delete_all", _DELETE_ALL), target=load, status=204),
        Route("GET", f"{path}/{{name}}", kind.show, rules["show"], target=load),
        Route("PUT", f"{path}/{{name}}", kind.update, rules["update"], body=body, target=load),
        Route("DELETE", f"{path}/{{name}}", kind.delete, rules["delete"], target=load, status=204),
    )


_OBJECT_RULES = _rules("objects", "object")
_PROPERTY_RULES = _rules("properties", "property", "remove")
_TAG_RULES = _rules("tags", "tag") | {"delete_all": "delete_metadef_tags"}
_TYPES = f"{_ONE}/resource_types"
_load = namespaces.load

ROUTES: tuple[Route, ...] = (
    Route("GET", _ALL, namespaces.list_, "get_metadef_namespaces"),
    Route("POST", _ALL, namespaces.create, "add_metadef_namespace", body=bodies.Namespace, status=201),
    Route("GET", _ONE, namespaces.show, "get_metadef_namespace", target=_load),
    Route("PUT", _ONE, namespaces.update, "modify_metadef_namespace", body=bodies.Namespace, target=_load),
    Route("DELETE", _ONE, namespaces.delete, "delete_metadef_namespace", target=_load, status=204),
    *_items(objects, _OBJECT_RULES, bodies.ObjectType),
    *_items(properties, _PROPERTY_RULES, bodies.NewProperty),
    *_items(tags, _TAG_RULES, bodies.TagType),
    Route(
        "POST", f"{_ONE}/objects", objects.create, "add_metadef_object", body=bodies.ObjectType, target=_load,
        status=201,
    ),
    Route(
        "POST", f"{_ONE}/properties", properties.create, "add_metadef_property", body=bodies.NewProperty, target=_load,
        status=201,
    ),
    Route("POST", f"{_ONE}/tags", tags.create_many, "add_metadef_tags", body=bodies.Tags, target=_load, status=201),
    Route("POST", f"{_ONE}/tags/{{name}}", tags.create_named, "add_metadef_tag", target=_load, status=201),
    Route("GET", "/v2/metadefs/resource_types", namespaces.resource_types, "list_metadef_resource_types"),
    Route("GET", _TYPES, types.list_, "get_metadef_resource_type", target=_load),
    Route(
        "POST", _TYPES, types.create, "add_metadef_resource_type_association", body=bodies.Association, target=_load,
        status=201,
    ),
    Route(
        "DELETE", f"{_TYPES}/{{name}}", types.delete, "remove_metadef_resource_type_association", target=_load,
        status=204,
    ),
)  # fmt: skip
