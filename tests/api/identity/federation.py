"""An identity provider with a protocol and a mapping, and sign-ins that a trusted proxy vouches for."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from tests.api.identity.people import V3, People
from tests.cloud import TestCloud

from stackyard.core.config import Settings
from stackyard.core.config_federation import Federation

FEDERATION = f"{V3}/OS-FEDERATION"
PROXY = "192.0.2.7"
SECRET = "what the proxy knows"
_numbers = count()

NAME_ONLY = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]


def settings(**federation: Any) -> Settings:
    """Settings of a cloud that believes one proxy, by its secret."""
    return replace(Settings(), federation=Federation(**{"proxy_secret": SECRET, **federation}))


class Provider:
    """One identity provider in a cloud, made through the API."""

    __test__ = False

    def __init__(self, people: People, rules: list[dict[str, Any]] | None = None, **attributes: Any) -> None:
        self.people = people
        self.cloud: TestCloud = people.cloud
        number = next(_numbers)
        self.id, self.mapping_id, self.protocol = f"idp-{number}", f"mapping-{number}", "mapped"
        version = attributes.pop("schema_version", "1.0")
        protocol = attributes.pop("protocol", {})
        self.put(f"mappings/{self.mapping_id}", mapping={"rules": rules or NAME_ONLY, "schema_version": version})
        body = {"enabled": True, **attributes}
        self.body = self.put(f"identity_providers/{self.id}", identity_provider=body)["identity_provider"]
        self.domain_id: str = self.body["domain_id"]
        path = f"identity_providers/{self.id}/protocols/{self.protocol}"
        self.put(path, protocol={"mapping_id": self.mapping_id, **protocol})

    def put(self, path: str, **body: Any) -> dict[str, Any]:
        """Make something of federation."""
        response = self.people.admin.put(f"{FEDERATION}/{path}", json=body)
        assert response.status_code == 201, response.text
        return dict(response.json())

    def map(self, rules: list[dict[str, Any]], version: str = "1.0") -> None:
        """Change the mapping."""
        body = {"mapping": {"rules": rules, "schema_version": version}}
        response = self.people.admin.patch(f"{FEDERATION}/mappings/{self.mapping_id}", json=body)
        assert response.status_code == 200, response.text

    @property
    def auth_url(self) -> str:
        """Where its users sign in."""
        return f"{FEDERATION}/identity_providers/{self.id}/protocols/{self.protocol}/auth"

    def sign_in(self, *, secret: str | None = SECRET, method: str = "POST", **attributes: str) -> Any:
        """The answer to what the proxy says of somebody: `sign_in(remote_user="jo")`."""
        headers = {name.replace("_", "-"): value for name, value in attributes.items()}
        if secret is not None:
            headers["X-Stackyard-Proxy-Secret"] = secret
        return self.cloud.http.request(method, self.auth_url, headers=headers)

    def token(self, **attributes: str) -> str:
        """The token of a sign-in that must succeed."""
        response = self.sign_in(**attributes)
        assert response.status_code == 201, response.text
        return str(response.headers["x-subject-token"])

    def rescope(self, token: str, scope: Any = None, method: str = "token") -> Any:
        """The answer to an exchange of a token."""
        auth: dict[str, Any] = {"identity": {"methods": [method], method: {"id": token}}}
        if scope is not None:
            auth["scope"] = scope
        return self.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth})
