"""Users of a real cloud who speak plain HTTP over one connection, and what they do with containers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import httpx2
from tests.engine_fixture import wait_until

CONTAINERS = "/container/v1/containers"
Json = dict[str, Any]


class Session:
    """One user signed in to one project."""

    def __init__(self, url: str, user: str, password: str, project: str) -> None:
        self._http = httpx2.Client(base_url=url, timeout=60, trust_env=False)
        self.name, self.password, self.project_name = user, password, project
        self.project = ""
        self.sign_in()

    def sign_in(self) -> None:
        """Get a token (anew, when the cloud was restarted in between and nothing is known of the old one)."""
        domain = {"id": "default"}
        user = {"name": self.name, "password": self.password, "domain": domain}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": self.project_name, "domain": domain}}
        answer = self._http.post("/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
        assert answer.status_code == 201, answer.text
        self.project = answer.json()["token"]["project"]["id"]
        self._http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        self._http.headers["OpenStack-API-Version"] = "container 1.40"

    def use(self, token: str) -> None:
        """Go on with another token."""
        self._http.headers["X-Auth-Token"] = token

    def send(self, method: str, path: str, body: object = None, **parameters: str) -> httpx2.Response:
        """The answer, whatever it is."""
        # Only what is given: parameters take the place of those in the path.
        given: Json = {} if body is None else {"json": body}
        return self._http.request(method, path, **given, **({"params": parameters} if parameters else {}))

    def call(self, method: str, path: str, body: object = None, **parameters: str) -> Any:
        """The answer's JSON, None when it is empty. AssertionError for anything but a success."""
        answer = self.send(method, path, body, **parameters)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:1000]}"
        return answer.json() if answer.content else None

    def raw(self, method: str, path: str, content: bytes, token: str | None = None) -> httpx2.Response:
        """Send bytes as if they were JSON, with another token when one is given."""
        headers = {"Content-Type": "application/json"} | ({} if token is None else {"X-Auth-Token": token})
        return self._http.request(method, path, content=content, headers=headers)

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    # -- containers -----------------------------------------------------------------------------------------------

    def create(self, *, image: str = "busybox", start: bool = True, **fields: Any) -> Json:
        """Ask for a container; it sleeps unless told otherwise."""
        body = {"name": f"c-{secrets.token_hex(4)}", "image": image, **fields}
        if image == "busybox":
            body.setdefault("command", ["sleep", "86400"])
        found: Json = self.call("POST", f"{CONTAINERS}?run=true" if start else CONTAINERS, body)
        return found

    def run(self, **fields: Any) -> Json:
        """A container that runs."""
        return self.wait(self.create(**fields)["uuid"], "Running")

    def show(self, container: str) -> Json:
        """One container."""
        found: Json = self.call("GET", f"{CONTAINERS}/{container}")
        return found

    def wait(self, container: str, status: str, timeout: float = 30) -> Json:
        """The container, once it has a status and no task; another end of its way fails at once."""
        ends = {"Error", "Stopped", "Dead", "Deleted"} - {status}

        def look() -> Json | None:
            seen = self.show(container)
            settled = seen["task_state"] is None
            if settled and status == "Running" and seen["status"] in ends:
                raise AssertionError(f"{seen['name']} is {seen['status']}, not {status}: {seen['status_reason']}")
            return seen if settled and seen["status"] == status else None

        return wait_until(look, f"container {container} is {status}: {self.show(container)}", timeout) or {}

    def act(self, container: str, action: str, **parameters: str) -> None:
        """POST one of a container's actions."""
        self.call("POST", f"{CONTAINERS}/{container}/{action}", **parameters)

    def attempt(self, container: str, command: str) -> tuple[int, str]:
        """Exit status and output of a command inside."""
        answer = self.call("POST", f"{CONTAINERS}/{container}/execute", command=command, run="true")
        return answer["exit_code"], answer["output"]

    def inside(self, container: str, command: str) -> str:
        """The output of a command inside, which must succeed."""
        status, output = self.attempt(container, command)
        assert status == 0, f"{command!r} in {container} exits {status}: {output}"
        return output

    def logs(self, container: str) -> str:
        """What it printed."""
        printed: str = self.call("GET", f"{CONTAINERS}/{container}/logs")
        return printed

    def delete(self, container: str) -> None:
        """End and delete it, as soon as its state allows; returns when it is gone."""
        path = f"{CONTAINERS}/{container}"

        def accepted() -> bool:
            self.send("POST", f"{path}/kill")  # so that nobody waits for a process that does not care for SIGTERM
            answer = self.send("DELETE", path, stop="true")
            if answer.status_code == 409 and "Paused" in answer.text:
                self.act(container, "unpause")
            assert answer.status_code in (204, 404, 409), answer.text
            return answer.status_code in (204, 404)

        wait_until(accepted, f"container {container} can be deleted", 60)
        self.wait_gone(container)

    def wait_gone(self, container: str, timeout: float = 30) -> None:
        """Until nobody knows it any more."""
        path = f"{CONTAINERS}/{container}"
        wait_until(lambda: self.send("GET", path).status_code == 404, f"container {container} is gone", timeout)


def address(container: Mapping[str, Any], network: str | None = None, version: int = 4) -> str:
    """A container's address, on one network (by id) when it has several."""
    found = [
        entry["addr"]
        for net, entries in container["addresses"].items()
        for entry in entries
        if entry["version"] == version and network in (None, net)
    ]
    assert found, f"{container['name']} has no IPv{version} address: {container['addresses']}"
    return str(found[0])


def port(container: Mapping[str, Any]) -> str:
    """The id of a container's first port."""
    return str(next(iter(container["addresses"].values()))[0]["port"])
