"""Each filter alone: which of some hosts are left, and what the refusal says."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from tests.unit.compute.scheduler.yard import circumstances, host, request, snapshot

from stackyard.services.compute.scheduler import matching
from stackyard.services.compute.scheduler.decision import decide
from stackyard.services.compute.scheduler.hosts import HostState, Stock
from stackyard.services.compute.scheduler.request import Circumstances, NoValidHost, Request

SSD = {"ssd": "true"}


def left(hosts: list[HostState], asked: Request, found: Circumstances | None = None) -> set[str]:
    """The names of all hosts that would be chosen, one after the other."""
    names: set[str] = set()
    while True:
        again = Request(**{name: getattr(asked, name) for name in asked.__struct_fields__} | {
            "exclude_hosts": asked.exclude_hosts | names
        })  # fmt: skip
        try:
            names.add(decide(snapshot(*hosts), again, found or circumstances()).name)
        except NoValidHost:
            return names


@pytest.mark.parametrize(
    ("hosts", "asked", "names"),
    [
        ([host("a", enabled=False), host("b")], {}, {"b"}),
        ([host("a", up=False), host("b")], {}, {"b"}),
        ([host("a", zone="west"), host("b")], {"zone": "west"}, {"a"}),
        ([host("a", zone="west"), host("b")], {}, {"a", "b"}),
        ([host("a", kinds=("system",)), host("b")], {"kind": "system"}, {"a"}),
        ([host("a"), host("b")], {"host": "b"}, {"b"}),
        ([host("a"), host("b")], {"exclude_hosts": frozenset({"a"})}, {"b"}),
        ([host("a", memory=511), host("b", memory=512)], {}, {"b"}),
        ([host("a", vcpus=1), host("b", vcpus=2)], {"vcpus": 2}, {"b"}),
        ([host("a", disk=1), host("b", disk=2)], {"disk": 2}, {"b"}),
        ([host("a", disk=0)], {"disk": 0}, {"a"}),
    ],
)
def test_plain_ones(hosts: list[HostState], asked: dict[str, Any], names: set[str]) -> None:
    assert left(hosts, request(**asked)) == names


@pytest.mark.parametrize(
    ("properties", "names"),
    [
        ({}, {"pc", "arm"}),
        ({"hw_architecture": "x86_64"}, {"pc"}),
        ({"architecture": "amd64"}, {"pc"}),
        ({"architecture": "i686"}, {"pc"}),
        ({"hw_architecture": "aarch64"}, {"arm"}),
        ({"img_hv_type": "qemu"}, {"pc", "arm"}),
        ({"hypervisor_type": "kvm"}, {"pc", "arm"}),
        ({"img_hv_type": "xen"}, set()),
        ({"hw_vm_mode": "hvm"}, {"pc", "arm"}),
        ({"vm_mode": "exe"}, set()),
        ({"hypervisor_version_requires": ">=8.2"}, {"pc"}),
        ({"hypervisor_version_requires": ">=7,<8"}, {"arm"}),
        ({"hypervisor_version_requires": "!=8.2"}, {"arm"}),
        ({"hypervisor_version_requires": "soon"}, set()),
        ({"trait:HW_CPU_X86_VMX": "required"}, {"pc"}),
    ],
)
def test_image_properties(properties: dict[str, str], names: set[str]) -> None:
    pc = host("pc", hypervisor_version=8_002_001, traits=frozenset({"HW_CPU_X86_VMX"}))
    arm = host("arm", architecture="aarch64", hypervisor_version=7_001_000)
    assert left([pc, arm], request(image_properties=properties)) == names


@pytest.mark.parametrize(
    ("specs", "names"),
    [
        ({"aggregate_instance_extra_specs:ssd": "true"}, {"a"}),
        ({"aggregate_instance_extra_specs:ssd": "<or> true <or> maybe"}, {"a"}),
        ({"aggregate_instance_extra_specs:never": "true"}, set()),
        ({"ssd": "true"}, {"a"}),
        ({"never": "true"}, {"a", "b"}),
        ({"hw:cpu_policy": "dedicated"}, {"a", "b"}),
        ({"trait:CUSTOM_FAST": "required"}, {"b"}),
        ({"trait:CUSTOM_FAST": "forbidden"}, {"a"}),
        ({"trait1:CUSTOM_FAST": "required"}, {"b"}),
        ({"resources:CUSTOM_GPU": "1"}, {"b"}),
        ({"resources:VCPU": "17"}, set()),
        ({"resources:VCPU": "0"}, {"a", "b"}),
        ({"capabilities:hypervisor_type": "s== QEMU"}, {"a", "b"}),
        ({"capabilities:vcpus_total": ">= 17"}, set()),
        ({"capabilities:cpu_info:arch": "x86_64"}, {"a", "b"}),
        ({"capabilities:never": "1"}, set()),
    ],
)
def test_extra_specs(specs: dict[str, str], names: set[str]) -> None:
    a = host("a", aggregates=(SSD,))
    b = host("b", traits=frozenset({"CUSTOM_FAST"}))
    b.stock = {**b.stock, "CUSTOM_GPU": Stock(2)}
    assert left([a, b], request(extra_specs=specs)) == names


def test_amounts_that_an_inventory_gives() -> None:
    a = host("a")
    a.stock = {**a.stock, "VCPU": Stock(16, min_unit=2, max_unit=8, step_size=2)}
    assert [bool(left([a], request(vcpus=vcpus))) for vcpus in (1, 2, 3, 8, 10)] == [False, True, False, True, False]


def test_aggregates_may_be_for_some_projects_and_images() -> None:
    tenants = host("tenants", aggregates=({"filter_tenant_id": "p,q"}, {"filter_tenant_id2": "r"}))
    windows = host("windows", aggregates=({"os_distro": "windows, dos"},))
    everyone = host("everyone")
    hosts = [tenants, windows, everyone]
    assert left(hosts, request()) == {"tenants", "windows", "everyone"}
    assert left(hosts, request(project_id="r")) == {"tenants", "windows", "everyone"}
    assert left(hosts, request(project_id="s")) == {"windows", "everyone"}
    assert left(hosts, request(image_properties={"os_distro": "dos"})) == {"tenants", "windows", "everyone"}
    assert left(hosts, request(image_properties={"os_distro": "linux"})) == {"tenants", "everyone"}


@pytest.mark.parametrize(
    ("found", "names"),
    [
        ({"policy": "affinity"}, {"a", "b", "c"}),
        ({"policy": "affinity", "group_hosts": {"b": 1}}, {"b"}),
        ({"policy": "anti-affinity", "group_hosts": {"b": 1}}, {"a", "c"}),
        ({"policy": "anti-affinity", "group_hosts": {"b": 1, "c": 2}, "max_per_host": 2}, {"a", "b"}),
        ({"policy": "soft-affinity", "group_hosts": {"b": 1}}, {"a", "b", "c"}),
        ({"same": frozenset({"a", "gone"})}, {"a"}),
        ({"same": frozenset()}, set()),
        ({"different": frozenset({"a"})}, {"b", "c"}),
        ({"near": ipaddress.ip_network("10.0.0.0/24")}, {"a"}),
        ({"query": matching.parse_query('[">", "$free_ram_mb", 16384]')}, {"c"}),
        ({"query": matching.parse_query('["not", ["=", "$host", "a"]]')}, {"b", "c"}),
        ({"query": matching.parse_query('["or", ["in", "$host", "a", "b"], ["<", "$never", 3]]')}, {"a", "b"}),
        ({"query": matching.parse_query('["and", [">=", "$vcpus_total", "many"]]')}, set()),
    ],
)
def test_groups_and_hints(found: dict[str, Any], names: set[str]) -> None:
    hosts = [host("a", address="10.0.0.7"), host("b", address="10.0.1.7"), host("c", memory=32768, address="")]
    assert left(hosts, request(), circumstances(**found)) == names


@pytest.mark.parametrize(
    ("value", "requirement", "meets"),
    [
        ("4", "= 2", True), ("4", "== 4", True), ("4", "!= 4", False), ("4", ">= 5", False), ("4", "<= 5", True),
        ("four", ">= 4", False), ("b", "s> a", True), ("b", "s<= a", False), ("b", "s!= a", True),
        ("abc", "<in> b", True), ("abc", "<all-in> a d", False), ("x", "<or> x <or> y", True), ("x", "x", True),
        ("x", "y", False), ("", "", True), ("x", "s==", False), ("", "<in>", False),
    ],
)  # fmt: skip
def test_requirements(value: str, requirement: str, meets: bool) -> None:
    assert matching.matches(value, requirement) is meets


@pytest.mark.parametrize("text", ["", "{}", "[]", "[3]", '["and"]', '["like", 1, 2]', '["=", 1]', "[" * 2000, "x"])
def test_queries_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"valid JSON|list|operator|operand|nested"):
        matching.parse_query(text)


def test_queries_are_not_nested_without_end() -> None:
    text = '["not", ' * 40 + '["=", 1, 1]' + "]" * 40
    with pytest.raises(ValueError, match="nested"):
        matching.parse_query(text)
