"""Traits of hosts: standard ones only, by what a host says of itself."""

from __future__ import annotations

import msgspec
import os_traits

from stackyard.host.machines.memory import CAPACITY
from stackyard.services.compute.hosts import providers, traits

STANDARD = set(os_traits.get_traits())


def test_every_trait_there_is_is_a_standard_one() -> None:
    features = tuple(traits._PROCESSORS)
    for architecture in ("x86_64", "aarch64", "riscv64"):
        host = msgspec.structs.replace(CAPACITY, architecture=architecture, cpu_features=features)
        assert traits.of_capacity(host) <= STANDARD
    assert providers.DISABLED in STANDARD


def test_a_processors_features_are_traits() -> None:
    host = msgspec.structs.replace(CAPACITY, cpu_features=("avx2", "pni", "no_such_feature"))
    found = traits.of_capacity(host)
    assert {"HW_CPU_X86_AVX2", "HW_CPU_X86_SSE3", "HW_ARCH_X86_64", "COMPUTE_NODE"} <= found
    assert not any("NO_SUCH" in trait for trait in found)


def test_other_architectures_have_no_x86_traits() -> None:
    host = msgspec.structs.replace(CAPACITY, architecture="aarch64", cpu_features=("aes",))
    assert not any(trait.startswith("HW_CPU_X86") for trait in traits.of_capacity(host))


def test_a_host_without_machines_takes_no_disk_images() -> None:
    host = msgspec.structs.replace(CAPACITY, kinds=("container",))
    assert traits.of_capacity(host) == {"COMPUTE_NODE", "HW_ARCH_X86_64"}
