"""Allocations in every shape of the body, what they use, and the reshaper."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.api.placement.asking import VCPU, Placement, code_of, detail_of

BODY = {"project_id": "p", "user_id": "u"}


def used(placement: Placement, provider: str) -> dict[str, int]:
    return dict(placement.get(f"/resource_providers/{provider}/usages")["usages"])


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("1.0", {}),
        ("1.7", {}),
        ("1.8", BODY),
        ("1.11", BODY),
        ("1.12", BODY),
        ("1.27", BODY),
        ("1.28", BODY | {"consumer_generation": None}),
        ("1.34", BODY | {"consumer_generation": None, "mappings": {"": [str(uuid.uuid4())]}}),
        ("1.38", BODY | {"consumer_generation": None, "consumer_type": "INSTANCE"}),
    ],
)
def test_every_shape_of_the_body(placement: Placement, version: str, more: dict[str, Any]) -> None:
    one = placement.provider("one", VCPU)
    consumer = str(uuid.uuid4())
    resources = {"resources": {"VCPU": 3}}
    minor = int(version.split(".")[1])
    listed: Any = [{"resource_provider": {"uuid": one}, **resources}] if minor < 12 else {one: resources}
    body = {"allocations": listed, **more}
    answer = placement.ask("PUT", f"/allocations/{consumer}", body, version=version)
    assert (answer.status_code, answer.content) == (204, b""), answer.text
    assert used(placement, one) == {"VCPU": 3}
    shown = placement.get(f"/allocations/{consumer}")
    assert shown["allocations"] == {one: {"generation": 2, "resources": {"VCPU": 3}}}
    assert shown["consumer_generation"] == 1
    assert shown["consumer_type"] == more.get("consumer_type", "unknown")
    assert shown["project_id"] == more.get("project_id", "00000000-0000-0000-0000-000000000000")
    for field in more:
        short = {name: value for name, value in body.items() if name != field}
        if field != "mappings":
            refused = placement.ask("PUT", f"/allocations/{uuid.uuid4()}", short, version=version)
            assert refused.status_code == 400, f"{field} is required at {version}"


@pytest.mark.parametrize(
    "allocations",
    [
        {"no": {"resources": {"VCPU": 1}}},
        {"ONE": {}},
        {"ONE": {"resources": {}}},
        {"ONE": {"resources": {"VCPU": 0}}},
        {"ONE": {"resources": {"VCPU": "1"}}},
        {"ONE": {"resources": {"VCPU": 2**31}}},
        {"ONE": {"resources": {"vcpu": 1}}},
        {"ONE": {"resources": {"CUSTOM_NEVER": 1}}},
        {"ONE": {"resources": {"VCPU": 1}, "colour": "red"}},
        {"-" * 36: {"resources": {"VCPU": 1}}},
        {"00000000-0000-4000-8000-000000000000": {"resources": {"VCPU": 1}}},
        [],
        7,
    ],
)
def test_bad_allocations_are_refused(placement: Placement, allocations: Any) -> None:
    one = placement.provider("one", VCPU)
    if isinstance(allocations, dict):
        allocations = {one if name == "ONE" else name: value for name, value in allocations.items()}
    body = BODY | {"allocations": allocations, "consumer_generation": None, "consumer_type": "INSTANCE"}
    answer = placement.ask("PUT", f"/allocations/{uuid.uuid4()}", body)
    assert answer.status_code == 400, answer.text
    assert used(placement, one) == {"VCPU": 0}


def test_consumers_are_uuids(placement: Placement) -> None:
    one = placement.provider("one", VCPU)
    assert placement.allocate({one: {"VCPU": 1}}, "no")[1].status_code == 400
    assert placement.get("/allocations/no")["allocations"] == {}
    assert placement.ask("DELETE", "/allocations/no").status_code == 404


@pytest.mark.parametrize(
    ("inventory", "amount", "fits"),
    [
        ({"total": 8}, 8, True),
        ({"total": 8}, 9, False),
        ({"total": 8, "reserved": 1}, 8, False),
        ({"total": 8, "allocation_ratio": 2.0}, 16, True),
        ({"total": 8, "min_unit": 2}, 1, False),
        ({"total": 8, "max_unit": 4}, 5, False),
        ({"total": 8, "step_size": 3}, 4, False),
        ({"total": 8, "step_size": 3}, 6, True),
    ],
)
def test_what_does_not_fit_is_refused(placement: Placement, inventory: Any, amount: int, fits: bool) -> None:
    one = placement.provider("one", {"VCPU": inventory})
    _, answer = placement.allocate({one: {"VCPU": amount}})
    assert answer.status_code == (204 if fits else 409), answer.text
    assert used(placement, one) == {"VCPU": amount if fits else 0}
    _, none = placement.allocate({one: {"DISK_GB": 1}})
    assert none.status_code == 409
    assert "Inventory for 'DISK_GB'" in detail_of(none)


def test_generations_of_consumers(placement: Placement) -> None:
    one = placement.provider("one", VCPU)
    consumer, _ = placement.allocate({one: {"VCPU": 1}})
    for seen in (None, 0, 2):
        _, answer = placement.allocate({one: {"VCPU": 2}}, consumer, consumer_generation=seen)
        assert (answer.status_code, code_of(answer)) == (409, "placement.concurrent_update")
    _, answer = placement.allocate({one: {"VCPU": 2}}, consumer, consumer_generation=1, project_id="q")
    assert answer.status_code == 204
    shown = placement.get(f"/allocations/{consumer}")
    assert (shown["consumer_generation"], shown["project_id"]) == (2, "q")
    _, answer = placement.allocate({}, consumer, consumer_generation=2)
    assert answer.status_code == 204
    assert placement.get(f"/allocations/{consumer}") == {"allocations": {}}
    assert used(placement, one) == {"VCPU": 0}
    _, answer = placement.allocate({one: {"VCPU": 1}}, consumer, consumer_generation=2)
    assert answer.status_code == 409, "it is new again"


def test_what_is_over_may_stay_but_not_grow(placement: Placement) -> None:
    one = placement.provider("one", VCPU)
    consumer, _ = placement.allocate({one: {"VCPU": 6}})
    body = {"inventories": {"VCPU": {"total": 2}}, "resource_provider_generation": placement.generation(one)}
    assert placement.ask("PUT", f"/resource_providers/{one}/inventories", body).status_code == 200
    for amount, generation, status in ((7, 1, 409), (6, 1, 204), (5, 2, 204)):
        _, answer = placement.allocate({one: {"VCPU": amount}}, consumer, consumer_generation=generation)
        assert answer.status_code == status, answer.text


def test_many_consumers_at_once_all_or_none(placement: Placement) -> None:
    one, two = placement.provider("one", VCPU), placement.provider("two", VCPU)
    a, b = str(uuid.uuid4()), str(uuid.uuid4())
    more = BODY | {"consumer_generation": None, "consumer_type": "INSTANCE"}

    def ask(first: Any, second: Any, version: str = "1.39", generation: int | None = None) -> int:
        body = {
            consumer: more | {"allocations": given, "consumer_generation": generation}
            for consumer, given in ((a, first), (b, second))
        }
        return placement.ask("POST", "/allocations", body, version=version).status_code

    five = {one: {"resources": {"VCPU": 5}}}
    assert ask(five, five, "1.12") in (404, 405)
    assert ask(five, five) == 409, "together they are too many"
    assert used(placement, one) == {"VCPU": 0}
    assert ask(five, {two: {"resources": {"VCPU": 5}}}) == 204
    assert ask({two: {"resources": {"VCPU": 6}}}, {}, generation=1) == 204, "one gives what the other takes"
    assert (used(placement, one), used(placement, two)) == ({"VCPU": 0}, {"VCPU": 6})
    assert placement.ask("POST", "/allocations", {}).status_code == 400
    assert placement.ask("POST", "/allocations", {"no": more | {"allocations": {}}}).status_code == 400


def test_allocations_of_a_provider(placement: Placement) -> None:
    one = placement.provider("one", VCPU)
    consumer, _ = placement.allocate({one: {"VCPU": 2}})
    shown = placement.get(f"/resource_providers/{one}/allocations")
    assert shown == {
        "allocations": {consumer: {"resources": {"VCPU": 2}, "consumer_generation": 1}},
        "resource_provider_generation": 2,
    }
    old = placement.get(f"/resource_providers/{one}/allocations", "1.27")
    assert old["allocations"][consumer] == {"resources": {"VCPU": 2}}


def test_claims_at_once_never_go_over(placement: Placement) -> None:
    one = placement.provider("one", VCPU)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: placement.allocate({one: {"VCPU": 1}})[1].status_code, range(16)))
    assert sorted(answers) == [204] * 8 + [409] * 8
    assert used(placement, one) == {"VCPU": 8}


def test_usages_of_projects(placement: Placement) -> None:
    one = placement.provider("one", VCPU | {"MEMORY_MB": {"total": 100}})
    placement.allocate({one: {"VCPU": 1, "MEMORY_MB": 10}})
    placement.allocate({one: {"VCPU": 2}}, user_id="v", consumer_type="MIGRATION")
    body = {"allocations": {one: {"resources": {"VCPU": 1}}}, **BODY}
    placement.ask("PUT", f"/allocations/{uuid.uuid4()}", body, version="1.12")

    def usages(query: str, version: str = "1.39") -> Any:
        return placement.get(f"/usages?{query}", version)["usages"]

    assert usages("project_id=p", "1.37") == {"VCPU": 4, "MEMORY_MB": 10}
    assert usages("project_id=p&user_id=v", "1.9") == {"VCPU": 2}
    assert usages("project_id=q") == {}
    by_type = usages("project_id=p")
    assert by_type["INSTANCE"] == {"consumer_count": 1, "VCPU": 1, "MEMORY_MB": 10}
    assert by_type["MIGRATION"] == {"consumer_count": 1, "VCPU": 2}
    assert by_type["unknown"] == {"consumer_count": 1, "VCPU": 1}
    assert usages("project_id=p&consumer_type=all") == {"all": {"consumer_count": 3, "VCPU": 4, "MEMORY_MB": 10}}
    assert set(usages("project_id=p&consumer_type=MIGRATION")) == {"MIGRATION"}
    for bad in ("", "user_id=v", "project_id=", "project_id=p&consumer_type=x", "project_id=p&colour=red"):
        assert placement.ask("GET", f"/usages?{bad}").status_code == 400
    assert placement.ask("GET", "/usages?project_id=p&consumer_type=all", version="1.37").status_code == 400


def test_readers_see_their_own_projects_usage(placement: Placement) -> None:
    assert placement.ask("GET", "/usages?project_id=project-of-demo", who="demo").status_code == 200
    assert placement.ask("GET", "/usages?project_id=other", who="demo").status_code == 403


class TestReshaper:
    """POST /reshaper."""

    def ask(self, placement: Placement, inventories: Any, allocations: Any, **options: Any) -> Any:
        given = {
            uuid: {"inventories": some, "resource_provider_generation": placement.generation(uuid)}
            for uuid, some in inventories.items()
        }
        body = {"inventories": given, "allocations": allocations}
        return placement.ask("POST", "/reshaper", body, who="service", **options)

    def test_what_a_host_has_moves_below_it(self, placement: Placement) -> None:
        host = placement.provider("host", VCPU)
        node = placement.provider("node", parent=host)
        consumer, _ = placement.allocate({host: {"VCPU": 8}})
        moved = {
            consumer: BODY
            | {
                "allocations": {node: {"resources": {"VCPU": 8}}},
                "consumer_generation": 1,
                "consumer_type": "INSTANCE",
            }
        }
        answer = self.ask(placement, {host: {}, node: VCPU}, moved)
        assert answer.status_code == 204, answer.text
        assert used(placement, node) == {"VCPU": 8}
        assert used(placement, host) == {}

    def test_nothing_happens_when_it_does_not_add_up(self, placement: Placement) -> None:
        host = placement.provider("host", VCPU)
        node = placement.provider("node", parent=host)
        placement.allocate({host: {"VCPU": 8}})
        answer = self.ask(placement, {host: {}, node: VCPU}, {})
        assert (answer.status_code, code_of(answer)) == (409, "placement.inventory.inuse")
        assert placement.get(f"/resource_providers/{node}/inventories")["inventories"] == {}
        stale = {host: {"inventories": {}, "resource_provider_generation": 0}}
        body = {"inventories": stale, "allocations": {}}
        answer = placement.ask("POST", "/reshaper", body, who="service")
        assert (answer.status_code, code_of(answer)) == (409, "placement.concurrent_update")
        missing = {str(uuid.uuid4()): {"inventories": {}, "resource_provider_generation": 0}}
        answer = placement.ask("POST", "/reshaper", {"inventories": missing, "allocations": {}}, who="service")
        assert (answer.status_code, code_of(answer)) == (400, "placement.resource_provider.not_found")

    def test_it_is_for_services_since_1_30(self, placement: Placement) -> None:
        host = placement.provider("host", VCPU)
        assert self.ask(placement, {host: VCPU}, {}, version="1.29").status_code == 404
        assert self.ask(placement, {}, {}).status_code == 400
        body = {"inventories": {host: {"inventories": VCPU, "resource_provider_generation": 1}}, "allocations": {}}
        assert placement.ask("POST", "/reshaper", body, who="admin").status_code == 403
        assert placement.ask("POST", "/reshaper", body, who="service").status_code == 204
