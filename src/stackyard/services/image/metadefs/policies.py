"""Who may do what to metadata definitions; Glance's rules by Glance's names and with its defaults."""

from __future__ import annotations

from stackyard.core.policy import Rule

_ADMIN = "rule:metadef_admin"
_READER = "rule:context_is_admin or (role:reader and project_id:%(project_id)s)"
_SEEN = "rule:context_is_admin or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))"

_SHOWN = {
    "namespace": "a namespace",
    "object": "an object",
    "objects": "the objects",
    "property": "a property",
    "properties": "the properties",
    "tag": "a tag",
    "tags": "the tags",
    "resource_type": "the types of resource of a namespace",
}
_CHANGED = {
    "namespace": ("add", "modify", "delete"),
    "object": ("add", "modify", "delete"),
    "property": ("add", "modify", "remove"),
    "tag": ("add", "modify", "delete"),
    "tags": ("add", "delete"),
    "resource_type_association": ("add", "remove"),
}

POLICIES: tuple[Rule, ...] = (
    Rule("metadef_admin", "rule:context_is_admin", "Who changes metadata definitions.", ()),
    Rule("get_metadef_namespaces", _READER, "List the namespaces of metadata definitions that one may see."),
    Rule("list_metadef_resource_types", _SEEN, "List the types of resource that metadata is defined for."),
    *(Rule(f"get_metadef_{name}", _SEEN, f"See {words} of metadata definitions.") for name, words in _SHOWN.items()),
    *(
        Rule(f"{verb}_metadef_{name}", _ADMIN, f"{verb.capitalize()} metadata definitions: {name.replace('_', ' ')}.")
        for name, verbs in _CHANGED.items()
        for verb in verbs
    ),
)
