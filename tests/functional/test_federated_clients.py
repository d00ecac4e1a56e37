"""The unmodified `openstack` client signs in by OpenID Connect, and looks after federation."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from scripts.clients import OPENSTACK, install_clients
from tests.api.identity.federation import settings
from tests.api.identity.oidc_issuer import Issuer
from tests.cloud import PASSWORDS, TestCloud

RULES = [
    {
        "local": [
            {
                "user": {"name": "{0}"},
                "projects": [{"name": "of {0}", "roles": [{"name": "member"}]}],
            }
        ],
        "remote": [{"type": "OIDC-name"}, {"type": "OIDC-groups", "any_one_of": ["staff"]}],
    }
]


class Served:
    """A cloud in this process that a real client can reach."""

    __test__ = False

    def __init__(self, path: Path, issuer: Issuer) -> None:
        self.issuer = issuer
        known = settings(proxy_secret="", oidc_issuers=(f"{issuer.url} audience=stackyard",))
        self.cloud = TestCloud(f"sqlite:///{path / 'cloud.sqlite'}", path / "state", known)
        config = uvicorn.Config(self.cloud.cloud, port=0, log_config=None, lifespan="off", ws="none")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        until = time.monotonic() + 30
        while not self.server.started and time.monotonic() < until:
            self.thread.join(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/identity/v3"

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        self.cloud.close()

    def run(self, auth: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
        """One command of the client, signed in as `auth` says."""
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "OS_AUTH_URL": self.url}
        environment |= {f"OS_{name.upper()}": value for name, value in auth.items()}
        command = [str(OPENSTACK), *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def admin(self, *words: str) -> str:
        """A command of the administrator, which must succeed."""
        auth = {"username": "admin", "password": PASSWORDS["admin"], "project_name": "admin"}
        auth |= {"user_domain_id": "default", "project_domain_id": "default", "identity_api_version": "3"}
        done = self.run(auth, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Such a cloud, and an issuer that it knows, with a provider for it made by the client."""
    install_clients()
    path = tmp_path_factory.mktemp("federated")
    with Issuer() as issuer:
        made = Served(path, issuer)
        try:
            rules = path / "rules.json"
            rules.write_text(json.dumps(RULES))
            made.admin("mapping", "create", "--rules", str(rules), "staff")
            made.admin("identity", "provider", "create", "--remote-id", issuer.url, "--domain", "default", "sso")
            made.admin("federation", "protocol", "create", "--identity-provider", "sso", "--mapping", "staff", "openid")
            yield made
        finally:
            made.close()


def sign_in(served: Served, kind: str, **more: str) -> subprocess.CompletedProcess[str]:
    auth = {
        "auth_type": kind,
        "identity_provider": "sso",
        "protocol": "openid",
        "client_id": "the-client",
        "client_secret": "its secret",
        "discovery_endpoint": f"{served.issuer.url}/.well-known/openid-configuration",
        "identity_api_version": "3",
        "project_domain_id": "default",
        **more,
    }
    return served.run(auth, "token", "issue", "-f", "json")


def project_of(served: Served, done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    project_id = json.loads(done.stdout)["project_id"]
    return str(json.loads(served.admin("project", "show", project_id, "-f", "json"))["name"])


def test_with_a_password_at_the_issuer(served: Served) -> None:
    auth = {"username": "jo", "password": "right", "project_name": "of jo"}
    # The first sign-in makes the project that the next ones are for.
    unscoped = {name: value for name, value in auth.items() if name != "project_name"}
    assert sign_in(served, "v3oidcpassword", **unscoped).returncode == 0
    assert project_of(served, sign_in(served, "v3oidcpassword", **auth)) == "of jo"
    wrong = sign_in(served, "v3oidcpassword", **{**auth, "password": "wrong"})
    assert wrong.returncode != 0
    assert {grant["grant_type"] for grant in served.issuer.grants} == {"password"}
    users = json.loads(served.admin("user", "list", "--domain", "default", "-f", "json"))
    assert "jo" in {user["Name"] for user in users}


def test_as_a_client_of_the_issuer(served: Served) -> None:
    assert sign_in(served, "v3oidcclientcredentials").returncode == 0
    assert project_of(served, sign_in(served, "v3oidcclientcredentials", project_name="of robot")) == "of robot"


def test_with_a_token_that_one_has(served: Served) -> None:
    token = served.issuer.token(name="al", groups=["staff"])
    assert sign_in(served, "v3oidcaccesstoken", access_token=token).returncode == 0
    assert project_of(served, sign_in(served, "v3oidcaccesstoken", access_token=token, project_name="of al")) == "of al"
    outsider = served.issuer.token(name="al", groups=["guests"])
    refused = sign_in(served, "v3oidcaccesstoken", access_token=outsider)
    assert refused.returncode != 0
    assert "Could not map" in refused.stderr


def test_federation_is_looked_after(served: Served) -> None:
    listed = json.loads(served.admin("identity", "provider", "list", "-f", "json"))
    assert [one["ID"] for one in listed] == ["sso"]
    served.admin("identity", "provider", "set", "--description", "d", "--authorization-ttl", "60", "sso")
    shown = json.loads(served.admin("identity", "provider", "show", "sso", "-f", "json"))
    assert (shown["description"], shown["authorization_ttl"], shown["enabled"]) == ("d", 60, True)
    protocols = json.loads(served.admin("federation", "protocol", "list", "--identity-provider", "sso", "-f", "json"))
    assert protocols == [{"id": "openid", "mapping": "staff"}]
    assert json.loads(served.admin("mapping", "show", "staff", "-f", "json"))["rules"] == RULES
    url = "https://there.example.org/v3"
    served.admin("service", "provider", "create", "--auth-url", url, "--service-provider-url", f"{url}/saml", "there")
    assert json.loads(served.admin("service", "provider", "show", "there", "-f", "json"))["auth_url"] == url
    served.admin("service", "provider", "delete", "there")
    assert json.loads(served.admin("service", "provider", "list", "-f", "json")) == []
