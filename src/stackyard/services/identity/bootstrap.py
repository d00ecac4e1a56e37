"""What a new cloud has: a domain, projects, users, roles and the catalogue of its own services. Doing it again adds
only what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.ids import new_hex
from stackyard.core.routes import Service
from stackyard.services.identity import generation, passwords
from stackyard.services.identity.assignments import tables as assignment_tables
from stackyard.services.identity.catalog import tables as catalog_tables
from stackyard.services.identity.catalog.view import ROOT_URL
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.roles import tables as role_tables
from stackyard.services.identity.tokens import texts
from stackyard.services.identity.users import tables as user_tables

DEFAULT_DOMAIN = "default"
PROJECTS = {
    "admin": "Bootstrap project for initializing the cloud.",
    "demo": "A project to work in.",
    "service": "The project of the cloud's own services.",
}
ROLES = ("admin", "manager", "member", "reader", "service")
INFERENCE = (("admin", "manager"), ("manager", "member"), ("member", "reader"))
ASSIGNMENTS = {
    "admin": (("project", "admin", "admin"), ("project", "demo", "admin"), ("system", "all", "admin")),
    "demo": (("project", "demo", "member"), ("project", "demo", "reader")),
}
INTERFACES = ("public", "internal", "admin")

_SERVICE_BY_TYPE = sa.select(catalog_tables.services).where(catalog_tables.services.c.type == bindparam("type"))
_ONE_IMPLICATION = sa.select(role_tables.implied).where(role_tables.ONE_IMPLICATION)


def bootstrap(tx: Transaction, services: Iterable[Service], user_passwords: Mapping[str, str], *, region: str) -> None:
    """Make what is missing; `user_passwords` are those of the users to make, admin and demo."""
    texts.create_keys(tx)
    _domain(tx)
    projects = {name: _project(tx, name, description) for name, description in PROJECTS.items()}
    roles = {name: _role(tx, name) for name in ROLES}
    for prior, implied in INFERENCE:
        keys = {"prior": roles[prior], "other": roles[implied]}
        if tx.first(_ONE_IMPLICATION, keys) is None:
            tx.execute(role_tables.IMPLY, {"prior_id": roles[prior], "implied_id": roles[implied]})
    for name, password in user_passwords.items():
        _user(tx, name, password, projects, roles)
    _catalog(tx, services, region)
    generation.bump(tx)


def _domain(tx: Transaction) -> None:
    if tx.first(project_tables.BY_ID, {"id": DEFAULT_DOMAIN}) is None:
        row = {"id": DEFAULT_DOMAIN, "name": "Default", "domain_id": project_tables.NO_DOMAIN, "is_domain": True}
        described = {"parent_id": None, "description": "The default domain", **_common(tx)}
        tx.execute(project_tables.INSERT, {**row, **described})


def _project(tx: Transaction, name: str, description: str) -> str:
    found = tx.first(project_tables.BY_NAME, {"domain_id": DEFAULT_DOMAIN, "name": name})
    if found is not None:
        return str(found.id)
    project_id = new_hex()
    values = {"id": project_id, "name": name, "domain_id": DEFAULT_DOMAIN, "parent_id": DEFAULT_DOMAIN}
    tx.execute(project_tables.INSERT, {**values, "is_domain": False, "description": description, **_common(tx)})
    return project_id


def _common(tx: Transaction) -> dict[str, Any]:
    return {"enabled": True, "options": {}, "extra": {}, "created_at": tx.now}


def _role(tx: Transaction, name: str) -> str:
    found = tx.first(role_tables.BY_NAME, {"domain_id": role_tables.GLOBAL, "name": name})
    if found is not None:
        return str(found.id)
    role_id = new_hex()
    values = {"id": role_id, "name": name, "domain_id": role_tables.GLOBAL, "description": None}
    tx.execute(role_tables.INSERT, {**values, "options": {}, "extra": {}, "created_at": tx.now})
    return role_id


def _user(tx: Transaction, name: str, password: str, projects: Mapping[str, str], roles: Mapping[str, str]) -> None:
    """A user with the roles it begins with; one that exists is left as it is now."""
    if tx.first(user_tables.BY_NAME, {"domain_id": DEFAULT_DOMAIN, "name": name}) is not None:
        return
    user_id = new_hex()
    values = {"id": user_id, "name": name, "domain_id": DEFAULT_DOMAIN, "default_project_id": None, **_common(tx)}
    secret = {
        "password_hash": passwords.hash_password(password),
        "password_created_at": tx.now,
        "password_expires_at": None,
    }
    tx.execute(user_tables.INSERT, {**values, **secret})
    for kind, target, role in ASSIGNMENTS.get(name, ()):
        tx.execute(
            assignment_tables.INSERT,
            {
                "actor_kind": assignment_tables.USER,
                "actor_id": user_id,
                "target_kind": kind,
                "target_id": projects.get(target, target),
                "role_id": roles[role],
                "inherited": False,
            },
        )


def _catalog(tx: Transaction, services: Iterable[Service], region: str) -> None:
    if tx.first(catalog_tables.REGION_BY_ID, {"id": region}) is None:
        values: dict[str, Any] = {"id": region, "description": "", "parent_region_id": None, "extra": {}}
        tx.execute(sa.insert(catalog_tables.regions), values)
    for service in services:
        for kind, name in ((service.type, service.name), *service.also_known_as):
            if tx.first(_SERVICE_BY_TYPE, {"type": kind}) is None:
                _add_service(tx, kind, name, f"{ROOT_URL}{service.mount}{service.catalog_path}", region)


def _add_service(tx: Transaction, kind: str, name: str, url: str, region: str) -> None:
    service_id = new_hex()
    row = {"id": service_id, "type": kind, "name": name, "enabled": True, "extra": {}}
    tx.execute(sa.insert(catalog_tables.services), {**row, "created_at": tx.now})
    for interface in INTERFACES:
        values = {
            "id": new_hex(), "service_id": service_id, "region_id": region, "interface": interface, "url": url,
            "enabled": True, "extra": {}, "created_at": tx.now,
        }  # fmt: skip
        tx.execute(sa.insert(catalog_tables.endpoints), values)
