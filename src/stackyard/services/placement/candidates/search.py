"""Finding allocation candidates: a pure function of a world and a request.

Every group is first matched alone: which providers could serve it, each time with the tree (by its root, the anchor)
that the rest must come from too. Then the groups' matches of one anchor are combined, and what does not hold together
is left out: more than is free, groups that must be apart, groups that must be in one subtree.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from stackyard.services.placement.candidates.request import Group, Request
from stackyard.services.placement.world import Provider, World

MOST = 10_000
"""Combinations that are answered at most, and a hundred times as many that are looked at."""


class Match(NamedTuple):
    """Providers that serve a group: how much of which class from which, and who they are (one may give nothing)."""

    anchor: str
    takes: tuple[tuple[str, str, int], ...]
    providers: frozenset[str]


class Candidate(NamedTuple):
    """One combination: what to allocate, by provider, and which group is served by which providers."""

    allocations: Mapping[str, Mapping[str, int]]
    mappings: Mapping[str, list[str]]


def search(world: World, request: Request) -> list[Candidate]:
    """All candidates, or the first `limit`."""
    roots = None
    if request.root.required or request.root.forbidden:
        trees = world.shape.trees
        roots = {root for root in trees if request.root.allow(world.shape.providers[root].traits)}
    by_anchor: dict[str, dict[str, list[Match]]] = defaultdict(dict)
    for suffix, group in request.groups.items():
        several = not suffix and (world.shape.is_nested or bool(world.shape.sharing))
        matches = _of_several(world, group, roots) if several else _of_one(world, group, roots)
        found = False
        for match in dict.fromkeys(matches):
            by_anchor[match.anchor].setdefault(suffix, []).append(match)
            found = True
        if not found:
            return []
    return _first(_combined(world, request, by_anchor), request)


def _first(candidates: Iterator[Candidate], request: Request) -> list[Candidate]:
    seen: set[object] = set()
    found: list[Candidate] = []
    most = min(request.limit or MOST, MOST)
    for one in candidates:
        held = frozenset(
            (uuid, name, amount) for uuid, some in one.allocations.items() for name, amount in some.items()
        )
        key = (held, tuple((suffix, tuple(uuids)) for suffix, uuids in sorted(one.mappings.items())))
        if key not in seen:
            seen.add(key)
            found.append(one)
        if len(found) >= most:
            break
    return found


def _tree_of(world: World, group: Group) -> str | None:
    """The root of the tree that a group must come from; "" when there is no such provider."""
    if group.in_tree is None:
        return None
    provider = world.shape.providers.get(group.in_tree)
    return "" if provider is None else provider.root


def _of_one(world: World, group: Group, roots: set[str] | None) -> Iterator[Match]:
    """Providers that serve a group alone."""
    tree = _tree_of(world, group)
    for provider in world.shape.providers.values():
        if tree is not None and provider.root != tree:
            continue
        if not group.traits.allow(provider.traits) or not group.members.allow(provider.aggregates):
            continue
        if not all(world.fits(provider, name, amount) for name, amount in group.resources.items()):
            continue
        takes = tuple((provider.uuid, name, amount) for name, amount in group.resources.items())
        anchors = {provider.root: None}
        if provider in world.shape.sharing:
            anchors |= dict.fromkeys(sorted(world.shape.anchors(provider)))
        for anchor in anchors:
            if roots is None or anchor in roots:
                yield Match(anchor, takes, frozenset({provider.uuid}))


def _of_several(world: World, group: Group, roots: set[str] | None) -> Iterator[Match]:
    """Providers of one tree, and such as share with it, that serve a group together."""
    by_root: dict[str, dict[str, list[Provider]]] = defaultdict(dict)
    for name, amount in group.resources.items():
        for provider, root in _givers(world, group, name, amount):
            if roots is None or root in roots:
                there = by_root[root].setdefault(name, [])
                if provider not in there:
                    there.append(provider)
    for root, givers in by_root.items():
        if len(givers) < len(group.resources):
            continue
        names = list(group.resources)
        for chosen in itertools.product(*(givers[name] for name in names)):
            if any(group.traits.forbidden & provider.traits for provider in chosen):
                continue
            together = frozenset[str]().union(*(provider.traits for provider in chosen))
            if not all(some & together for some in group.traits.required):
                continue
            takes = tuple(
                (provider.uuid, name, group.resources[name]) for provider, name in zip(chosen, names, strict=True)
            )
            yield Match(root, takes, frozenset(provider.uuid for provider in chosen))


def _givers(world: World, group: Group, name: str, amount: int) -> Iterator[tuple[Provider, str]]:
    """Who has so much of a class, with the root of each tree that may take it from there."""
    tree = _tree_of(world, group)
    shape = world.shape
    for provider in shape.providers.values():
        if (tree is not None and provider.root != tree) or not world.fits(provider, name, amount):
            continue
        anchors = {provider.root: None}
        shares = tree is None and provider in shape.sharing
        if shares and all(some & provider.aggregates for some in group.members.required):
            anchors |= dict.fromkeys(sorted(shape.anchors(provider)))
        for root in anchors:
            # A provider is as good as in an aggregate when its tree's root is.
            of_root = shape.providers[root].aggregates
            inside = any(
                all(some & there for some in group.members.required) for there in (provider.aggregates, of_root)
            )
            if inside and not group.members.forbidden & (provider.aggregates | of_root):
                yield provider, root


def _combined(
    world: World, request: Request, by_anchor: Mapping[str, Mapping[str, list[Match]]]
) -> Iterator[Candidate]:
    suffixes = list(request.groups)
    looked_at = 0
    for matches in by_anchor.values():
        if len(matches) < len(suffixes):
            continue
        for chosen in itertools.product(*(matches[suffix] for suffix in suffixes)):
            looked_at += 1
            if looked_at > 100 * MOST:
                return
            served = dict(zip(suffixes, chosen, strict=True))
            takes = Counter[tuple[str, str]]()
            for match in chosen:
                for uuid, name, amount in match.takes:
                    takes[uuid, name] += amount
            if _holds_together(world, request, served) and _fits(world, takes):
                if not request.nested and _crosses(world, takes):
                    continue
                yield _candidate(served, takes)


def _holds_together(world: World, request: Request, served: Mapping[str, Match]) -> bool:
    if request.isolate:
        granular = [match for suffix, match in served.items() if suffix]
        if len(frozenset[str]().union(*(match.providers for match in granular))) < len(granular):
            return False
    for suffixes in request.same_subtrees:
        uuids = frozenset[str]().union(*(served[suffix].providers for suffix in suffixes))
        above = [set(world.shape.ancestors(uuid)) for uuid in uuids]
        if not set.intersection(*above) & uuids:
            return False
    return True


def _fits(world: World, takes: Mapping[tuple[str, str], int]) -> bool:
    for (uuid, name), amount in takes.items():
        stock = world.shape.providers[uuid].stock[name]
        if amount > stock.max_unit or world.used.get((uuid, name), 0) + amount > int(stock.capacity):
            return False
    return True


def _crosses(world: World, takes: Iterable[tuple[str, str]]) -> bool:
    """Whether two providers of one tree are needed, of which old askers know nothing."""
    roots = {uuid: world.shape.providers[uuid].root for uuid, _ in takes}
    return len(set(roots.values())) < len(roots)


def _candidate(served: Mapping[str, Match], takes: Mapping[tuple[str, str], int]) -> Candidate:
    allocations: dict[str, dict[str, int]] = defaultdict(dict)
    for (uuid, name), amount in takes.items():
        allocations[uuid][name] = amount
    return Candidate(dict(allocations), {suffix: sorted(match.providers) for suffix, match in served.items()})
