"""Choosing a host: a pure function of a snapshot and a request, so that the same input has the same outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from stackyard.services.compute.scheduler.filters import CAPACITY, CHANGING, FIXED, WORDS
from stackyard.services.compute.scheduler.hosts import HostState, Ranking, Snapshot
from stackyard.services.compute.scheduler.request import Circumstances, NoValidHost, Request

SOFT_AFFINITY = 3.0
"""What the fullest host of a group gets added in a soft policy: as much as an empty host has over a full one."""


def decide(snapshot: Snapshot, request: Request, circumstances: Circumstances) -> HostState:
    """The host with most free of those that will do; raises NoValidHost, whose text says what was in the way."""
    ranking = _ranking(snapshot, request, circumstances)
    accepts = _accepts(snapshot, request, circumstances)
    resources = request.resources()
    hosts = snapshot.hosts

    def suitable(candidates: Iterable[HostState]) -> Iterator[HostState]:
        return (host for host in candidates if host.fits(resources) and all(passes(host) for passes in accepts))

    narrowed = _narrowed(snapshot, ranking, request, circumstances)
    candidates = (hosts[number] for _, number in ranking.order) if narrowed is None else narrowed
    if circumstances.policy in ("soft-affinity", "soft-anti-affinity") and circumstances.group_hosts:
        found = _softly(snapshot, ranking, circumstances, suitable(candidates), suitable)
    else:
        found = next(suitable(candidates), None)
    if found is None:
        raise NoValidHost(explain(snapshot, request, circumstances))
    return found


def _ranking(snapshot: Snapshot, request: Request, circumstances: Circumstances) -> Ranking:
    key = tuple(one.aspect(request, circumstances, snapshot) for one in FIXED)
    ranking = snapshot.ranking(key)
    if ranking is None:
        concerned = [(one.passes, aspect) for one, aspect in zip(FIXED, key, strict=True) if aspect is not None]
        passing = (host for host in snapshot.hosts if all(passes(host, aspect) for passes, aspect in concerned))
        ranking = snapshot.keep(key, passing)
    return ranking


def _accepts(snapshot: Snapshot, request: Request, circumstances: Circumstances) -> list[Callable[[HostState], bool]]:
    found: list[Callable[[HostState], bool]] = []
    for one in CHANGING:
        aspect = one.aspect(request, circumstances, snapshot)
        if aspect is not None:
            found.append(lambda host, passes=one.passes, aspect=aspect: passes(host, aspect))  # type: ignore[misc]
    return found


def _narrowed(
    snapshot: Snapshot, ranking: Ranking, request: Request, circumstances: Circumstances
) -> list[HostState] | None:
    """The only hosts that can do, best first, when the request names them; None when it does not."""
    names: Iterable[str] | None = None
    if request.host is not None:
        names = [request.host]
    elif circumstances.same is not None:
        names = circumstances.same
    elif circumstances.policy == "affinity" and circumstances.group_hosts:
        names = circumstances.group_hosts
    if names is None:
        return None
    named = (snapshot.by_name[name] for name in names if name in snapshot.by_name)
    return sorted((host for host in named if host.number in ranking), key=lambda host: (-host.score, host.number))


def _softly(
    snapshot: Snapshot,
    ranking: Ranking,
    circumstances: Circumstances,
    candidates: Iterator[HostState],
    suitable: Callable[[Iterable[HostState]], Iterator[HostState]],
) -> HostState | None:
    """The best of the group's hosts, with what the policy adds or takes, or the best of the others."""
    there = circumstances.group_hosts
    most = max(there.values())
    sign = SOFT_AFFINITY if circumstances.policy == "soft-affinity" else -SOFT_AFFINITY
    known = (snapshot.by_name[name] for name in there if name in snapshot.by_name)
    mates = list(suitable(host for host in known if host.number in ranking))
    other = next((host for host in candidates if host.name not in there), None)
    options = [(-host.score - sign * there[host.name] / most, host.number, host) for host in mates]
    if other is not None:
        options.append((-other.score, other.number, other))
    return min(options)[2] if options else None


def explain(snapshot: Snapshot, request: Request, circumstances: Circumstances) -> str:
    """Why no host will do: how many each filter left that had to do with it."""
    left = list(snapshot.hosts)
    parts = [_count(len(left))]
    for one in (*FIXED, *CHANGING, *CAPACITY):
        if not left:
            break
        aspect = one.aspect(request, circumstances, snapshot)
        if aspect is None:
            continue
        passing = [host for host in left if one.passes(host, aspect)]
        if len(passing) < len(left) or not passing:
            lacking = "" if passing else _lacking(left, one.name, aspect)
            parts.append(f"{len(passing)} after {one.name}{lacking}")
        left = passing
    return f"No valid host was found. {', '.join(parts)}."


def _count(number: int) -> str:
    return "1 host" if number == 1 else f"{number} hosts"


_UNITS = {"RAM": "MiB", "CPUs": "CPUs", "disk": "GiB"}


def _lacking(hosts: list[HostState], name: str, amount: object) -> str:
    for resource_class, word in WORDS.items():
        if word == name:
            largest = int(max(host.free.get(resource_class, 0) for host in hosts))
            return f": the largest free is {max(largest, 0)} {_UNITS[word]} of the {amount} asked"
    return ""
