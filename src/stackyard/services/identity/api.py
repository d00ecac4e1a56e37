"""What other services, the application and the command line may call of the identity service."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.caller import Caller
from stackyard.core.db import Database, Transaction
from stackyard.services.identity import generation
from stackyard.services.identity.bootstrap import DEFAULT_DOMAIN, bootstrap
from stackyard.services.identity.catalog.view import catalog
from stackyard.services.identity.credentials.keys import rotate as rotate_credential_keys
from stackyard.services.identity.credentials.secret_file import use as use_secret_file
from stackyard.services.identity.directory.sync import DirectoryReconciler
from stackyard.services.identity.directory.sync import mark_all as mark_directories
from stackyard.services.identity.key_ring import Rotation
from stackyard.services.identity.limits.effective import effective_limit
from stackyard.services.identity.projects import tables as project_tables
from stackyard.services.identity.tokens.sessions import find_session
from stackyard.services.identity.tokens.texts import create_keys, rotate_keys
from stackyard.services.identity.users import tables as user_tables

__all__ = [
    "DEFAULT_DOMAIN",
    "DirectoryReconciler",
    "Rotation",
    "authenticate",
    "bootstrap",
    "catalog",
    "create_keys",
    "effective_limit",
    "find_project",
    "find_project_by_name",
    "find_user",
    "mark_directories",
    "project_name",
    "rotate_credential_keys",
    "rotate_keys",
    "use_cache_size",
    "use_secret_file",
    "user_name",
]


def authenticate(tx: Transaction, token: str) -> Caller:
    """Who a token stands for; raises Unauthorized for one that is forged, expired or revoked."""
    return find_session(tx, token).caller


def use_cache_size(database: Database, size: int) -> None:
    """Keep so many tokens and parts of answers of this database in memory."""
    generation.IDENTITY.resize(database, size)


def find_project(tx: Transaction, project_id: str) -> Row[Any] | None:
    """A project's (or domain's) row: id, name, domain_id, enabled and more; None when there is none."""
    return tx.first(project_tables.BY_ID, {"id": project_id})


def find_project_by_name(tx: Transaction, name: str, domain_id: str = DEFAULT_DOMAIN) -> Row[Any] | None:
    """A project's row by its name in a domain."""
    return tx.first(project_tables.BY_NAME, {"domain_id": domain_id, "name": name})


def find_user(tx: Transaction, user_id: str) -> Row[Any] | None:
    """A user's row: id, name, domain_id, enabled and more (the password's hash too: not for showing)."""
    return tx.first(user_tables.BY_ID, {"id": user_id})


def project_name(tx: Transaction, project_id: str) -> str | None:
    """A project's name."""
    row = find_project(tx, project_id)
    return None if row is None else str(row.name)


def user_name(tx: Transaction, user_id: str) -> str | None:
    """A user's name."""
    row = find_user(tx, user_id)
    return None if row is None else str(row.name)
