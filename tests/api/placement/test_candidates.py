"""Allocation candidates: one provider, trees, sharing providers, groups, and what cannot be asked."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.api.placement.asking import Placement

AGGREGATE, OTHER = "5f5d2b8e-6c5c-4d0d-8f3e-0a3f4c1b7e11", "0e4d7f6a-93a1-4d61-a4a5-6a2c8a5b9f22"
NOWHERE = "7b1c9a00-2f35-4f8e-9d6b-1c2d3e4f5a33"
HOST = {"VCPU": {"total": 8}, "MEMORY_MB": {"total": 1024}, "DISK_GB": {"total": 100}}


REFUSED: tuple[tuple[Any, ...], ...] = (
    ("", "1.39"),
    ("", "1.10"),
    ("required=CUSTOM_FAST", "1.35"),
    ("required=CUSTOM_FAST", "1.39"),
    (f"member_of={AGGREGATE}", "1.25"),
    ("resources=VCPU:1&limit=0", "1.39"),
    ("resources=VCPU:1&limit=-1", "1.39"),
    ("resources=VCPU:1&limit=x", "1.39"),
    ("resources=VCPU:1&limit=1", "1.15"),
    ("resources=VCPU:1&required=CUSTOM_FAST", "1.16"),
    (f"resources=VCPU:1&member_of={AGGREGATE}", "1.20"),
    ("resources1=VCPU:1", "1.24"),
    ("resources01=VCPU:1", "1.32"),
    ("resources_A=VCPU:1", "1.32"),
    ("resources_A@=VCPU:1", "1.39"),
    (f"resources_{'A' * 64}=VCPU:1", "1.39"),
    (f"resources=VCPU:1&in_tree={AGGREGATE}", "1.30"),
    ("resources=VCPU:1&in_tree=no", "1.39"),
    ("resources=VCPU:1&root_required=CUSTOM_FAST", "1.34"),
    ("resources=VCPU:1&root_required=CUSTOM_FAST&root_required=CUSTOM_FAST", "1.39"),
    ("resources=VCPU:1&root_required=CUSTOM_FAST,!CUSTOM_FAST", "1.39"),
    ("resources1=VCPU:1&resources2=VCPU:1", "1.39"),
    ("resources1=VCPU:1&resources2=VCPU:1&group_policy=maybe", "1.39"),
    ("resources=VCPU:1&required=CUSTOM_FAST,!CUSTOM_FAST", "1.39"),
    ("resources=VCPU:1&required=CUSTOM_NEVER", "1.39"),
    ("resources=NEVER:1", "1.39"),
    ("resources1=VCPU:1&same_subtree=1", "1.35"),
    ("resources1=VCPU:1&same_subtree=1,2", "1.39"),
    ("resources1=VCPU:1&same_subtree=", "1.39"),
    ("resources1=VCPU:1&required2=CUSTOM_FAST", "1.39"),
    ("resources=VCPU:1&colour=red", "1.39"),
)


OF_HOSTS: tuple[tuple[Any, ...], ...] = (
    ("resources=VCPU:1", [{"fast"}, {"plain"}, {"small"}]),
    ("resources=VCPU:2,MEMORY_MB:512", [{"fast"}, {"plain"}]),
    ("resources=VCPU:9", []),
    ("resources=VCPU:1&required=CUSTOM_FAST", [{"fast"}]),
    ("resources=VCPU:1&required=!CUSTOM_FAST", [{"plain"}, {"small"}]),
    ("resources=VCPU:1&required=in:CUSTOM_FAST,HW_CPU_X86_VMX", [{"fast"}]),
    ("resources=VCPU:1&required=CUSTOM_FAST&required=in:HW_CPU_X86_VMX,HW_CPU_X86_SSE", []),
    (f"resources=VCPU:1&member_of={AGGREGATE}", [{"fast"}, {"plain"}]),
    (f"resources=VCPU:1&member_of={AGGREGATE}&member_of={OTHER}", [{"fast"}]),
    (f"resources=VCPU:1&member_of=!{OTHER}", [{"plain"}, {"small"}]),
    (f"resources=VCPU:1&member_of={NOWHERE}", []),
    (f"resources=VCPU:1&in_tree={NOWHERE}", []),
    ("resources=VCPU:1&root_required=CUSTOM_FAST", [{"fast"}]),
    ("resources=VCPU:1&root_required=!CUSTOM_FAST", [{"plain"}, {"small"}]),
    ("resources1=VCPU:1&resources2=VCPU:8&group_policy=none", []),
    ("resources1=VCPU:4&resources2=VCPU:4&group_policy=none", [{"fast"}, {"plain"}]),
    ("resources1=VCPU:4&resources2=VCPU:4&group_policy=isolate", []),
    ("resources_A=VCPU:4&required_A=CUSTOM_FAST", [{"fast"}]),
)


def names(placement: Placement, found: list[dict[str, Any]]) -> list[set[str]]:
    known = {one["uuid"]: one["name"] for one in placement.get("/resource_providers")["resource_providers"]}
    return sorted(({known[uuid] for uuid in one} for one in found), key=sorted)


class TestHosts:
    """Hosts that are alone in their trees."""

    @pytest.fixture
    def hosts(self, placement: Placement) -> Placement:
        placement.provider("plain", HOST, aggregates=[AGGREGATE])
        placement.provider("fast", HOST, traits=["CUSTOM_FAST"], aggregates=[AGGREGATE, OTHER])
        placement.provider("small", {"VCPU": {"total": 1}})
        return placement

    def test_queries(self, hosts: Placement) -> None:
        for query, found in OF_HOSTS:
            assert names(hosts, hosts.candidates(query)) == found, query

    def test_the_answer_can_be_put(self, hosts: Placement) -> None:
        one, *_ = hosts.get("/allocation_candidates?resources=VCPU:2,DISK_GB:10")["allocation_requests"]
        assert one["mappings"] == {"": list(one["allocations"])}
        body = one | {"project_id": "p", "user_id": "u", "consumer_generation": None, "consumer_type": "INSTANCE"}
        assert hosts.ask("PUT", f"/allocations/{uuid.uuid4()}", body).status_code == 204

    def test_limits_and_summaries(self, hosts: Placement) -> None:
        found = hosts.get("/allocation_candidates?resources=VCPU:1&limit=1")
        assert len(found["allocation_requests"]) == len(found["provider_summaries"]) == 1
        [summary] = hosts.get("/allocation_candidates?resources=VCPU:1&required=CUSTOM_FAST")[
            "provider_summaries"
        ].values()
        assert summary["resources"]["VCPU"] == {"capacity": 8, "used": 0}
        assert summary["traits"] == ["CUSTOM_FAST"]
        assert set(summary["resources"]) == set(HOST)
        assert summary["parent_provider_uuid"] is None
        [old] = hosts.get("/allocation_candidates?resources=VCPU:2,MEMORY_MB:1&required=CUSTOM_FAST", "1.26")[
            "provider_summaries"
        ].values()
        assert set(old) == {"resources", "traits"}
        assert set(old["resources"]) == {"VCPU", "MEMORY_MB"}

    def test_shapes_by_microversion(self, hosts: Placement) -> None:
        assert hosts.ask("GET", "/allocation_candidates?resources=VCPU:1", version="1.9").status_code == 404
        old = hosts.get("/allocation_candidates?resources=VCPU:2", "1.11")["allocation_requests"][0]
        assert set(old["allocations"][0]) == {"resource_provider", "resources"}
        middle = hosts.get("/allocation_candidates?resources=VCPU:2", "1.33")["allocation_requests"][0]
        assert set(middle) == {"allocations"}

    def test_what_cannot_be_asked(self, hosts: Placement) -> None:
        for query, version in REFUSED:
            answer = hosts.ask("GET", f"/allocation_candidates?{query}", version=version)
            assert answer.status_code == 400, f"{query} at {version}: {answer.text}"

    def test_it_is_not_for_everybody(self, hosts: Placement) -> None:
        assert hosts.ask("GET", "/allocation_candidates?resources=VCPU:1", who="demo").status_code == 403


OF_TREES: tuple[tuple[Any, ...], ...] = (
    ("resources=VCPU:3,DISK_GB:10", [{"node0", "storage"}, {"node1", "storage"}]),
    ("resources=VCPU:5", []),
    ("resources=VCPU:1,VGPU:1", [{"gpu0", "node0"}, {"gpu0", "node1"}, {"gpu1", "node0"}, {"gpu1", "node1"}]),
    ("resources=VCPU:1,VGPU:1&required=CUSTOM_GPU1", [{"gpu1", "node0"}, {"gpu1", "node1"}]),
    ("resources=VCPU:1,VGPU:1&required=!CUSTOM_GPU1", [{"gpu0", "node0"}, {"gpu0", "node1"}]),
    (
        "resources_C=VCPU:1&resources_G=VGPU:1&group_policy=none&same_subtree=_C,_G",
        [{"gpu0", "node0"}, {"gpu1", "node1"}],
    ),
    ("required_N=HW_NUMA_ROOT&resources_G=VGPU:1&group_policy=none&same_subtree=_N,_G", [{"gpu0"}, {"gpu1"}]),
    ("resources1=VCPU:1&resources2=VCPU:1&group_policy=isolate", [{"node0", "node1"}] * 2),
    ("resources1=VCPU:3&resources2=VCPU:3&group_policy=none", [{"node0", "node1"}] * 2),
    ("resources=DISK_GB:10&resources1=VCPU:1", [{"node0", "storage"}, {"node1", "storage"}]),
    ("resources1=VCPU:1&resources2=DISK_GB:1&group_policy=none", [{"node0", "storage"}, {"node1", "storage"}]),
    ("resources=VCPU:1&root_required=CUSTOM_HOST", [{"node0"}, {"node1"}]),
    ("resources=VCPU:1&root_required=!CUSTOM_HOST", []),
    (f"resources=VCPU:1&member_of={AGGREGATE}", [{"node0"}, {"node1"}]),
    (f"resources1=VCPU:1&member_of1={AGGREGATE}", []),
)


class TestTrees:
    """A host with two nodes, each with a device; and storage that is shared with it."""

    @pytest.fixture
    def tree(self, placement: Placement) -> Placement:
        host = placement.provider("host", traits=["CUSTOM_HOST"], aggregates=[AGGREGATE])
        for number in (0, 1):
            node = placement.provider(f"node{number}", {"VCPU": {"total": 4}}, traits=["HW_NUMA_ROOT"], parent=host)
            placement.provider(f"gpu{number}", {"VGPU": {"total": 2}}, traits=[f"CUSTOM_GPU{number}"], parent=node)
        shares = ["MISC_SHARES_VIA_AGGREGATE"]
        placement.provider("storage", {"DISK_GB": {"total": 1000}}, traits=shares, aggregates=[AGGREGATE])
        placement.provider("island", {"DISK_GB": {"total": 1000}}, traits=shares, aggregates=[OTHER])
        return placement

    def test_queries(self, tree: Placement) -> None:
        for query, found in OF_TREES:
            assert names(tree, tree.candidates(query)) == found, query

    def test_in_tree_leaves_out_what_is_shared(self, tree: Placement) -> None:
        host = tree.get("/resource_providers?name=host")["resource_providers"][0]["uuid"]
        assert tree.candidates(f"resources=VCPU:1,DISK_GB:1&in_tree={host}") == []
        assert len(tree.candidates(f"resources=VCPU:1&in_tree={host}")) == 2

    def test_summaries_show_the_whole_tree(self, tree: Placement) -> None:
        found = tree.get("/allocation_candidates?resources=VCPU:1,DISK_GB:1")
        assert len(found["provider_summaries"]) == 6
        roots = {one["root_provider_uuid"] for one in found["provider_summaries"].values()}
        assert len(roots) == 2

    def test_mappings_tell_who_serves_which_group(self, tree: Placement) -> None:
        query = "resources_C=VCPU:1&resources=DISK_GB:1"
        for one in tree.get(f"/allocation_candidates?{query}")["allocation_requests"]:
            assert set(one["mappings"]) == {"", "_C"}
            assert {uuid for uuids in one["mappings"].values() for uuid in uuids} == set(one["allocations"])

    def test_old_askers_know_no_trees(self, tree: Placement) -> None:
        assert tree.candidates("resources=VCPU:1,VGPU:1", "1.28") == []
        assert len(tree.candidates("resources=VCPU:1", "1.28")) == 2
