"""GET /v3/role_assignments against a plain reading of what it should list, over drawn clouds; and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.identity.people import V3, People
from tests.cloud import TestCloud

from stackyard.core.db import Transaction
from stackyard.services.identity import generation
from stackyard.services.identity.assignments.tables import assignments
from stackyard.services.identity.projects.tables import projects
from stackyard.services.identity.roles.tables import implied, roles
from stackyard.services.identity.users.tables import groups, members, users

DOMAINS = ("d0", "d1")
USERS = ("u0", "u1", "u2")
GROUPS = ("g0", "g1")
ROLES = ("r0", "r1", "r2", "r3", "dr")  # the last is one of a domain
PROJECTS = ("p0", "p1", "p2", "p3", "p4")

Grant = tuple[str, str, str, str, str, bool]


@dataclass
class World:
    """Who there is, the tree of projects, and what was given."""

    parents: dict[str, str]
    memberships: set[tuple[str, str]]
    rules: set[tuple[str, str]]
    grants: set[Grant]
    above: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for project in self.parents:
            chain, at = [], project
            while at in self.parents:
                at = self.parents[at]
                chain.append(at)
            self.above[project] = chain


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A cloud of two domains with up to five projects."""
    parents = {project: draw(st.sampled_from([*DOMAINS, *PROJECTS[:index]])) for index, project in enumerate(PROJECTS)}
    targets = st.one_of(
        st.tuples(st.just("project"), st.sampled_from(PROJECTS), st.booleans()),
        st.tuples(st.just("domain"), st.sampled_from(DOMAINS), st.booleans()),
        st.just(("system", "all", False)),
    )
    actors = st.sampled_from([*(("user", name) for name in USERS), *(("group", name) for name in GROUPS)])
    grants = draw(st.lists(st.tuples(actors, targets, st.sampled_from(ROLES)), min_size=6, max_size=14))
    pairs = st.tuples(st.sampled_from(ROLES), st.sampled_from(ROLES[:-1])).filter(lambda pair: pair[0] != pair[1])
    return World(
        parents,
        set(draw(st.lists(st.tuples(st.sampled_from(GROUPS), st.sampled_from(USERS)), max_size=4))),
        set(draw(st.lists(pairs, max_size=5))),
        {(*actor, *target[:2], role, target[2]) for actor, target, role in grants},
    )


def store(tx: Transaction, world: World) -> None:
    """Put a world in place of the one before."""
    mine = assignments.c.target_id.in_([*PROJECTS, *DOMAINS]) | assignments.c.actor_id.in_([*USERS, *GROUPS])
    tx.execute(assignments.delete().where(mine))
    tx.execute(roles.delete().where(roles.c.id.in_(ROLES)))
    for name in reversed(PROJECTS):
        tx.execute(projects.delete().where(projects.c.id == name))
    for table, names in ((users, USERS), (groups, GROUPS), (projects, DOMAINS)):
        tx.execute(table.delete().where(table.c.id.in_(names)))
    common = {"extra": {}, "created_at": tx.now}
    tree = {"enabled": True, "description": "", "options": {}, **common}
    for name in DOMAINS:
        values = {"id": name, "name": name, "domain_id": "", "parent_id": None, "is_domain": True}
        tx.execute(projects.insert(), {**values, **tree})
    for name in PROJECTS:
        values = {"id": name, "name": name, "domain_id": world.above[name][-1], "parent_id": world.parents[name]}
        tx.execute(projects.insert(), {**values, "is_domain": False, **tree})
    for name in USERS:
        values = {"id": name, "name": name, "domain_id": "d0", "enabled": True, "options": {}, **common}
        tx.execute(users.insert(), values)
    for name in GROUPS:
        tx.execute(groups.insert(), {"id": name, "name": name, "domain_id": "d0", "description": "", **common})
    for name in ROLES:
        domain = "d0" if name == "dr" else ""
        tx.execute(roles.insert(), {"id": name, "name": name, "domain_id": domain, "options": {}, **common})
    for group, user in world.memberships:
        tx.execute(members.insert(), {"group_id": group, "user_id": user})
    for prior, other in world.rules:
        tx.execute(implied.insert(), {"prior_id": prior, "implied_id": other})
    names = ("actor_kind", "actor_id", "target_kind", "target_id", "role_id", "inherited")
    for grant in world.grants:
        tx.execute(assignments.insert(), dict(zip(names, grant, strict=True)))
    generation.bump(tx)


