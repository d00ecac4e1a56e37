"""Configuration of single domains: by whole, group and option; what is refused, hidden, and kept encrypted."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from tests.api.identity.people import SYSTEM, V3, People, in_domain

from stackyard.services.identity import domain_config
from stackyard.services.identity.api import rotate_credential_keys
from stackyard.services.identity.domain_config.options import DEFAULTS
from stackyard.services.identity.domain_config.tables import options

CONFIG = {
    "identity": {"driver": "ldap"},
    "ldap": {"url": "ldap://directory.example:389/", "user_tree_dn": "ou=Users,dc=example"},
}
DEFAULT = f"{V3}/domains/config"


class Place:
    """A domain, and its configuration's address."""

    def __init__(self, people: People) -> None:
        self.people, self.admin = people, people.admin
        self.domain = people.make("domain")
        self.url = f"{V3}/domains/{self.domain['id']}/config"

    def put(self, config: Any, status: int = 201) -> Any:
        """Configure it anew."""
        response = self.admin.put(self.url, json={"config": config})
        assert response.status_code == status, response.text
        return response.json()

    def get(self, path: str = "") -> Any:
        """What is configured; None where there is nothing."""
        response = self.admin.get(f"{self.url}{path}")
        assert response.status_code in (200, 404), response.text
        return response.json()["config"] if response.status_code == 200 else None

    def in_force(self) -> Any:
        """What takes effect."""
        return self.people.cloud.database.read("ask", domain_config.settings_of, self.domain["id"])


@pytest.fixture
def place(people: People) -> Place:
    """A fresh one."""
    return Place(people)


def test_configuring_a_domain(place: Place) -> None:
    assert place.get() is None
    assert place.put(CONFIG) == {"config": CONFIG}
    assert place.get() == CONFIG
    assert place.get("/ldap") == {"ldap": CONFIG["ldap"]}
    assert place.get("/identity/driver") == {"driver": "ldap"}
    assert place.admin.head(f"{place.url}/identity/driver").status_code == 200
    assert place.get("/ldap/suffix") is None
    assert place.put({"ldap": {"suffix": "dc=example"}}, 200) == {"config": {"ldap": {"suffix": "dc=example"}}}
    assert place.get("/identity") is None
    missing = place.admin.get(f"{place.url}/ldap/url").json()["error"]
    assert missing["message"] == (
        f"Could not find option url in group ldap in domain configuration for domain {place.domain['id']}."
    )
    assert place.admin.delete(place.url).status_code == 204
    assert place.get() is None


def test_changing_a_configuration(place: Place) -> None:
    place.put(CONFIG)

    def change(path: str, config: Any) -> Any:
        response = place.admin.patch(f"{place.url}{path}", json={"config": config})
        assert response.status_code == 200, response.text
        return response.json()["config"]

    changed = change("", {"ldap": {"use_tls": True, "url": "ldap://other.example"}})
    assert changed == {**CONFIG, "ldap": {**CONFIG["ldap"], "use_tls": True, "url": "ldap://other.example"}}
    assert change("/identity", {"identity": {"driver": "sql", "list_limit": 5}})["identity"] == {
        "driver": "sql",
        "list_limit": 5,
    }
    assert change("/identity/driver", {"driver": "ldap"})["identity"]["driver"] == "ldap"
    assert place.admin.delete(f"{place.url}/ldap/use_tls").status_code == 204
    assert place.admin.delete(f"{place.url}/ldap/use_tls").status_code == 404
    assert place.admin.delete(f"{place.url}/identity").status_code == 204
    assert place.admin.delete(f"{place.url}/identity").status_code == 404
    assert place.get() == {"ldap": {**CONFIG["ldap"], "url": "ldap://other.example"}}


REFUSED: list[tuple[str, Any, int]] = [
    ("", {}, 403),
    ("", {"ldap": {}}, 403),
    ("", {"ldap": "on"}, 403),
    ("", {"token": {"expiration": 1}}, 403),
    ("", {"ldap": {"colour": "red"}}, 403),
    ("", {"security_compliance": {"password_regex": ".*"}}, 403),
    ("", {"ldap": {"url": {"a": 1}}}, 400),
    ("", {"ldap": {"url": "u" * 4097}}, 400),
    ("", {"ldap": {"user_attribute_ignore": [1]}}, 400),
    ("", {"ldap": {"user_attribute_ignore": ["a"] * 101}}, 400),
    ("", [], 400),
    ("", None, 400),
    ("/ldap", {"identity": {"driver": "sql"}}, 403),
    ("/ldap", {"ldap": {"url": "u"}, "identity": {"driver": "sql"}}, 403),
    ("/ldap/url", {"suffix": "dc=a"}, 403),
    ("/ldap/url", {"url": "u", "suffix": "dc=a"}, 403),
    ("/ldap/suffix", {"suffix": "dc=a"}, 404),
    ("/ldap/colour", {"colour": "red"}, 403),
    ("/token", {"token": {"expiration": 1}}, 403),
    ("/security_compliance", {"security_compliance": {"password_regex": ".*"}}, 403),
    ("/security_compliance/password_regex", {"password_regex": ".*"}, 403),
]


