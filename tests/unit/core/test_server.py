"""What a listener hands on to the cloud."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stackyard import server


@pytest.mark.parametrize("mount", ["", "/identity"])
def test_the_other_end_is_not_who_a_header_says(mount: str) -> None:
    seen: list[dict[str, Any]] = []

    async def cloud(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append(scope)

    headers = [(b"x-forwarded-for", b"192.0.2.7"), (b"x-forwarded-proto", b"https")]
    scope = {"type": "http", "scheme": "http", "client": ("127.0.0.1", 5), "headers": headers}
    asyncio.run(server._application(cloud, mount)(scope, None, None))
    assert seen[0]["client"][0] == "192.0.2.7"
    assert seen[0]["scheme"] == "https"
    assert seen[0]["stackyard.peer"] == ("127.0.0.1", 5)
    assert seen[0].get("stackyard.service", "") == mount
