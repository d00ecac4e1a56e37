"""Placement alone with invented callers, and short ways to ask it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import httpx2 as httpx
from starlette.testclient import TestClient
from tests import seeded
from tests.pooled import SharedDatabase

from stackyard.core.caller import Caller
from stackyard.core.config import Settings
from stackyard.core.db import Transaction
from stackyard.core.dispatch import Dispatcher
from stackyard.core.errors import Unauthorized
from stackyard.core.policy import PolicySet
from stackyard.core.quota import Quotas
from stackyard.core.runtime import Runtime
from stackyard.services.placement import SERVICE

CALLERS = {"admin": {"admin", "member", "reader"}, "service": {"service"}, "demo": {"member", "reader"}}
VCPU = {"VCPU": {"total": 8, "max_unit": 8}}


def _authenticate(tx: Transaction, token: str) -> Caller:
    del tx
    if token not in CALLERS:
        raise Unauthorized("The token is not one of the test's.")
    return Caller(user_id=token, user_name=token, project_id=f"project-of-{token}", roles=frozenset(CALLERS[token]))


class Placement:
    """The service under test."""

    def __init__(self, url: str) -> None:
        seeded.tables(url)
        self.database = SharedDatabase(url)
        self.runtime = Runtime(
            settings=Settings(),
            database=self.database,
            policies=PolicySet(SERVICE.policies),
            quotas=Quotas({}),
            authenticate=_authenticate,
        )
        app = Dispatcher(self.runtime, [SERVICE])
        self._http = TestClient(app, base_url="http://cloud:5000/placement", raise_server_exceptions=False)

    def ask(
        self, method: str, path: str, body: Any = None, *, version: str = "1.39", who: str = "admin", **headers: str
    ) -> httpx.Response:
        """One call."""
        sent = {"OpenStack-API-Version": f"placement {version}", "X-Auth-Token": who}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        given: dict[str, Any] = {} if body is None else {"json": body}
        return self._http.request(method, path, headers=sent, **given)

    def get(self, path: str, version: str = "1.39") -> Any:
        """The body of what is there."""
        answer = self.ask("GET", path, version=version)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def generation(self, provider: str) -> int:
        """A provider's."""
        return int(self.get(f"/resource_providers/{provider}")["generation"])

    def provider(
        self,
        name: str,
        inventories: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        traits: Iterable[str] = (),
        aggregates: Iterable[str] = (),
        parent: str | None = None,
    ) -> str:
        """The UUID of a new provider."""
        made = self.ask("POST", "/resource_providers", {"name": name, "parent_provider_uuid": parent})
        assert made.status_code == 200, made.text
        found = str(made.json()["uuid"])
        for trait in traits:
            if trait.startswith("CUSTOM_"):
                assert self.ask("PUT", f"/traits/{trait}").status_code in (201, 204)
        given: list[tuple[str, dict[str, Any]]] = []
        if inventories:
            given.append(("inventories", {"inventories": inventories}))
        if traits:
            given.append(("traits", {"traits": list(traits)}))
        if aggregates:
            given.append(("aggregates", {"aggregates": list(aggregates)}))
        for part, body in given:
            seen = {"resource_provider_generation": self.generation(found)}
            answer = self.ask("PUT", f"/resource_providers/{found}/{part}", body | seen)
            assert answer.status_code == 200, answer.text
        return found

    def allocate(self, resources: Mapping[str, Mapping[str, int]], consumer: str | None = None, **more: Any) -> Any:
        """A PUT of a consumer's allocations; the consumer (a new one unless named) and the answer."""
        consumer = consumer or str(uuid.uuid4())
        body = {
            "allocations": {provider: {"resources": some} for provider, some in resources.items()},
            "project_id": "p", "user_id": "u", "consumer_generation": None, "consumer_type": "INSTANCE",
        } | more  # fmt: skip
        return consumer, self.ask("PUT", f"/allocations/{consumer}", body)

    def candidates(self, query: str, version: str = "1.39") -> list[dict[str, dict[str, int]]]:
        """The combinations that a query finds: resources by provider."""
        found = self.get(f"/allocation_candidates?{query}", version)["allocation_requests"]
        return [{uuid: one["resources"] for uuid, one in request["allocations"].items()} for request in found]


def code_of(answer: httpx.Response) -> str:
    """The code of a fault."""
    return str(answer.json()["errors"][0]["code"])


def detail_of(answer: httpx.Response) -> str:
    """What a fault says."""
    return str(answer.json()["errors"][0]["detail"])