def test_what_is_refused(place: Place) -> None:
    for path, config, status in REFUSED:
        place.put(CONFIG, 200 if place.get() else 201)
        response = place.admin.patch(f"{place.url}{path}", json={"config": config})
        assert response.status_code == status, (path, config, response.text)
        if not path:
            assert place.admin.put(place.url, json={"config": config}).status_code == status, config
        assert place.get() == CONFIG, (path, config)
    for path in ("/token", "/ldap/colour", "/identity/password"):
        assert place.admin.get(f"{place.url}{path}").status_code == 403, path
        assert place.admin.delete(f"{place.url}{path}").status_code == 403, path
    assert place.admin.delete(f"{place.url}/security_compliance").status_code == 403
    assert place.admin.put(place.url, json={}).status_code == 400
    nowhere = f"{V3}/domains/none/config"
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert place.admin.request(method, nowhere, json={"config": CONFIG}).status_code == 404, method


def test_secrets_are_kept_and_never_shown(place: Place) -> None:
    given = {"ldap": {"password": "s3cret-word", "url": "ldap://a/?password=%(password)s", "user": "100%(odd"}}
    visible = {"ldap": {"url": given["ldap"]["url"], "user": "100%(odd"}}
    assert place.put(given) == {"config": visible}
    assert place.get() == visible
    assert place.get("/ldap") == visible
    assert place.get("/ldap/password") is None
    assert place.in_force() == {"ldap": {**given["ldap"], "url": "ldap://a/?password=s3cret-word"}}
    changed = place.admin.patch(f"{place.url}/ldap/password", json={"config": {"password": "an0ther"}})
    assert changed.json() == {"config": visible}
    assert "an0ther" not in changed.text

    def stored(tx: Any) -> str:
        return str([tuple(row) for row in tx.all(sa.select(options))])

    database = place.people.cloud.database
    assert "an0ther" not in database.read("stored", stored)
    before = database.read("stored", stored)
    assert database.write("rotate", rotate_credential_keys) >= 1
    assert database.read("stored", stored) != before
    assert place.in_force()["ldap"]["password"] == "an0ther"
    assert place.admin.delete(f"{place.url}/ldap/password").status_code == 204
    assert "password" not in place.in_force()["ldap"]


def test_a_domain_takes_its_configuration_with_it(place: Place) -> None:
    place.put(CONFIG)
    configured = place.people.cloud.database.read
    assert place.domain["id"] in configured("ask", domain_config.configured_domains)
    place.admin.patch(f"{V3}/domains/{place.domain['id']}", json={"domain": {"enabled": False}})
    assert place.admin.delete(f"{V3}/domains/{place.domain['id']}").status_code == 204
    assert configured("ask", domain_config.configured_domains) == []


def test_defaults(people: People) -> None:
    assert people.admin.get(f"{DEFAULT}/default").json() == {"config": DEFAULTS}
    assert people.admin.get(f"{DEFAULT}/identity/default").json() == {"config": {"identity": DEFAULTS["identity"]}}
    assert people.admin.get(f"{DEFAULT}/ldap/url/default").json() == {"config": {"url": "ldap://localhost"}}
    for path in ("token/default", "ldap/colour/default", "ldap/password/default"):
        assert people.admin.get(f"{DEFAULT}/{path}").status_code == 403, path


def test_the_rule_for_passwords(people: People) -> None:
    anybody = people.client(people.token(people.user()))
    url = f"{V3}/domains/default/config/security_compliance"
    nothing = {"password_regex": None, "password_regex_description": None}
    assert anybody.get(url).json() == {"config": {"security_compliance": nothing}}
    assert anybody.get(f"{url}/password_regex").json() == {"config": {"password_regex": None}}
    for path in (f"{url}/lockout_duration", f"{V3}/domains/{people.make('domain')['id']}/config/security_compliance"):
        assert anybody.get(path).status_code == 403, path


def test_who_may_configure(place: Place) -> None:
    place.put(CONFIG)
    reader = place.people.with_role("reader", SYSTEM)
    manager = place.people.with_role("manager", in_domain(place.domain))
    for path in ("", "/ldap", "/ldap/url"):
        assert reader.get(f"{place.url}{path}").status_code == 200
        assert manager.get(f"{place.url}{path}").status_code == 403
        for client in (reader, manager):
            for method in ("PATCH", "DELETE"):
                assert client.request(method, f"{place.url}{path}", json={"config": {}}).status_code == 403
    assert reader.get(f"{DEFAULT}/default").status_code == 200
    assert manager.get(f"{DEFAULT}/default").status_code == 403
    assert reader.put(place.url, json={"config": CONFIG}).status_code == 403
    assert place.get() == CONFIG
