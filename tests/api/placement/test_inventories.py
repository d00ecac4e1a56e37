"""Inventories, traits, resource classes and aggregates of providers."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.api.placement.asking import VCPU, Placement, code_of

FULL = {"total": 8, "reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1, "allocation_ratio": 1.0}


def put(placement: Placement, provider: str, inventories: Any, **options: Any) -> Any:
    body = {"inventories": inventories, "resource_provider_generation": placement.generation(provider)}
    return placement.ask("PUT", f"/resource_providers/{provider}/inventories", body, **options)


def test_one_is_added_changed_and_deleted(placement: Placement) -> None:
    one = placement.provider("one")
    where = f"/resource_providers/{one}/inventories"
    made = placement.ask("POST", where, {"resource_class": "VCPU", "total": 8})
    assert made.status_code == 201
    assert made.headers["location"].endswith(f"{where}/VCPU")
    assert made.json() == FULL | {"resource_provider_generation": 1}
    again = placement.ask("POST", where, {"resource_class": "VCPU", "total": 8})
    assert (again.status_code, code_of(again)) == (409, "placement.concurrent_update")
    changed = placement.ask("PUT", f"{where}/VCPU", {"total": 9, "resource_provider_generation": 1})
    assert (changed.status_code, changed.json()["total"]) == (200, 9)
    stale = placement.ask("PUT", f"{where}/VCPU", {"total": 9, "resource_provider_generation": 1})
    assert (stale.status_code, code_of(stale)) == (409, "placement.concurrent_update")
    assert placement.ask("DELETE", f"{where}/VCPU").status_code == 204
    assert placement.ask("DELETE", f"{where}/VCPU").status_code == 404
    assert placement.ask("GET", f"{where}/VCPU").status_code == 404


def test_all_are_replaced(placement: Placement) -> None:
    one = placement.provider("one", VCPU)
    answer = put(placement, one, {"MEMORY_MB": {"total": 10, "allocation_ratio": 1.5}})
    assert answer.status_code == 200
    assert list(answer.json()["inventories"]) == ["MEMORY_MB"]
    assert answer.json()["resource_provider_generation"] == 2
    stale = placement.ask(
        "PUT", f"/resource_providers/{one}/inventories", {"inventories": {}, "resource_provider_generation": 0}
    )
    assert (stale.status_code, code_of(stale)) == (409, "placement.concurrent_update")
    assert placement.ask("DELETE", f"/resource_providers/{one}/inventories", version="1.4").status_code == 405
    assert placement.ask("DELETE", f"/resource_providers/{one}/inventories").status_code == 204
    assert placement.get(f"/resource_providers/{one}/inventories")["inventories"] == {}


def test_what_is_in_use_stays(placement: Placement) -> None:
    one = placement.provider("one", VCPU | {"DISK_GB": {"total": 5}})
    placement.allocate({one: {"VCPU": 2}})
    for answer in (put(placement, one, {}), placement.ask("DELETE", f"/resource_providers/{one}/inventories")):
        assert (answer.status_code, code_of(answer)) == (409, "placement.inventory.inuse")
    assert placement.ask("DELETE", f"/resource_providers/{one}/inventories/VCPU").status_code == 409
    assert placement.ask("DELETE", f"/resource_providers/{one}/inventories/DISK_GB").status_code == 204
    assert put(placement, one, {"VCPU": {"total": 1}}).status_code == 200, "it may shrink below what is used"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"total": 0},
        {"total": -1},
        {"total": 2**31},
        {"total": "8"},
        {"total": 1.5},
        {"total": 8, "reserved": -1},
        {"total": 8, "min_unit": 0},
        {"total": 8, "max_unit": 0},
        {"total": 8, "step_size": 0},
        {"total": 8, "allocation_ratio": 1e39},
        {"total": 8, "colour": "red"},
        {"total": 8, "reserved": 9},
    ],
)
def test_bad_inventories_are_refused(placement: Placement, fields: dict[str, Any]) -> None:
    one = placement.provider("one")
    assert put(placement, one, {"VCPU": fields}).status_code == 400
    assert placement.generation(one) == 0


def test_all_may_be_reserved_since_1_26(placement: Placement) -> None:
    one = placement.provider("one")
    given = {"VCPU": {"total": 8, "reserved": 8}}
    assert put(placement, one, given, version="1.25").status_code == 400
    assert put(placement, one, given, version="1.26").status_code == 200


@pytest.mark.parametrize("name", ["vcpu", "CUSTOM_NEVER", "A" * 256, "A B"])
def test_unknown_classes_are_refused(placement: Placement, name: str) -> None:
    one = placement.provider("one")
    assert put(placement, one, {name: {"total": 1}}).status_code == 400


def test_those_of_no_provider(placement: Placement) -> None:
    where = f"/resource_providers/{uuid.uuid4()}"
    for part in ("inventories", "usages", "aggregates", "traits", "allocations"):
        assert placement.ask("GET", f"{where}/{part}").status_code == 404


def test_aggregates_count_generations_since_1_19(placement: Placement) -> None:
    one, aggregate = placement.provider("one"), str(uuid.uuid4())
    where = f"/resource_providers/{one}/aggregates"
    assert placement.ask("GET", where, version="1.0").status_code == 404
    old = placement.ask("PUT", where, [aggregate], version="1.18")
    assert old.json() == {"aggregates": [aggregate]}
    assert placement.generation(one) == 0
    body = {"aggregates": [], "resource_provider_generation": 7}
    stale = placement.ask("PUT", where, body)
    assert (stale.status_code, code_of(stale)) == (409, "placement.concurrent_update")
    new = placement.ask("PUT", where, body | {"resource_provider_generation": 0})
    assert new.json() == {"aggregates": [], "resource_provider_generation": 1}
    for bad in (["no"], [aggregate, aggregate], {"a": 1}, [3]):
        assert placement.ask("PUT", where, bad, version="1.1").status_code == 400


def test_traits_are_made_found_and_deleted(placement: Placement) -> None:
    assert placement.ask("PUT", "/traits/CUSTOM_FAST", version="1.5").status_code == 404
    made = placement.ask("PUT", "/traits/CUSTOM_FAST")
    assert (made.status_code, made.content) == (201, b"")
    assert made.headers["location"].endswith("/placement/traits/CUSTOM_FAST")
    assert placement.ask("PUT", "/traits/CUSTOM_FAST").status_code == 204
    assert placement.ask("GET", "/traits/CUSTOM_FAST").status_code == 204
    assert placement.ask("GET", "/traits/HW_CPU_X86_VMX").status_code == 204
    assert placement.ask("GET", "/traits/CUSTOM_SLOW").status_code == 404
    for name in ("FAST", "CUSTOM_fast", "CUSTOM_" + "A" * 250, "CUSTOM_A-B"):
        assert placement.ask("PUT", f"/traits/{name}").status_code == 400
    assert placement.get("/traits?name=startswith:CUSTOM")["traits"] == ["CUSTOM_FAST"]
    assert placement.get("/traits?name=in:CUSTOM_FAST,HW_CPU_X86_VMX,NO")["traits"] == ["HW_CPU_X86_VMX", "CUSTOM_FAST"]
    assert len(placement.get("/traits")["traits"]) > 300
    one = placement.provider("one", traits=["CUSTOM_FAST"])
    assert placement.get("/traits?associated=true")["traits"] == ["CUSTOM_FAST"]
    assert "CUSTOM_FAST" not in placement.get("/traits?associated=False")["traits"]
    for query in ("associated=maybe", "name=CUSTOM", "colour=red"):
        assert placement.ask("GET", f"/traits?{query}").status_code == 400
    assert placement.ask("DELETE", "/traits/CUSTOM_FAST").status_code == 409
    assert placement.ask("DELETE", f"/resource_providers/{one}/traits").status_code == 204
    assert placement.ask("DELETE", "/traits/CUSTOM_FAST").status_code == 204
    assert placement.ask("DELETE", "/traits/HW_CPU_X86_VMX").status_code == 400


def test_traits_of_a_provider(placement: Placement) -> None:
    one = placement.provider("one")
    where = f"/resource_providers/{one}/traits"
    body = {"traits": ["HW_CPU_X86_VMX"], "resource_provider_generation": 0}
    assert placement.ask("PUT", where, body).json() == body | {"resource_provider_generation": 1}
    stale = placement.ask("PUT", where, body)
    assert (stale.status_code, code_of(stale)) == (409, "placement.concurrent_update")
    same = placement.ask("PUT", where, body | {"resource_provider_generation": 1})
    assert same.json()["resource_provider_generation"] == 1, "nothing changed"
    for bad in (["CUSTOM_NEVER"], [""], "X", [3], ["A" * 256]):
        assert placement.ask("PUT", where, {"traits": bad, "resource_provider_generation": 1}).status_code == 400
    assert placement.get(where)["traits"] == ["HW_CPU_X86_VMX"]


def test_resource_classes(placement: Placement) -> None:
    assert placement.ask("GET", "/resource_classes", version="1.1").status_code == 404
    names = [one["name"] for one in placement.get("/resource_classes")["resource_classes"]]
    assert names[:3] == ["VCPU", "MEMORY_MB", "DISK_GB"]
    made = placement.ask("POST", "/resource_classes", {"name": "CUSTOM_GOLD"})
    assert made.status_code == 201
    assert placement.ask("GET", made.headers["location"]).json()["name"] == "CUSTOM_GOLD"
    assert placement.ask("POST", "/resource_classes", {"name": "CUSTOM_GOLD"}).status_code == 409
    for name in ("GOLD", "CUSTOM_gold", "CUSTOM_" + "A" * 250, 7):
        assert placement.ask("POST", "/resource_classes", {"name": name}).status_code == 400
    assert placement.ask("PUT", "/resource_classes/CUSTOM_GOLD").status_code == 204
    assert placement.ask("PUT", "/resource_classes/CUSTOM_TIN").status_code == 201
    assert placement.ask("PUT", "/resource_classes/VCPU").status_code == 400
    one = placement.provider("one", {"CUSTOM_TIN": {"total": 4}})
    assert placement.ask("DELETE", "/resource_classes/CUSTOM_TIN").status_code == 409
    renamed = placement.ask("PUT", "/resource_classes/CUSTOM_TIN", {"name": "CUSTOM_ZINC"}, version="1.6")
    assert renamed.json()["name"] == "CUSTOM_ZINC"
    assert list(placement.get(f"/resource_providers/{one}/inventories")["inventories"]) == ["CUSTOM_ZINC"]
    clash = placement.ask("PUT", "/resource_classes/CUSTOM_ZINC", {"name": "CUSTOM_GOLD"}, version="1.2")
    assert clash.status_code == 409
    assert placement.ask("DELETE", "/resource_classes/CUSTOM_GOLD").status_code == 204
    assert placement.ask("DELETE", "/resource_classes/CUSTOM_GOLD").status_code == 404
    assert placement.ask("DELETE", "/resource_classes/VCPU").status_code == 400
