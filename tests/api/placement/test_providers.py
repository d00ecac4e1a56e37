"""Providers: making, finding, moving and deleting them, and the faults on the way."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.api.placement.asking import VCPU, Placement, code_of, detail_of

PROVIDERS = "/resource_providers"


REFUSED: tuple[tuple[Any, ...], ...] = (
    ("colour=red", "1.39"),
    ("uuid=no", "1.39"),
    ("in_tree=no", "1.39"),
    ("member_of={0}", "1.2"),
    ("resources=VCPU:1", "1.3"),
    ("required=CUSTOM_FAST", "1.17"),
    ("required=!CUSTOM_FAST", "1.21"),
    ("required=in:CUSTOM_FAST", "1.38"),
    ("required=in:!CUSTOM_FAST", "1.39"),
    ("required=", "1.39"),
    ("required=CUSTOM_FAST,,X", "1.39"),
    ("required=CUSTOM_NEVER_SEEN", "1.39"),
    ("member_of={0}&member_of={1}", "1.23"),
    ("member_of=!{0}", "1.31"),
    ("member_of={0},{1}", "1.39"),
    ("member_of=in:no", "1.39"),
    ("resources=", "1.39"),
    ("resources=VCPU", "1.39"),
    ("resources=VCPU:0", "1.39"),
    ("resources=VCPU:-1", "1.39"),
    ("resources=VCPU:many", "1.39"),
    ("resources=VCPU:1:2", "1.39"),
    ("resources=WHAT:1", "1.39"),
    ("resources=VCPU:" + "9" * 5000, "1.39"),
)


FOUND: tuple[tuple[Any, ...], ...] = (
    ("", {"small", "large", "bare"}),
    ("?name=small", {"small"}),
    ("?resources=VCPU:8", {"small", "large"}),
    ("?resources=VCPU:7", {"small"}),
    ("?resources=VCPU:2,DISK_GB:101", set()),
    ("?resources=VCPU:2,DISK_GB:100", {"large"}),
    ("?required=CUSTOM_FAST", {"large"}),
    ("?required=!CUSTOM_FAST", {"small", "bare"}),
    ("?required=in:CUSTOM_FAST,HW_CPU_X86_SSE", {"large"}),
    ("?required=in:HW_CPU_X86_SSE2,HW_CPU_X86_SSE", set()),
    ("?member_of={0}", {"small", "large"}),
    ("?member_of={0}&member_of={1}", {"large"}),
    ("?member_of=in:{0},{1}", {"small", "large"}),
    ("?member_of=!{1}", {"small", "bare"}),
    ("?member_of=!in:{0},{1}", {"bare"}),
)


def test_versions_are_for_everybody(placement: Placement) -> None:
    answer = placement.ask("GET", "/", who="nobody")
    assert answer.status_code == 200
    [version] = answer.json()["versions"]
    assert (version["id"], version["min_version"], version["max_version"]) == ("v1.0", "1.0", "1.39")
    assert answer.headers["openstack-api-version"] == "placement 1.39"
    assert answer.headers["cache-control"] == "no-cache"


def test_microversions_outside_are_refused_with_the_range(placement: Placement) -> None:
    answer = placement.ask("GET", PROVIDERS, version="1.40")
    assert answer.status_code == 406
    assert answer.json()["errors"][0] | {"min_version": "1.0", "max_version": "1.39"} == answer.json()["errors"][0]
    assert placement.ask("GET", PROVIDERS, version="pony").status_code == 400
    assert placement.ask("GET", PROVIDERS, version="latest").headers["openstack-api-version"] == "placement 1.39"


@pytest.mark.parametrize(("who", "status"), [("nobody", 401), ("demo", 403), ("admin", 200), ("service", 200)])
def test_providers_are_for_administrators_and_services(placement: Placement, who: str, status: int) -> None:
    assert placement.ask("GET", PROVIDERS, who=who).status_code == status


def test_making_one_answers_with_it_since_1_20(placement: Placement) -> None:
    old = placement.ask("POST", PROVIDERS, {"name": "old"}, version="1.19")
    assert (old.status_code, old.content) == (201, b"")
    where = old.headers["location"]
    assert placement.ask("GET", where).json()["name"] == "old"
    new = placement.ask("POST", PROVIDERS, {"name": "new", "uuid": uuid.uuid4().hex})
    assert new.status_code == 200
    found = new.json()
    assert len(found["uuid"]) == 36
    assert (found["generation"], found["parent_provider_uuid"]) == (0, None)
    assert found["root_provider_uuid"] == found["uuid"]
    assert "last-modified" in new.headers


def test_links_grow_with_the_microversion(placement: Placement) -> None:
    one = placement.provider("one")
    shown = {v: placement.get(f"{PROVIDERS}/{one}", v) for v in ("1.0", "1.1", "1.6", "1.11", "1.14")}
    assert [len(found["links"]) for found in shown.values()] == [3, 4, 5, 6, 6]
    assert "root_provider_uuid" not in shown["1.11"]
    assert shown["1.0"]["links"][0]["href"] == f"/placement/resource_providers/{one}"


@pytest.mark.parametrize(
    "body",
    [{}, {"name": 3}, {"name": "x" * 201}, {"name": "x", "uuid": "no"}, {"name": "x", "more": 1}, {"name": ""}, []],
)
def test_bad_bodies_are_refused(placement: Placement, body: object) -> None:
    answer = placement.ask("POST", PROVIDERS, body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["title"] == "Bad Request"
    assert placement.get(PROVIDERS)["resource_providers"] == []


def test_parents_are_unknown_before_1_14(placement: Placement) -> None:
    body = {"name": "x", "parent_provider_uuid": None}
    assert placement.ask("POST", PROVIDERS, body, version="1.13").status_code == 400
    assert placement.ask("POST", PROVIDERS, body, version="1.14").status_code == 201


def test_names_and_uuids_are_taken_once(placement: Placement) -> None:
    one = placement.provider("one")
    for body in ({"name": "one"}, {"name": "two", "uuid": one}):
        answer = placement.ask("POST", PROVIDERS, body)
        assert (answer.status_code, code_of(answer)) == (409, "placement.duplicate_name")
    placement.provider("two")
    answer = placement.ask("PUT", f"{PROVIDERS}/{one}", {"name": "two"})
    assert (answer.status_code, code_of(answer)) == (409, "placement.duplicate_name")
    assert placement.ask("PUT", f"{PROVIDERS}/{one}", {"name": "one"}).status_code == 200


def test_faults_have_codes_since_1_23(placement: Placement) -> None:
    missing = f"{PROVIDERS}/{uuid.uuid4()}"
    old = placement.ask("GET", missing, version="1.22").json()["errors"][0]
    new = placement.ask("GET", missing).json()["errors"][0]
    assert "code" not in old
    assert new["code"] == "placement.undefined_code"
    assert new["request_id"].startswith("req-")
    assert (new["status"], new["title"]) == (404, "Not Found")


def test_headers_of_requests_must_say_json(placement: Placement) -> None:
    assert placement.ask("GET", PROVIDERS, accept="text/plain").status_code == 406
    assert placement.ask("GET", PROVIDERS, accept="text/html, */*;q=0.1").status_code == 200
    assert placement.ask("POST", PROVIDERS, {"name": "x"}, content_type="text/plain").status_code == 415


def test_trees_have_one_root(placement: Placement) -> None:
    root = placement.provider("root")
    child = placement.provider("child", parent=root)
    leaf = placement.provider("leaf", parent=child)
    assert placement.get(f"{PROVIDERS}/{leaf}")["root_provider_uuid"] == root
    found = placement.get(f"{PROVIDERS}?in_tree={leaf}")["resource_providers"]
    assert {one["name"] for one in found} == {"root", "child", "leaf"}
    assert placement.get(f"{PROVIDERS}?in_tree={uuid.uuid4()}")["resource_providers"] == []
    answer = placement.ask("DELETE", f"{PROVIDERS}/{child}")
    assert (answer.status_code, code_of(answer)) == (409, "placement.resource_provider.cannot_delete_parent")
    assert placement.ask("DELETE", f"{PROVIDERS}/{leaf}").status_code == 204
    assert placement.ask("DELETE", f"{PROVIDERS}/{leaf}").status_code == 404


def test_subtrees_move_since_1_37(placement: Placement) -> None:
    one, two = placement.provider("one"), placement.provider("two")
    child = placement.provider("child", parent=one)
    leaf = placement.provider("leaf", parent=child)

    def move(where: str | None, version: str) -> int:
        body = {"name": "child", "parent_provider_uuid": where}
        return placement.ask("PUT", f"{PROVIDERS}/{child}", body, version=version).status_code

    assert move(two, "1.36") == 400
    assert move(None, "1.36") == 400
    assert move(leaf, "1.37") == 400
    assert move(str(uuid.uuid4()), "1.37") == 400
    assert move(two, "1.37") == 200
    assert placement.get(f"{PROVIDERS}/{leaf}")["root_provider_uuid"] == two
    assert move(None, "1.37") == 200
    assert placement.get(f"{PROVIDERS}/{leaf}")["root_provider_uuid"] == child


def test_parents_must_be_there(placement: Placement) -> None:
    for parent in (str(uuid.uuid4()), "no"):
        answer = placement.ask("POST", PROVIDERS, {"name": "x", "parent_provider_uuid": parent})
        assert answer.status_code == 400
    own = str(uuid.uuid4())
    body = {"name": "x", "uuid": own, "parent_provider_uuid": own}
    assert "cannot be same as UUID" in detail_of(placement.ask("POST", PROVIDERS, body))


def test_one_with_allocations_stays(placement: Placement) -> None:
    one = placement.provider("one", VCPU)
    consumer, answer = placement.allocate({one: {"VCPU": 1}})
    assert answer.status_code == 204
    refused = placement.ask("DELETE", f"{PROVIDERS}/{one}")
    assert (refused.status_code, code_of(refused)) == (409, "placement.resource_provider.inuse")
    assert placement.ask("DELETE", f"/allocations/{consumer}").status_code == 204
    assert placement.ask("DELETE", f"{PROVIDERS}/{one}").status_code == 204


class TestFinding:
    """GET /resource_providers with filters."""

    AGGREGATES = tuple(str(uuid.uuid4()) for _ in range(2))

    @pytest.fixture
    def sorts(self, placement: Placement) -> Placement:
        """Three providers: small, large with a trait, and none with anything."""
        placement.provider("small", VCPU, aggregates=[self.AGGREGATES[0]])
        large = {"VCPU": {"total": 64, "min_unit": 2, "step_size": 2}, "DISK_GB": {"total": 100}}
        placement.provider("large", large, traits=["CUSTOM_FAST", "HW_CPU_X86_VMX"], aggregates=self.AGGREGATES)
        placement.provider("bare")
        return placement

    def test_filters(self, sorts: Placement) -> None:
        for query, names in FOUND:
            found = sorts.get(f"{PROVIDERS}{query.format(*self.AGGREGATES)}")["resource_providers"]
            assert {one["name"] for one in found} == names, query

    def test_bad_filters_are_refused(self, sorts: Placement) -> None:
        for query, version in REFUSED:
            answer = sorts.ask("GET", f"{PROVIDERS}?{query.format(*self.AGGREGATES)}", version=version)
            assert answer.status_code == 400, answer.text
