"""The JSON home document: what this API offers, by names that do not change when addresses do.

It is made from the routes. Keystone's names follow from most paths; those that do not are in the tables here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from stackyard.core.routes import Route

JSON = "application/json"
JSON_HOME = "application/json-home"

_BASE = "https://docs.openstack.org/api/openstack-identity/3"
_EXTENSION = re.compile(r"/(OS-[A-Z0-9-]+)")
_PLACE = re.compile(r"\{(\w+)\}")

_NAMES = {
    "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/endpoints": "endpoints_in_endpoint_group",
    "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects": "projects_associated_with_endpoint_group",
    "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}": "endpoint_group_to_project_association",
    "/OS-FEDERATION/saml2/metadata": "metadata",
    "/OS-OAUTH1/access_token": "access_tokens",
    "/OS-OAUTH1/authorize/{request_token_id}": "authorize_request_token",
    "/OS-OAUTH1/request_token": "request_tokens",
    "/OS-SIMPLE-CERT/ca": "ca_certificate",
    "/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso": "identity_providers_websso",
    "/auth/OS-FEDERATION/saml2": "saml2",
    "/auth/OS-FEDERATION/saml2/ecp": "ecp",
    "/auth/OS-FEDERATION/websso/{protocol_id}": "websso",
    "/auth/tokens/OS-PKI/revoked": "revocations",
    "/domains/config/default": "domain_config_default",
    "/domains/config/{group}/default": "domain_config_default_group",
    "/domains/config/{group}/{option}/default": "domain_config_default_option",
    "/domains/{domain_id}/config/{group}": "domain_config_group",
    "/domains/{domain_id}/config/{group}/{option}": "domain_config_option",
    "/limits/model": "limit_model",
    "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints/{endpoint_id}": "endpoint_policy_association",
    "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}": "service_policy_association",
    "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}/regions/{region_id}": (
        "region_and_service_policy_association"
    ),
    "/projects/{project_id}/tags/{value}": "project_tags",
    "/roles/{prior_role_id}/implies": "implied_roles",
    "/roles/{prior_role_id}/implies/{implied_role_id}": "implied_role",
    "/users/{user_id}/access_rules": "access_rules",
    "/users/{user_id}/access_rules/{access_rule_id}": "access_rule",
    "/users/{user_id}/application_credentials": "application_credentials",
    "/users/{user_id}/application_credentials/{application_credential_id}": "application_credential",
    "/users/{user_id}/password": "user_change_password",
}
_TEMPLATES = {
    "/OS-FEDERATION/service_providers/{sp_id}": "/OS-FEDERATION/service_providers/{service_provider_id}",
    "/projects/{project_id}/tags/{tag}": "/projects/{project_id}/tags/{value}",
    "/roles/{role_id}/implies": "/roles/{prior_role_id}/implies",
    "/roles/{role_id}/implies/{implied_role_id}": "/roles/{prior_role_id}/implies/{implied_role_id}",
    "/users/{user_id}/credentials/OS-EC2/{access}": "/users/{user_id}/credentials/OS-EC2/{credential_id}",
    "/users/{user_id}/access_rules/{rule_id}": "/users/{user_id}/access_rules/{access_rule_id}",
    "/users/{user_id}/application_credentials/{credential_id}": (
        "/users/{user_id}/application_credentials/{application_credential_id}"
    ),
}
"""Where a place in a path has another name in the document than here."""

_EXTENSIONS = {"/ec2tokens": "OS-EC2", "/s3tokens": "s3tokens"}
_OF_EXTENSION = (
    "access_token_id",
    "consumer_id",
    "endpoint_group_id",
    "idp_id",
    "mapping_id",
    "protocol_id",
    "request_token_id",
    "service_provider_id",
    "trust_id",
)
_PARAMETERS = {
    "group": "config_group",
    "option": "config_option",
    "value": "tag_value",
    "prior_role_id": "role_id",
    "implied_role_id": "role_id",
}
_EXPERIMENTAL = ("/limits", "/registered_limits")
_UNLISTED = re.compile(
    r"/projects/\{project_id\}/tags$|/config/security_compliance|/OS-FEDERATION/(projects|domains)$"
    r"|/OS-INHERIT/projects/.*/roles/inherited_to_projects$"
)
_ALSO = {f"{_BASE}/ext/OS-FEDERATION/1.0/rel/{kind}": {"href": f"/auth/{kind}"} for kind in ("domains", "projects")}


def prefers_home(accept: str | None) -> bool:
    """Whether a client that sent this Accept header would rather have the home document than plain JSON."""
    offered = {kind: _rank(accept or "*/*", kind) for kind in (JSON, JSON_HOME)}
    return offered[JSON_HOME][0] > 0 and offered[JSON_HOME] > offered[JSON]


def _rank(accept: str, kind: str) -> tuple[float, int]:
    """The quality that a client gives to a media type, and how specific it is about it."""
    best = (0.0, -1)
    for part in accept.split(","):
        media, *parameters = (word.strip().lower() for word in part.split(";"))
        if media not in (kind, "application/*", "*/*"):
            continue
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                quality = float(parameter[2:]) if re.fullmatch(r"q=[01](\.\d{0,3})?", parameter) else 0.0
        best = max(best, (quality, 2 - media.count("*")))
    return best


@lru_cache
def document(routes: Sequence[Route], prefix: str) -> dict[str, Any]:
    """The home document of these routes, whose addresses begin with `prefix` in place of /v3."""
    paths = {route.path.removeprefix("/v3"): None for route in routes if route.path.startswith("/v3/")}
    resources = dict(_resource(path, prefix) for path in paths if not _UNLISTED.search(path))
    also = {name: {"href": prefix + entry["href"]} for name, entry in _ALSO.items() if entry["href"] in paths}
    return {"resources": resources | also}


def _resource(path: str, prefix: str) -> tuple[str, dict[str, Any]]:
    """The name of one path's resource, and where it is."""
    path = _TEMPLATES.get(path, path)
    found = _EXTENSION.search(path)
    extension = _EXTENSIONS.get(path) or (found[1] if found else None)
    places = _PLACE.findall(path)
    entry: dict[str, Any] = {"href-template" if places else "href": prefix + path}
    if places:
        entry["href-vars"] = {name: _parameter(name, extension) for name in places}
    if path.startswith(_EXPERIMENTAL):
        entry["hints"] = {"status": "experimental"}
    return f"{_root(extension)}/rel/{_NAMES.get(path) or _name(path)}", entry


def _root(extension: str | None) -> str:
    return f"{_BASE}/ext/{extension}/1.0" if extension else _BASE


def _parameter(name: str, extension: str | None) -> str:
    root = _root(extension if name in _OF_EXTENSION else None)
    return f"{root}/param/{_PARAMETERS.get(name, name)}"


def _name(path: str) -> str:
    """The words of a path, each in the singular where a place follows: /users/{user_id}/groups is user_groups."""
    parts = [part for part in path.split("/") if part and not _EXTENSION.fullmatch(f"/{part}")]
    followed = [following.startswith("{") for following in [*parts[1:], ""]]
    words = [
        _singular(part) if of_one else part
        for part, of_one in zip(parts, followed, strict=True)
        if not part.startswith("{")
    ]
    return "_".join(words)


def _singular(word: str) -> str:
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")
