"""The checks that most of the volume service's rules are made of, as Cinder's defaults have them."""

from __future__ import annotations

ADMIN = "role:admin"
ANY = "@"
MEMBER = "role:admin or (role:member and project_id:%(project_id)s)"
READER = "role:admin or (role:reader and project_id:%(project_id)s)"
