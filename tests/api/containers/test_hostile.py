"""Input that means harm gets a 4xx, on every database."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.containers.zun import PATH, Zun
from tests.cloud import TestCloud

V1 = "/container/v1"
SOME = "3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d11"

REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", f"{PATH}/%00", {}),
    ("GET", f"{PATH}/{'a' * 3000}", {}),
    ("GET", f"{PATH}/..%2f..%2fetc", {}),
    ("GET", PATH, {"params": {"name": "\0"}}),
    ("GET", PATH, {"params": {"memory": "9" * 30}}),
    ("GET", PATH, {"params": {"limit": "9" * 30, "marker": "\0"}}),
    ("POST", PATH, {"content": b"{"}),
    ("POST", PATH, {"content": b"[]"}),
    ("POST", PATH, {"content": b"\xff\xfe"}),
    ("POST", PATH, {"content": b'{"image": "nginx", "name": "\\ud800x"}'}),
    ("POST", PATH, {"json": {}}),
    ("POST", PATH, {"json": {"image": 5}}),
    ("POST", PATH, {"json": {"image": "nginx", "labels": {"a": ["b"]}}}),
    ("POST", PATH, {"json": {"image": "../../etc"}}),
    ("POST", PATH, {"json": {"image": "nginx", "nets": [{"network": "\0"}]}}),
    ("POST", PATH, {"json": {"image": "nginx", "nets": [{"network": "private", "v4-fixed-ip": "1.2.3"}]}}),
    ("POST", PATH, {"json": {"image": "nginx", "nets": [{"network": "private", "v4-fixed-ip": "192.0.2.1"}]}}),
    ("POST", PATH, {"json": {"image": "nginx"}, "params": {"run": "perhaps"}}),
    ("POST", PATH, {"json": {"image": "nginx"}, "params": {"run": "true", "walk": "true"}}),
    ("POST", f"{PATH}/{SOME}/execute", {"json": {"command": "\0"}}),
    ("POST", f"{PATH}/box/network_attach", {"params": {"network": "\0"}}),
    ("POST", f"{PATH}/box/commit", {"params": {"repository": "a b"}}),
    ("POST", f"{PATH}/box/stop", {"params": {"timeout": "-1"}}),
    ("POST", f"{PATH}/box/start", {"content": b"[1]"}),
    ("GET", f"{PATH}/box/container_actions/%00", {}),
    ("GET", f"{PATH}/box/get_archive", {}),
    ("GET", f"{V1}/registries/%00", {}),
    ("POST", f"{V1}/registries", {"json": {"registry": {"domain": "\0"}}}),
    ("POST", f"{V1}/registries", {"json": {"registry": []}}),
    ("PUT", f"{V1}/services/enable", {"params": {"host": "x"}}),
]


def test_no_request_breaks_the_service(cloud: TestCloud) -> None:
    zun, admin = Zun(cloud), Zun(cloud, "admin")
    zun.create(name="box", run=False)
    for user in (zun, admin):
        for method, path, arguments in REQUESTS:
            response = user.http.request(method, path, **arguments)
            assert 400 <= response.status_code < 500, (method, path, arguments, response.status_code, response.text)
    assert [c["name"] for c in zun.list()] == ["box"]


@pytest.mark.parametrize("name", ["cpu", "memory", "disk"])
def test_numbers_out_of_range_name_themselves(cloud: TestCloud, name: str) -> None:
    for value in (-1, 0, 10**12, "1e9", [], {}, True):
        assert name in Zun(cloud).refused("POST", PATH, 400, json={"image": "nginx", name: value})["detail"]
