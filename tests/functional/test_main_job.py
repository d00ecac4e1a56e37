"""The main job, as `make demo` does it: containers on a tenant network, a floating IP, a closed port."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest
from tests.engine_fixture import wait_until
from tests.functional.real_cloud import RealCloud
from tests.functional.users import Session, address, port

pytestmark = [pytest.mark.root, pytest.mark.docker]


@pytest.fixture
def names(demo: Session, real_cloud: RealCloud) -> Iterator[None]:
    """What the test makes in demo's project is gone afterwards."""
    yield
    for name in ("web", "visitor"):
        demo.delete(name)
    for floating in demo.call("GET", "/network/v2.0/floatingips")["floatingips"]:
        demo.call("DELETE", f"/network/v2.0/floatingips/{floating['id']}")


def page(url: str) -> str | None:
    """What a URL answers on a connection of its own, None when it does not."""
    try:
        return httpx2.get(url, timeout=1, trust_env=False).text
    except httpx2.TransportError:
        return None


def test_the_main_job(real_cloud: RealCloud, demo: Session, names: None) -> None:
    real_cloud.openstack("appcontainer", "run", "--name", "web", "--net", "network=private", "nginx")
    web = demo.wait("web", "Running")
    shown = json.loads(real_cloud.openstack("appcontainer", "show", "web", "-f", "json"))
    assert (shown["status"], shown["image"], shown["hostname"]) == ("Running", "nginx", "web")
    assert address(web) in shown["addresses"]

    real_cloud.openstack(
        "appcontainer", "run", "--name", "visitor", "--net", "network=private", "busybox", "sleep", "86400"
    )
    demo.wait("visitor", "Running")
    for place in (address(web), "web"):
        said = real_cloud.openstack("appcontainer", "exec", "visitor", "wget", "-q", "-O", "-", f"http://{place}/")
        assert "nginx" in said.lower()

    floating = real_cloud.look("floating", "ip", "create", "public")["floating_ip_address"]
    real_cloud.openstack("floating", "ip", "set", "--port", port(web), floating)
    url = f"http://{floating}/"
    assert page(url) is None, "the port is open before there is a rule"
    rule = real_cloud.look("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "80", "default")
    wait_until(lambda: "nginx" in (page(url) or "").lower(), f"{url} answers from the host", 10)

    assert '"GET / HTTP/1.1" 200' in real_cloud.openstack("appcontainer", "logs", "web")
    assert real_cloud.openstack("appcontainer", "exec", "web", "cat", "/etc/hostname").strip() == "web"
    stats = real_cloud.look("appcontainer", "stats", "web")
    assert stats["CONTAINER"] == "web"
    assert 0 < stats["MEM USAGE(MiB)"] < stats["MEM LIMIT(MiB)"] == 512
    received, sent = (int(number) for number in stats["NET I/O(B)"].split("/"))
    assert received > 0
    assert sent > 0

    real_cloud.openstack("security", "group", "rule", "delete", rule["id"])
    wait_until(lambda: page(url) is None, f"{url} is closed", 10)