Shown = tuple[str, str, str, str, str, bool, str, str]
"""Actor, target, role, whether inherited, group it comes by, role that implies it."""


def expected(world: World, query: dict[str, str]) -> set[Shown]:
    """Everything expanded first, then filtered: slow, and plainly right."""
    everything = _expanded(world) if "effective" in query else {(*grant, "", "") for grant in world.grants}
    tree = {query.get("scope.project.id", "")}
    if "include_subtree" in query:
        tree |= {name for name, above in world.above.items() if tree & set(above)}
    found = set()
    for item in everything:
        actor_kind, actor, target_kind, target, role, inherited, _, _ = item
        if (
            (query.get("user.id") in (None, actor) and ("user.id" not in query or actor_kind == "user"))
            and (query.get("group.id") in (None, actor) and ("group.id" not in query or actor_kind == "group"))
            and query.get("role.id") in (None, role)
            and ("scope.project.id" not in query or (target_kind == "project" and target in tree))
            and ("scope.domain.id" not in query or (target_kind, target) == ("domain", query["scope.domain.id"]))
            and ("scope.system" not in query or target_kind == "system")
            and ("scope.OS-INHERIT:inherited_to" not in query or inherited)
        ):
            found.add(item)
    return found


def _expanded(world: World) -> set[Shown]:
    found: set[Shown] = set()
    for actor_kind, actor, target_kind, target, role, inherited in world.grants:
        people = [(actor, "")]
        if actor_kind == "group":
            people = [(user, actor) for group, user in world.memberships if group == actor]
        places = [(target_kind, target)]
        if inherited:
            places = [("project", name) for name, above in world.above.items() if target in above]
        held: set[tuple[str, str]] = {(role, "")}
        while True:
            further = {(other, prior) for prior, other in world.rules if any(prior == name for name, _ in held)}
            if further <= held:
                break
            held |= further
        found |= {
            ("user", user, kind, place, name, inherited, group, prior)
            for user, group in people
            for kind, place in places
            for name, prior in held
            if name != "dr"
        }
    return found


def shown(item: dict[str, Any]) -> Shown:
    """An item of the answer in the same terms."""
    actor_kind = "user" if "user" in item else "group"
    scope = item["scope"]
    target_kind = next(kind for kind in ("project", "domain", "system") if kind in scope)
    links = item["links"]
    group = links["membership"].split("/groups/")[1].split("/")[0] if "membership" in links else ""
    prior = links["prior_role"].split("/prior_role/")[1].split("/")[0] if "prior_role" in links else ""
    return (
        actor_kind,
        item[actor_kind]["id"],
        target_kind,
        scope[target_kind].get("id", "all"),
        item["role"]["id"],
        "OS-INHERIT:inherited_to" in scope,
        group,
        prior,
    )


def queries(world: World) -> Iterator[dict[str, str]]:
    """Every kind of filter, alone and with others, at places where this world has something."""
    yield from ({}, {"effective": ""}, {"scope.system": "all"}, {"scope.system": "all", "effective": "1"})
    for actor_kind, actor, target_kind, target, role, _ in sorted(world.grants):
        yield {f"{actor_kind}.id": actor, "role.id": role}
        if target_kind == "domain":
            yield {"scope.domain.id": target}
            yield {"scope.domain.id": target, "effective": ""}
    inherited = {"scope.OS-INHERIT:inherited_to": "projects"}
    for index, project in enumerate(PROJECTS):
        user, role = USERS[index % len(USERS)], ROLES[index]
        for one in ({}, inherited, {"user.id": user}, {"role.id": role}, {"include_names": "1"}):
            for other in ({}, {"effective": ""}, {"include_subtree": "1"}, {"effective": "", "include_subtree": "1"}):
                yield {"scope.project.id": project, **one, **other}
        yield {"user.id": user, "effective": "1", **inherited}
        yield {"role.id": role, "effective": "1"}


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds())
def test_lists_what_a_plain_reading_would(still_cloud: TestCloud, world: World) -> None:
    still_cloud.database.write("store", store, world)
    client = still_cloud.client("admin")
    ours = {*USERS, *GROUPS}
    for query in queries(world):
        response = client.get(f"{V3}/role_assignments", params=query)
        assert response.status_code == 200, response.text
        listed = [shown(item) for item in response.json()["role_assignments"]]
        listed = [item for item in listed if item[1] in ours]
        assert len(set(listed)) == len(listed), query
        assert set(listed) == expected(world, query), query


