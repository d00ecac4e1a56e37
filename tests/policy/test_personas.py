"""Who is answered what by every route, as the committed tables in expected/ say; and rules that no table may break."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.policy.personas import PERSONAS
from tests.policy.walk import EXPECTED, tables

from stackyard.app import SERVICES
from stackyard.core.routes import PUBLIC

NAMES = tuple(service.type for service in SERVICES)
LABELS = {service.type: [route.label for route in service.routes if route.rule == PUBLIC] for service in SERVICES}

Row = tuple[str, dict[str, str]]


@pytest.fixture(scope="module")
def walked() -> dict[str, str]:
    """What the routes answer now."""
    return tables()


def rows(table: str) -> Iterator[Row]:
    """Each line of a table: label, and persona -> status."""
    for line in table.splitlines():
        cells = line.split()
        if line.startswith("#") or cells == list(PERSONAS):
            continue
        count = len(PERSONAS)
        yield " ".join(cells[:-count]), dict(zip(PERSONAS, cells[-count:], strict=True))


def committed(service: str) -> dict[str, dict[str, str]]:
    """A service's table as it is committed."""
    path = EXPECTED / f"{service}.txt"
    return dict(rows(path.read_text(encoding="utf-8"))) if path.exists() else {}


@pytest.mark.parametrize("service", NAMES)
def test_everybody_is_answered_as_the_table_says(walked: dict[str, str], service: str) -> None:
    expected, found = committed(service), dict(rows(walked[service]))
    different = [f"- {label}: no such route any more" for label in expected.keys() - found.keys()]
    different += [f"+ {label}: not in the table" for label in found.keys() - expected.keys()]
    different += [
        f"{label} as {persona}: {status}, not {expected[label][persona]}"
        for label, statuses in found.items()
        for persona, status in statuses.items()
        if label in expected and status != expected[label][persona]
    ]
    remedy = "if this is meant, write the tables anew with `make policy` and review the difference"
    assert sorted(different) == [], remedy


def allowed(status: str) -> bool:
    """Whether the rule let it through; what then fails for what it asks, counts too. What is gone, is so for all."""
    return status not in ("401", "403", "404", "410")


def public(service: str, label: str) -> bool:
    """Whether a line of a table is a public route's."""
    bare = re.sub(r" \((here|elsewhere|self)\)$", "", label)
    return bare in LABELS[service]


@pytest.mark.parametrize("service", NAMES)
def test_nothing_but_public_routes_without_a_good_token(service: str) -> None:
    for label, statuses in committed(service).items():
        for persona in ("no-token", "wrong-token"):
            assert public(service, label) or statuses[persona] == "401", f"{label} as {persona}"


SEEN_BY_ALL = {
    "GET /v3/registered_limits/{registered_limit_id}": "limits of the whole cloud",
    "GET /v1/shared-images/{member_id}": "a list of what the caller may see",
    "GET /v2.0/flavors/{flavor_id}": "flavors are the whole cloud's",
    "GET /v3/group_types/{group_type_id}": "public ones are the whole cloud's",
    "POST /v3/groups": "names a public type of groups",
    **{
        f"POST /v3/{path}/{{transfer_id}}/accept": "who has the key is told by it alone: a 400 for a wrong one"
        for path in ("os-volume-transfer", "volume-transfers")
    },
    "GET /v2.1/os-quota-sets/{project_id}/defaults": "the defaults are the whole cloud's",
    "POST /v2.1/servers": "names no image elsewhere that a stranger could see: a 400, as for one that is not there",
    "POST /v1/containers": "looks at its body before what it names; the statuses show that it makes nothing elsewhere",
}
"""Routes that let strangers through, and why they may."""


@pytest.mark.parametrize("service", NAMES)
def test_nobody_but_administrators_reaches_into_another_domain(service: str) -> None:
    for label, statuses in committed(service).items():
        route = re.sub(r" \((here|elsewhere)\)$", "", label)
        if public(service, label) or route in SEEN_BY_ALL:
            continue
        if label.endswith("(here)"):
            assert not allowed(statuses["stranger"]), label
        if label.endswith("(elsewhere)"):
            for persona in ("domain-manager", "domain-member", "domain-reader", "manager", "member", "reader"):
                assert not allowed(statuses[persona]), f"{label} as {persona}"


READERS_MAY = {
    "POST /v3/volumes/{volume_id}/action os-show_image_metadata (here)": "it shows, though it is asked by POST",
    "POST /v2.1/os-keypairs": "a key pair is the user's own, whatever his roles in a project",
    "POST /v2.1/os-baremetal-nodes at 2.35": "refused to everybody",
    "DELETE /v2.1/os-baremetal-nodes/{node_id} at 2.35": "refused to everybody",
    "POST /v2.1/os-baremetal-nodes/{node_id}/action at 2.35": "refused to everybody",
}
"""What is not GET and open to readers, and why."""


@pytest.mark.parametrize("service", ["identity", "image", "network", "compute", "block-storage", "placement"])
def test_readers_change_nothing_but_what_is_their_own(service: str) -> None:
    """Zun's default rules, which containers have, do not tell readers from members."""
    for label, statuses in committed(service).items():
        if label.startswith(("GET", "HEAD")) or label.endswith("(self)") or public(service, label):
            continue
        if label in READERS_MAY:
            continue
        for persona in ("system-reader", "domain-reader", "reader", "domain-member"):
            assert not allowed(statuses[persona]), f"{label} as {persona}"


BY_ACCESS_RULES = {
    "identity": {"GET /v3/auth/tokens (self)"},  # whoever has a token may have it validated
    "network": {"GET /v2.0/networks"},
}


@pytest.mark.parametrize("service", NAMES)
def test_an_application_credential_does_what_its_access_rules_say(service: str) -> None:
    found = {
        label
        for label, statuses in committed(service).items()
        if not public(service, label) and statuses["app-cred"] != "403"
    }
    assert found == BY_ACCESS_RULES.get(service, set())
