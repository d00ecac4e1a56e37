"""A plain HTTP client that keeps its connection, and the addresses of the cloud under measurement."""

from __future__ import annotations

import dataclasses
import http.client
import json
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

MICROVERSIONS = "container 1.40, compute 2.37"


class RequestError(Exception):
    """The server answered with a status that the caller did not expect."""

    def __init__(self, method: str, url: str, status: int, text: str) -> None:
        super().__init__(f"{method} {url}: {status} {text[:300]}")
        self.status = status


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a cloud's services answer: whole URLs without a trailing slash, and how its administrator signs in."""

    identity: str
    image: str
    network: str
    container: str
    compute: str
    placement: str
    password: str
    username: str = "admin"
    project: str = "admin"

    def password_body(self) -> dict[str, Any]:
        """The body of POST /auth/tokens for a project-scoped token by password."""
        domain = {"id": "default"}
        user = {"name": self.username, "domain": domain, "password": self.password}
        return {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": self.project, "domain": domain}},
            }
        }


class Client:
    """One client's connections (kept alive, one for each host) and its token. Not safe to share between threads."""

    def __init__(self, target: Target, *, token: str | None = None, timeout: float = 120.0) -> None:
        self.target = target
        self.timeout = timeout
        self.headers = {"Accept": "application/json", "OpenStack-API-Version": MICROVERSIONS}
        self._connections: dict[str, http.client.HTTPConnection] = {}
        if token:
            self.headers["X-Auth-Token"] = token

    @property
    def token(self) -> str:
        """The token in use; empty before authenticate()."""
        return self.headers.get("X-Auth-Token", "")

    def authenticate(self) -> str:
        """Gets a project-scoped token by password, uses it from now on, and returns it."""
        url = self.target.identity + "/auth/tokens"
        body = json.dumps(self.target.password_body()).encode()
        status, headers, data = self._send("POST", url, body, {"Content-Type": "application/json"})
        if status != 201:
            raise RequestError("POST", url, status, data.decode(errors="replace"))
        self.headers["X-Auth-Token"] = headers["x-subject-token"]
        return self.token

    def request(self, method: str, url: str, body: object = None, *, data: bytes | None = None) -> Any:
        """Sends JSON (or `data` as octets) and returns the decoded answer, None when it is empty.

        Raises RequestError for every status of 400 and above.
        """
        headers = dict(self.headers)
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        elif data is not None:
            headers["Content-Type"] = "application/octet-stream"
        status, answer_headers, content = self._send(method, url, data, headers)
        if status >= 400:
            raise RequestError(method, url, status, content.decode(errors="replace"))
        if not content or "json" not in answer_headers.get("content-type", ""):
            return content or None
        return json.loads(content)

    def get(self, url: str) -> Any:
        """GET, decoded."""
        return self.request("GET", url)

    def post(self, url: str, body: object) -> Any:
        """POST of JSON, decoded."""
        return self.request("POST", url, body)

    def put(self, url: str) -> Any:
        """PUT without a body."""
        return self.request("PUT", url)

    def delete(self, url: str) -> None:
        """DELETE."""
        self.request("DELETE", url)

    def close(self) -> None:
        """Closes every connection."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _send(
        self, method: str, url: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        parts = urllib.parse.urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        for attempt in (1, 2):
            fresh = parts.netloc not in self._connections
            connection = self._connections.setdefault(
                parts.netloc, http.client.HTTPConnection(parts.netloc, timeout=self.timeout)
            )
            try:
                connection.request(method, path or "/", data, headers)
                answer = connection.getresponse()
                content = answer.read()
            except (http.client.HTTPException, ConnectionError):
                # A kept connection may have been closed by the server in the meantime; a new one may not.
                connection.close()
                del self._connections[parts.netloc]
                if fresh or attempt == 2:
                    raise
                continue
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content
        raise AssertionError("unreachable")


def wait_for(condition: Callable[[], bool], *, seconds: float, what: str, interval: float = 0.02) -> float:
    """Polls until the condition holds and returns the seconds that took. Raises TimeoutError, naming `what`."""
    started = time.perf_counter()
    while not condition():
        if time.perf_counter() - started > seconds:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(interval)
    return time.perf_counter() - started


def answers(url: str, *, timeout: float = 2.0) -> bool:
    """True when a GET of the URL is answered by who serves it: with success, or with the demand to sign in."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/")
        status = connection.getresponse().status
        return status < 400 or status == 401
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