MANY = 10_000


def _many(tx: Transaction) -> None:
    """10,000 assignments: 500 users, 50 groups of ten, 500 projects of one domain in 20 branches."""
    common = {"extra": {}, "created_at": tx.now}
    tree = {"enabled": True, "description": "", "options": {}, **common}
    domain = {"id": "many", "name": "many", "domain_id": "", "parent_id": None, "is_domain": True, **tree}
    tx.execute(projects.insert(), domain)
    for index in range(500):
        parent = "many" if index < 20 else f"mp{index % 20}"
        values = {"id": f"mp{index}", "name": f"mp{index}", "domain_id": "many", "parent_id": parent}
        tx.execute(projects.insert(), {**values, "is_domain": False, **tree})
    user = {"domain_id": "many", "enabled": True, "options": {}, **common}
    tx.execute(users.insert(), [{"id": f"mu{i}", "name": f"mu{i}", **user} for i in range(500)])
    group = {"domain_id": "many", "description": "", **common}
    tx.execute(groups.insert(), [{"id": f"mg{i}", "name": f"mg{i}", **group} for i in range(50)])
    tx.execute(members.insert(), [{"group_id": f"mg{i % 50}", "user_id": f"mu{i}"} for i in range(500)])
    role_ids = [row.id for row in tx.all(roles.select().where(roles.c.name.in_(["member", "reader"])))]
    rows = []
    for index in range(MANY):
        by_group = index % 10 == 0
        place, actor = index % 500, index // 500 + (index % 500) // 25 * 20
        rows.append(
            {
                "actor_kind": "group" if by_group else "user",
                "actor_id": f"mg{actor % 50}" if by_group else f"mu{actor % 500}",
                "target_kind": "project",
                "target_id": f"mp{place}",
                "role_id": role_ids[index % 2],
                "inherited": place < 20,
            }
        )
    unique = {tuple(row.values()): row for row in rows}
    tx.execute(assignments.insert(), list(unique.values()))
    assert len(unique) > MANY * 0.9
    generation.bump(tx)


FILTERED = [
    "user.id=mu7",
    "user.id=mu7&effective&include_names",
    "scope.project.id=mp123&effective",
    "scope.project.id=mp3&include_subtree&include_names",
    "scope.project.id=mp3&include_subtree&effective&user.id=mu9",
    "group.id=mg5&include_names",
    "scope.domain.id=many",
]


def test_ten_thousand_assignments(people: People) -> None:
    people.cloud.database.write("many", _many)
    slow = {}
    for query in FILTERED:
        url = f"{V3}/role_assignments?{query}"
        answers = [_timed(people, url) for _ in range(5)]
        if min(answers) > 0.1:
            slow[query] = answers
    assert slow == {}
    assert len(people.admin.get(f"{V3}/role_assignments").json()["role_assignments"]) > MANY * 0.9


def _timed(people: People, url: str) -> float:
    started = time.perf_counter()
    response = people.admin.get(url)
    assert response.status_code == 200, response.text
    return time.perf_counter() - started


@pytest.mark.parametrize("query", ["include_subtree", "effective"])
def test_an_unknown_project_has_no_tree(people: People, query: str) -> None:
    assert people.admin.get(f"{V3}/role_assignments?scope.project.id=none&{query}").status_code == 404
    assert people.admin.get(f"{V3}/role_assignments?scope.project.id=none").json()["role_assignments"] == []


def test_names_of_a_domain_s_role_say_the_domain(people: People) -> None:
    domain, user = people.make("domain"), people.user()
    role, project = people.make("role", domain_id=domain["id"]), people.make("project", domain_id=domain["id"])
    grant = f"{V3}/projects/{project['id']}/users/{user['id']}/roles/{role['id']}"
    assert people.admin.put(grant).status_code == 204
    found = people.admin.get(f"{V3}/role_assignments?user.id={user['id']}&include_names").json()["role_assignments"]
    named = {"id": domain["id"], "name": domain["name"]}
    assert found[0]["role"] == {"id": role["id"], "name": role["name"], "domain": named}
    assert found[0]["scope"]["project"]["domain"] == named
    everything = people.admin.get(f"{V3}/role_assignments?scope.system=none&user.id={user['id']}")
    assert len(everything.json()["role_assignments"]) == 1
