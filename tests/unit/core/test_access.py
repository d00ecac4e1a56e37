"""Access rules: which paths a pattern covers, also when it is made to take for ever."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.core.access import covers, is_granted
from stackyard.core.caller import AccessRule


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("/v2/servers", "/v2/servers", True),
        ("/v2/servers", "/v2/servers/1", False),
        ("/v2/servers/", "/v2/servers", True),
        ("/v2/servers", "/v2/server", False),
        ("/", "/", True),
        ("/", "/v2", False),
        ("/v2/*", "/v2/1", True),
        ("/v2/*", "/v2/1/2", False),
        ("/v2/*", "/v2", False),
        ("/v2/*/ips", "/v2/1/ips", True),
        ("/v2/*/ips", "/v2/1/2/ips", False),
        ("/v2/{id}/ips", "/v2/1/ips", True),
        ("/v2/{id}/ips", "/v2//ips", False),
        ("/v2/{i/d}/ips", "/v2/1/ips", True),
        ("/v2/a*b*c", "/v2/a-b-b-c", True),
        ("/v2/a*b*c", "/v2/abc", False),
        ("/v2/**", "/v2/1/2/3", True),
        ("/v2/**", "/v2", False),
        ("/v2**", "/v2", True),
        ("/**/ips", "/v2/1/2/ips", True),
        ("/**/ips", "/v2/ips/1", False),
        ("/**", "/", True),
        ("/v2.0/x", "/v2a0/x", False),
        ("/v2/(a|b)", "/v2/a", False),
        ("/v2/[ab]", "/v2/a", False),
        ("/v2/***", "/v2/1/2", True),
        ("/v2/{id", "/v2/{id", True),
        ("/v2/*", "/v2/a\nb", True),
        ("/v2/x", "/v2/x\n", False),
    ],
)
def test_what_a_pattern_covers(pattern: str, path: str, covered: bool) -> None:
    assert covers(pattern, path) is covered


def _as_expression(pattern: str) -> re.Pattern[str]:
    pieces = {"**": ".*", "*": "[^/]+", "{a}": "[^/]+"}
    parts = re.split(r"(\*\*|\*|\{a\})", pattern)
    return re.compile("".join(pieces.get(part, re.escape(part)) for part in parts), re.DOTALL)


_PIECES = st.lists(st.sampled_from(["a", "b", "/", "*", "**", "{a}"]), max_size=7).map("".join)


@given(_PIECES, st.text("ab/", max_size=9))
def test_it_decides_as_an_expression_would(pattern: str, path: str) -> None:
    # A slash at the end of a pattern does not matter, and three stars are two.
    pattern = "/" + re.sub(r"\*\*\*+", "**", pattern).strip("/")
    assert covers(pattern, path) is (_as_expression(pattern).fullmatch(path) is not None)


@pytest.mark.parametrize("pattern", ["/" + "**a" * 74, "/" + "*a" * 112, "/" + "**/" * 74 + "b", "/" + "{a}a" * 56])
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    started = time.perf_counter()
    assert not covers(pattern, "/" + "a" * 8000 + "/c")
    assert time.perf_counter() - started < 5


def test_of_which_service_method_and_mount() -> None:
    rules = (AccessRule("network", "GET", "/v2.0/networks"), AccessRule("image", "GET", "/image/v2/images/*"))

    def granted(service: str, method: str, path: str, *mounts: str) -> bool:
        return is_granted(rules, service, method, path, mounts or (f"/{service}",))

    assert granted("network", "GET", "/v2.0/networks")
    assert granted("network", "GET", "/v2.0//networks/")
    assert not granted("network", "POST", "/v2.0/networks")
    assert not granted("network", "HEAD", "/v2.0/networks")
    assert not granted("compute", "GET", "/v2.0/networks")
    assert granted("image", "GET", "/v2/images/1", "/glance", "/image")
    assert not granted("image", "GET", "/v2/images/1", "/glance")
    assert granted("identity", "GET", "/v3/auth/tokens")
    assert not granted("identity", "DELETE", "/v3/auth/tokens")
    assert not granted("network", "GET", "/v3/auth/tokens")
    assert not is_granted((), "network", "GET", "/v2.0/networks", ())
