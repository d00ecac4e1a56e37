"""What a request for allocation candidates asks: groups of resources, and what holds for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stackyard.core.call import Call
from stackyard.services.placement import queries
from stackyard.services.placement.faults import BAD_VALUE, DUPLICATE_KEY, MISSING_VALUE, bad_query
from stackyard.services.placement.queries import Membership, Traits

_KINDS = "resources|required|member_of|in_tree"
_NUMBERED = re.compile(rf"({_KINDS})([1-9][0-9]*)?")
_SUFFIXED = re.compile(rf"({_KINDS})([a-zA-Z0-9_-]{{1,64}})?")
_NUMBERED_25 = re.compile(r"(resources|required|member_of)([1-9][0-9]*)?")


@dataclass(slots=True)
class Group:
    """One group. That without a suffix may be served by several providers of a tree, any other by one only."""

    suffix: str
    resources: dict[str, int] = field(default_factory=dict)
    traits: Traits = field(default_factory=Traits)
    members: Membership = field(default_factory=Membership)
    in_tree: str | None = None


@dataclass(slots=True)
class Request:
    """All that is asked. `nested`: whether the asker knows of trees (1.29)."""

    groups: dict[str, Group]
    limit: int | None = None
    isolate: bool = False
    root: Traits = field(default_factory=Traits)
    same_subtrees: tuple[frozenset[str], ...] = ()
    nested: bool = True

    def classes(self) -> set[str]:
        """All resource classes that are asked for."""
        return {name for group in self.groups.values() for name in group.resources}

    def traits(self) -> set[str]:
        """All traits that are named."""
        return {name for group in self.groups.values() for name in group.traits.names()} | self.root.names()


def read(call: Call) -> Request:
    """Read the query string; raises BadRequest."""
    pattern = _check_keys(call)
    groups = _groups(call, pattern)
    request = Request(
        groups,
        _limit(call),
        _first(call, "group_policy") == "isolate",
        _root(call),
        _same_subtrees(call),
        nested=call.since(1, 29),
    )
    if call.since(1, 36):
        _check_resourceless(request)
    else:
        _check_orphans(groups)
    if call.since(1, 22):
        _check_conflicts((f"required{group.suffix}", group.traits) for group in groups.values())
    if call.query.get("group_policy") is None and len([suffix for suffix in groups if suffix]) > 1:
        raise bad_query(
            'The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.'
        )
    return request


def _check_keys(call: Call) -> re.Pattern[str]:
    known = [
        key
        for key, minor in (("limit", 16), ("group_policy", 25), ("root_required", 35), ("same_subtree", 36))
        if call.since(1, minor)
    ]
    if not call.since(1, 25):
        known += ["resources"]
        known += [key for key, minor in (("required", 17), ("member_of", 21)) if call.since(1, minor)]
        queries.check_keys(call, known)
        if call.query.get("resources") is None:
            raise bad_query("Invalid query string parameters: 'resources' is a required property")
        return _NUMBERED
    pattern = _SUFFIXED if call.since(1, 33) else _NUMBERED if call.since(1, 31) else _NUMBERED_25
    queries.check_keys(call, known, pattern)
    policy = _first(call, "group_policy")
    if policy not in (None, "none", "isolate"):
        raise bad_query(f"Invalid query string parameters: '{policy}' is not one of ['none', 'isolate']")
    return pattern


def _first(call: Call, key: str) -> str | None:
    """Of several values the first one counts, as in Placement."""
    return next(iter(call.query.all(key)), None)


def _limit(call: Call) -> int | None:
    text = _first(call, "limit")
    if text is None:
        return None
    if not re.fullmatch("[1-9][0-9]{0,17}", text):
        raise bad_query(f"Invalid query string parameters: '{text[:64]}' does not match '^[1-9][0-9]*$' (limit)")
    return int(text)


def _groups(call: Call, pattern: re.Pattern[str]) -> dict[str, Group]:
    groups: dict[str, Group] = {}
    for key, value in call.query.pairs():
        match = pattern.fullmatch(key)
        if match is None:
            continue
        kind, suffix = match[1], match[2] or ""
        group = groups.setdefault(suffix, Group(suffix))
        if kind == "resources":
            group.resources = queries.resources(value)
        elif kind == "required":
            group.traits = queries.traits(call, key)
        elif kind == "member_of":
            group.members = queries.member_of(call, key)
        else:
            group.in_tree = queries.in_tree(value)
    return groups


def _root(call: Call) -> Traits:
    values = call.query.all("root_required")
    if not values:
        return Traits()
    if len(values) > 1:
        raise bad_query("Query parameter 'root_required' may be specified only once.", DUPLICATE_KEY)
    found = queries.plain_traits(values[0])
    conflicts = found.forbidden.intersection(*[frozenset().union(*found.required)])
    if conflicts:
        raise bad_query(
            f"Conflicting required and forbidden traits found in root_required: {', '.join(sorted(conflicts))}",
            BAD_VALUE,
        )
    return found


def _same_subtrees(call: Call) -> tuple[frozenset[str], ...]:
    found = []
    for value in call.query.all("same_subtree"):
        suffixes = frozenset(part.strip() for part in value.split(","))
        if "" in suffixes:
            raise bad_query("Empty string (unsuffixed group) can not be specified in `same_subtree`", BAD_VALUE)
        found.append(suffixes)
    return tuple(found)


def _check_resourceless(request: Request) -> None:
    without = [suffix for suffix, group in request.groups.items() if not group.resources]
    named = frozenset[str]().union(*request.same_subtrees)
    if len(without) == len(request.groups):
        raise bad_query("There must be at least one resources or resources[$S] parameter.", MISSING_VALUE)
    if bad := [suffix for suffix in without if suffix not in named]:
        raise bad_query(
            "Resourceless suffixed group request should be specified in `same_subtree` query param: "
            f"bad group(s) - {bad}.",
            BAD_VALUE,
        )
    if bad := sorted(suffix for suffix in named if suffix not in request.groups):
        raise bad_query(
            f"Real suffixes should be specified in `same_subtree`: {bad} not found in {list(request.groups)}.",
            BAD_VALUE,
        )


def _check_orphans(groups: Mapping[str, Group]) -> None:
    bare = [group for group in groups.values() if not group.resources]
    if orphans := [f"required{group.suffix}" for group in bare if group.traits.required]:
        raise bad_query(
            "All traits parameters must be associated with resources.  Found the following orphaned traits keys: "
            f"{', '.join(orphans)}"
        )
    if orphans := [f"member_of{group.suffix}" for group in bare if any(group.members)]:
        raise bad_query(
            "All member_of parameters must be associated with resources. Found the following orphaned member_of "
            f"keys: {', '.join(orphans)}"
        )
    if bare:
        raise bad_query("All request groups must specify resources.")
    if not groups:
        raise bad_query("At least one request group (`resources` or `resources{$S}`) is required.")


def _check_conflicts(named: Iterable[tuple[str, Traits]]) -> None:
    conflicts = [
        f"{key}: ({', '.join(sorted(some))})"
        for key, traits in named
        for some in traits.required
        if some <= traits.forbidden
    ]
    if conflicts:
        raise bad_query(
            "Conflicting required and forbidden traits found in the following traits keys: "
            f"{', '.join(sorted(conflicts))}"
        )
