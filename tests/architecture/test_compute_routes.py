"""Every address of Nova's API is served here, and what is served besides is said.

nova_routes.txt has Nova's, a method and a path a line, as its table of routes has them below /v2.1.
"""

from __future__ import annotations

import re
from pathlib import Path

from stackyard.services import compute

NOVAS = Path(__file__).with_name("nova_routes.txt").read_text().splitlines()

UNSUPPORTED: dict[str, str] = {}
"""Of Nova's, those that are not served, and why not."""

OTHERS = {
    "GET /v2": "The document of the version before microversions.",
    "GET /choices": "Where any other address leads.",
    "DELETE /images": "An image without an id: not found, which it is in Nova because only GET is there.",
    "GET /console/{token}": "The page of a console, which noVNC's and serial consoles' proxies have in Nova.",
}
"""Served here, but not from Nova's table: its pipeline or its console proxies have them."""


def _plain(label: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", label).rstrip("/")


def _served() -> set[str]:
    labels = {route.label.replace("/v2.1", "", 1) for route in compute.SERVICE.routes}
    return {_plain(label) for label in labels} - {_plain(label) for label in OTHERS}


def test_all_of_novas_addresses_are_served() -> None:
    assert {label for label in NOVAS if _plain(label) not in _served()} == set(UNSUPPORTED)


def test_nothing_else_is() -> None:
    assert _served() - {_plain(label) for label in NOVAS} == set()


def test_the_list_is_whole() -> None:
    assert len(NOVAS) == len(set(NOVAS)) > 200
