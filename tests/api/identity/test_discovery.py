"""Version documents and the home document, and which of them a client gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.api.identity.people import V3, People

from stackyard.services import identity
from stackyard.services.identity import home

BASE = "https://docs.openstack.org/api/openstack-identity/3/"


def _of_keystone() -> dict[str, dict[str, Any]]:
    """Relation -> entry, as Keystone 30 answers them."""
    found = {}
    for line in (Path(__file__).parent / "keystone_home.txt").read_text(encoding="utf-8").splitlines():
        href, relation, status, places = [*line.split(" | "), ""][:4]
        entry: dict[str, Any] = {"href-template" if places else "href": href}
        if places:
            pairs = (place.split("=") for place in places.split())
            entry["href-vars"] = {name: BASE + parameter for name, parameter in pairs}
        if status != "stable":
            entry["hints"] = {"status": status}
        found[relation] = entry
    return found


def test_the_home_document_is_keystone_s() -> None:
    resources = home.document(identity.SERVICE.routes, "")["resources"]
    found = {relation.removeprefix(BASE): entry for relation, entry in resources.items()}
    assert found == _of_keystone()


def test_the_home_document_is_served_to_who_asks_for_it(people: People) -> None:
    http = people.cloud.http
    for url, prefix in ((f"{V3}", ""), ("/v3", ""), ("/identity", "/v3"), ("/identity/", "/v3")):
        response = http.get(url, headers={"Accept": "application/json-home"})
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json-home"), url
        assert response.headers["vary"] == "Accept"
        assert response.json()["resources"][f"{BASE}rel/users"] == {"href": f"{prefix}/users"}
        user = response.json()["resources"][f"{BASE}rel/user"]
        assert user == {
            "href-template": f"{prefix}/users/{{user_id}}",
            "href-vars": {"user_id": f"{BASE}param/user_id"},
        }


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/*", False),
        ("application/json", False),
        ("text/html", False),
        ("application/json, application/json-home", False),
        ("application/json-home;q=0", False),
        ("application/json-home;q=0.5, */*", False),
        ("application/json-home;q=0.5, application/json;q=0.8", False),
        ("application/json-home;q=most", False),
        ("application/json-home", True),
        ("Application/JSON-Home", True),
        ("application/json-home, */*", True),
        ("application/json;q=0.5, application/json-home;q=0.8", True),
        ("text/html, application/json-home; q=0.1", True),
    ],
)
def test_what_a_client_would_rather_have(accept: str | None, expected: bool) -> None:
    assert home.prefers_home(accept) == expected


def test_versions(people: People) -> None:
    http = people.cloud.http
    version = {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"http://127.0.0.1:5000{V3}/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }
    index = http.get("/identity", follow_redirects=False)
    assert (index.status_code, index.headers["location"]) == (300, f"http://127.0.0.1:5000{V3}/")
    assert index.json() == {"versions": {"values": [version]}}
    assert http.get(V3).json() == {"version": version}
    assert http.get(f"{V3}/").json() == {"version": version}
    assert http.get("/identity/v2.0").status_code == 404


def test_what_is_no_more(people: People) -> None:
    for name in ("ca", "certificates"):
        response = people.cloud.http.get(f"{V3}/OS-SIMPLE-CERT/{name}")
        assert (response.status_code, response.json()["error"]["title"]) == (410, "Gone")
