"""The cloud's address as a client reached it: remembered, and yet what Starlette makes of each request alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from stackyard.core.config import Settings, load
from stackyard.core.db import Database
from stackyard.core.policy import PolicySet
from stackyard.core.quota import Quotas
from stackyard.core.runtime import Runtime


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'none.sqlite'}")
    yield made
    made.close()


def runtime_of(settings: Settings, database: Database) -> Runtime:
    def nobody(*_: object) -> Any:
        raise AssertionError("nobody asks")

    return Runtime(settings=settings, database=database, policies=PolicySet(()), quotas=Quotas({}), authenticate=nobody)


def request(*hosts: bytes, **differs: Any) -> Request:
    headers = [(b"accept", b"*/*"), *((b"host", host) for host in hosts)]
    scope = {"type": "http", "scheme": "http", "server": ("127.0.0.1", 5000), "root_path": "", "path": "/compute"}
    return Request({**scope, "query_string": b"limit=1", "headers": headers, **differs})


REQUESTS = {
    "without a host": request(),
    "a host": request(b"cloud:5000"),
    "another host": request(b"other.example"),
    "the same, by TLS": request(b"other.example", scheme="https"),
    "the first of two hosts": request(b"one", b"two"),
    "a host that is none": request(b"a b/?#"),
    "a port that is none": request(b"cloud:70000"),
    "a very long host": request(b"a" * 5000),
    "an empty host": request(b""),
    "a path before it": request(b"cloud", root_path="/clouds/one"),
    "an application around it": request(b"cloud", root_path="/inner", app_root_path="/outer"),
    "a server's default port": request(server=("::1", 80)),
    "a server as a list": request(server=["127.0.0.1", 5000]),
    "a server's socket file": request(b"cloud", server=("/run/cloud.sock", None)),
    "no server": request(server=None),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_address_is_that_of_the_request(database: Database, name: str) -> None:
    runtime = runtime_of(Settings(), database)
    for other in (*REQUESTS.values(), REQUESTS[name], REQUESTS[name]):
        assert runtime.root_url(other) == str(other.base_url).rstrip("/")


def test_a_public_address_goes_before(database: Database) -> None:
    runtime = runtime_of(load(None, {"STACKYARD_SERVER_PUBLIC_URL": "https://cloud.example/"}), database)
    assert runtime.root_url(request(b"inside:5000")) == "https://cloud.example"
