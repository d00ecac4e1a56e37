"""A host's traits: what flavors and images may require of it, and what Placement's clients look for."""

from __future__ import annotations

from stackyard.host.specs import HostCapacity

_ARCHITECTURES = {"x86_64": "HW_ARCH_X86_64", "aarch64": "HW_ARCH_AARCH64"}
_MACHINES = (
    "COMPUTE_IMAGE_TYPE_AKI", "COMPUTE_IMAGE_TYPE_AMI", "COMPUTE_IMAGE_TYPE_ARI", "COMPUTE_IMAGE_TYPE_QCOW2",
    "COMPUTE_IMAGE_TYPE_RAW",
)  # fmt: skip
_SAME_NAME = (
    "3dnow", "abm", "avx", "avx2", "avx512bw", "avx512cd", "avx512dq", "avx512er", "avx512f", "avx512pf", "avx512vl",
    "bmi2", "f16c", "fma4", "mmx", "mpx", "sse", "sse2", "sse4a", "ssse3", "svm", "tbm", "vmx", "xop",
)  # fmt: skip
_PROCESSORS = {feature: f"HW_CPU_X86_{feature.upper()}" for feature in _SAME_NAME} | {
    "aes": "HW_CPU_X86_AESNI",
    "amx_bf16": "HW_CPU_X86_AMXBF16",
    "amx_int8": "HW_CPU_X86_AMXINT8",
    "amx_tile": "HW_CPU_X86_AMXTILE",
    "bmi1": "HW_CPU_X86_BMI",
    "avx512_vnni": "HW_CPU_X86_AVX512VNNI",
    "avx512_vbmi2": "HW_CPU_X86_AVX512VBMI2",
    "avx512_bitalg": "HW_CPU_X86_AVX512BITALG",
    "avx512ifma": "HW_CPU_X86_AVX512IFMA",
    "avx512_vpopcntdq": "HW_CPU_X86_AVX512VPOPCNTDQ",
    "avx512vbmi": "HW_CPU_X86_AVX512VBMI",
    "fma": "HW_CPU_X86_FMA3",
    "gfni": "HW_CPU_X86_AVX512GFNI",
    "pclmulqdq": "HW_CPU_X86_CLMUL",
    "pni": "HW_CPU_X86_SSE3",
    "rtm": "HW_CPU_X86_TSX",
    "sha_ni": "HW_CPU_X86_SHA",
    "sse4_1": "HW_CPU_X86_SSE41",
    "sse4_2": "HW_CPU_X86_SSE42",
    "vaes": "HW_CPU_X86_AVX512VAES",
    "vpclmulqdq": "HW_CPU_X86_AVX512VPCLMULQDQ",
}
"""The kernel's names of a processor's features, and the traits' names."""


def of_capacity(found: HostCapacity) -> frozenset[str]:
    """The standard traits of a host that has this."""
    traits = {"COMPUTE_NODE"}
    if found.architecture in _ARCHITECTURES:
        traits.add(_ARCHITECTURES[found.architecture])
    if found.architecture == "x86_64":
        traits |= {_PROCESSORS[feature] for feature in found.cpu_features if feature in _PROCESSORS}
    if "machine" in found.kinds:
        traits.update(_MACHINES)
    return frozenset(traits)
