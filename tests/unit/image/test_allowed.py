"""What may be fetched: the operator's lists on schemes, hosts and ports, and the addresses behind names."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

import pytest

from stackyard.core.config_image import Image
from stackyard.services.image.stores.allowed import Allowed, NotAllowed, is_public


def allowed(**settings: Any) -> Allowed:
    return Allowed.of(replace(Image(), **settings))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A name server of the test's own."""
    known: dict[str, list[str]] = {}

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def test_by_default_nothing_is_allowed() -> None:
    for url in ("http://example.org/x", "https://example.org", "http://127.0.0.1/"):
        with pytest.raises(NotAllowed, match="host"):
            allowed().check(url)


@pytest.mark.parametrize(
    ("settings", "url", "passes"),
    [
        ({"allowed_hosts": ("example.org",)}, "http://example.org/x", True),
        ({"allowed_hosts": ("Example.ORG",)}, "http://EXAMPLE.org./x", True),
        ({"allowed_hosts": ("example.org",)}, "http://www.example.org/", False),
        ({"allowed_hosts": ("example.org",)}, "http://example.org.evil.net/", False),
        ({"allowed_hosts": ("example.org",)}, "http://example.org@evil.net/", False),
        ({"allowed_hosts": ("example.org",)}, "http://evil.net#@example.org/", False),
        ({"allowed_hosts": ("example.org",)}, "http://evil.net\\@example.org/", False),
        ({"allowed_hosts": ("*",)}, "http://anything.net/", True),
        ({"allowed_hosts": ("*",), "disallowed_hosts": ("evil.net",)}, "http://evil.net/", False),
        ({"allowed_hosts": ("evil.net",), "disallowed_hosts": ("evil.net",)}, "http://evil.net/", True),
        ({"allowed_hosts": ("*",)}, "http://example.org:8080/", False),
        ({"allowed_hosts": ("*",)}, "https://example.org:443/", True),
        ({"allowed_hosts": ("*",), "allowed_ports": (8080,)}, "http://example.org:8080/", True),
        ({"allowed_hosts": ("*",), "allowed_ports": (8080,)}, "http://example.org/", False),
        ({"allowed_hosts": ("*",), "allowed_ports": (), "disallowed_ports": (22,)}, "http://example.org:22/", False),
        ({"allowed_hosts": ("*",), "allowed_ports": (), "disallowed_ports": (22,)}, "http://example.org:23/", True),
        ({"allowed_hosts": ("*",), "allowed_schemes": ("https",)}, "http://example.org/", False),
        ({"allowed_hosts": ("*",), "allowed_schemes": ("file",)}, "file:///etc/passwd", False),
        ({"allowed_hosts": ("*",)}, "http://", False),
        ({"allowed_hosts": ("*",)}, "http://example.org:x/", False),
        ({"allowed_hosts": ("*",)}, "http://[::1/", False),
        ({"allowed_hosts": ("*",)}, "http://example.org/\n", False),
        ({"allowed_hosts": ("*",)}, "http://exämple.org/", False),
        ({"allowed_hosts": ("*",)}, "//example.org/", False),
    ],
)
def test_words(settings: dict[str, Any], url: str, passes: bool) -> None:
    if passes:
        allowed(**settings).check(url)
    else:
        with pytest.raises(NotAllowed):
            allowed(**settings).check(url)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_private_addresses_are_reached_by_name_alone(names: dict[str, list[str]]) -> None:
    names |= {"inner.example": ["10.0.0.9"], "mixed.example": ["10.0.0.9", "8.8.8.8"], "outer.example": ["8.8.4.4"]}
    anywhere = allowed(allowed_hosts=("*",))
    assert anywhere.resolve("http://outer.example/").addresses == ("8.8.4.4",)
    assert anywhere.resolve("http://mixed.example/").addresses == ("8.8.8.8",)
    with pytest.raises(NotAllowed, match="no address that may be reached"):
        anywhere.resolve("http://inner.example/")
    by_name = allowed(allowed_hosts=("inner.example",))
    assert by_name.resolve("http://inner.example/a?b=c#d").target == "/a?b=c"
    assert by_name.resolve("http://inner.example/").addresses == ("10.0.0.9",)
    by_address = allowed(allowed_hosts=("*", "10.0.0.9"))
    assert by_address.resolve("http://inner.example/").addresses == ("10.0.0.9",)
    denied = allowed(allowed_hosts=("*",), disallowed_hosts=("8.8.4.4",))
    with pytest.raises(NotAllowed):
        denied.resolve("http://outer.example/")
    with pytest.raises(NotAllowed, match="has no address"):
        anywhere.resolve("http://none.example/")


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "localhost"])
def test_other_spellings_of_loopback_gain_nothing(host: str) -> None:
    with pytest.raises(NotAllowed):
        allowed(allowed_hosts=("*",)).resolve(f"http://{host}/")
