"""Identifiers have the forms that clients look for."""

from __future__ import annotations

import uuid

from stackyard.core import ids


def test_a_requests_id_is_a_random_uuid_after_req() -> None:
    made = [ids.new_request_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    for name in made:
        prefix, _, rest = name.partition("-")
        found = uuid.UUID(rest)
        assert (prefix, str(found), found.version, found.variant) == ("req", rest, 4, uuid.RFC_4122)
