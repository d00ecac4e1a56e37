"""How a machine's virtual CPUs are spread over sockets, cores and threads: Nova's rules."""

from __future__ import annotations

from collections.abc import Mapping

from stackyard.host.errors import SpecError

_PARTS = ("sockets", "cores", "threads")
_MOST = 65536


def topology(vcpus: int, properties: Mapping[str, str]) -> tuple[int, int, int]:
    """Sockets, cores and threads whose product is the number of CPUs, none above its `hw_cpu_max_*`.

    Of all that are possible, one that has most of what `hw_cpu_*` ask for; of these, one with as many sockets, then as
    many cores as can be. Raises SpecError when the maxima allow none.
    """
    wanted = [_number(properties, f"hw_cpu_{part}") for part in _PARTS]
    most = [_number(properties, f"hw_cpu_max_{part}") or _MOST for part in _PARTS]
    if any(number is not None and number > limit for number, limit in zip(wanted, most, strict=True)):
        raise SpecError("more CPU sockets, cores or threads are asked for than hw_cpu_max_* allow")
    possible = [
        (sockets, cores, vcpus // sockets // cores)
        for sockets in _divisors(vcpus)
        for cores in _divisors(vcpus // sockets)
    ]
    fitting = [one for one in possible if all(number <= limit for number, limit in zip(one, most, strict=True))]
    if not fitting:
        raise SpecError(f"{vcpus} CPUs cannot be spread within hw_cpu_max_* of {', '.join(map(str, most))}")
    return max(fitting, key=lambda one: (sum(map(int.__eq__, one, (n or 0 for n in wanted))), one))


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]


def _number(properties: Mapping[str, str], name: str) -> int | None:
    value = properties.get(name) or None
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and int(value[:9]) > 0 and len(value) < 10):
        raise SpecError(f"{name}={value[:40]!r} is not a whole number above 0")
    return int(value)
