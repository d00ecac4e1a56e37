"""The checks that most of compute's rules are made of, as Nova's defaults have them."""

from __future__ import annotations

ADMIN = "role:admin"
ANY = "@"
MANAGER = "(role:manager and project_id:%(project_id)s) or role:admin"
MEMBER = "(role:member and project_id:%(project_id)s) or role:admin"
READER = "(role:reader and project_id:%(project_id)s) or role:admin"
SERVICE = "role:service or role:admin"
