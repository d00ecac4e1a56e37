"""The mapping engine: the same as Keystone's, and with an end to time and size whatever comes."""

from __future__ import annotations

import copy
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackyard.services.identity.federation.mapping import engine, patterns, schema
from stackyard.services.identity.federation.mapping.engine import Mapped, MappingError, evaluate, split

CASES = json.loads((Path(__file__).parent / "mapping_oracle" / "cases.json").read_text(encoding="utf-8"))


def plain(groups: list[dict[str, Any]]) -> set[str]:
    return {json.dumps(group, sort_keys=True) for group in groups}


def told(case: dict[str, Any]) -> dict[str, Any] | str:
    rules = copy.deepcopy(case["rules"])
    try:
        found = evaluate(rules, split(case["attributes"]), case["version"])
    except MappingError:
        return "refused"
    assert rules == case["rules"], "evaluating changed the mapping"
    return {
        "user": found.user,
        "group_ids": set(found.group_ids),
        "group_names": plain(found.groups),
        "projects": found.projects,
    }


def without_nothing(document: dict[str, Any]) -> dict[str, Any]:
    """Keystone writes a null where a project or user has no domain."""
    return {key: value for key, value in document.items() if value is not None}


def expected(answer: dict[str, Any] | str) -> dict[str, Any] | str:
    if isinstance(answer, str):
        return "refused"
    return {
        "user": without_nothing(answer["user"]),
        "group_ids": set(answer["group_ids"]),
        "group_names": plain(answer["group_names"]),
        "projects": [without_nothing(project) for project in answer["projects"]],
    }


def test_the_same_as_keystone() -> None:
    wrong = [case for case in CASES if told(case) != expected(case["answer"])]
    assert not wrong, json.dumps(wrong[:3], indent=1, ensure_ascii=False)
    answers = [case["answer"] for case in CASES]
    assert sum(isinstance(answer, dict) for answer in answers) > 100
    assert sum(isinstance(answer, str) for answer in answers) > 50


def mapped(local: Any, remote: Any, version: str = "1.0", **attributes: list[str]) -> Mapped:
    local, remote = (value if isinstance(value, list) else [value] for value in (local, remote))
    return evaluate([{"local": local, "remote": remote}], attributes, version)


def test_groups_in_json() -> None:
    local = {"groups": "{0}"}
    group = {"name": "g", "domain": {"name": "d"}}
    found = mapped(local, {"type": "a"}, a=[f"JSON:{json.dumps(group)}", f"JSON:{json.dumps(group)}"])
    assert found.groups == [group]
    for wrong in (
        "JSON:",
        "JSON:5",
        "JSON:{}",
        'JSON:{"name":"g"}',
        'JSON:{"name":5,"domain":{"id":"d"}}',
        "JSON:" + "[" * 9999,
    ):
        with pytest.raises(MappingError):
            mapped(local, {"type": "a"}, a=[wrong, '"name"'])


def test_groups_whose_names_hold_the_word_name() -> None:
    found = mapped({"groups": "{0}", "domain": {"id": "d"}}, {"type": "a"}, a=["surnames", "b"])
    assert [group["name"] for group in found.groups] == ["surnames", "b"]
    with pytest.raises(MappingError):
        mapped({"groups": "{0}"}, {"type": "a"}, a=["b"])


def test_values_of_a_list_are_not_taken_apart_again() -> None:
    """What comes as a list (in a token) is one: a semicolon or a quote in a value makes no further group."""
    found = mapped({"groups": "{0}", "domain": {"id": "d"}}, {"type": "a"}, a=["a;admins", "b', 'admins"])
    assert [group["name"] for group in found.groups] == ["a;admins", "b', 'admins"]


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("['a', \"b\"]", ["a", "b"]),
        (" [ 'a' , ]", ["a"]),
        ("[]", []),
        ("['it\\'s', 'b\\n']", ["it's", "b\n"]),
        ("['a'", ["['a'"]),
        ("['a'] x", ["['a'] x"]),
        ("['a' 'b']", ["['a' 'b']"]),
        ("[['a']]", ["[['a']]"]),
        ("[1]", ["[1]"]),
        ("['a', open('x')]", ["['a', open('x')]"]),
        ("[" * 60000, ["[" * 60000]),
        ("[" + "-" * 60000 + "1]", ["[" + "-" * 60000 + "1]"]),
        ("['a'," * 10000, ["['a'," * 10000]),
    ],
)
def test_lists_in_texts(text: str, groups: list[str]) -> None:
    assert mapped({"group_ids": "{0}"}, {"type": "a"}, a=[text]).group_ids == groups


def test_projects_in_json() -> None:
    projects = [{"name": "p", "roles": [{"name": "member"}]}, {"name": "q", "roles": [], "domain": {"id": "e"}}]
    local = {"projects_json": "{0}", "domain": {"id": "d"}}
    found = mapped(local, {"type": "a"}, "3.0", a=[json.dumps(projects)])
    assert found.projects == [{**projects[0], "domain": {"id": "d"}}, projects[1]]
    for wrong in ("x", "{}", "[5]", '[{"name":"p"}]', '[{"name":"p","roles":[5]}]', "[" * 9999):
        with pytest.raises(MappingError):
            mapped(local, {"type": "a"}, "3.0", a=[wrong])
    with pytest.raises(MappingError):
        mapped({"projects_json": "x"}, {"type": "a"}, "3.0", a=["[]"])


@pytest.mark.parametrize(
    "template", ["{0.__class__}", "{0[0]}", "{0!r}", "{0:>99999999}", "{a}", "{0", "}", "{00000}", "{1}"]
)
def test_braces_hold_a_number_and_nothing_else(template: str) -> None:
    with pytest.raises(MappingError):
        mapped({"user": {"name": template}}, {"type": "a"}, a=["x"])


def test_braces_without_a_number_count() -> None:
    found = mapped({"user": {"name": "{}-{}-{{}}"}}, [{"type": "a"}, {"type": "b"}], a=["x"], b=["y"])
    assert found.user["name"] == "x-y-{}"


@pytest.mark.parametrize("pattern", ["^(a|aa)+$", "^(a+)+$", "(a*)*b", "(.*)(.*)(.*)(.*)(.*)\\d"])
def test_patterns_that_take_for_ever_do_not(pattern: str) -> None:
    started = time.monotonic()
    remote = [{"type": "a"}, {"type": "a", "any_one_of": [pattern] * 4, "regex": True}]
    values = ["a" * 5000 + "!"] * 50
    with suppress(MappingError):
        mapped({"user": {"name": "x"}}, remote, a=values)
    assert time.monotonic() - started < 10 * patterns.SECONDS


@pytest.mark.parametrize(
    "pattern", ["(?:(?:a{9999}){9999}){9999}", "a{999999999}", "a{ 5 , 99999 }", "a{,99999}", "x" * 1025]
)
def test_patterns_that_would_be_too_large(pattern: str) -> None:
    started = time.monotonic()
    with pytest.raises(patterns.BadPattern):
        patterns.compiled(pattern)
    rules = [{"local": [], "remote": [{"type": "a", "any_one_of": [pattern], "regex": True}]}]
    with pytest.raises(schema.InvalidField):
        schema.check({"rules": rules}, "1.0")
    assert time.monotonic() - started < 1


def test_patterns_are_counted() -> None:
    remote = {"type": "a", "any_one_of": ["a"] * 200, "regex": True}
    assert schema.check({"rules": [{"local": [], "remote": [remote]}]}, "1.0")
    with pytest.raises(schema.InvalidField):
        schema.check({"rules": [{"local": [], "remote": [remote, remote]}]}, "1.0")
    plain = {**remote, "regex": False}
    assert schema.check({"rules": [{"local": [], "remote": [plain, plain]}]}, "1.0")
    assert patterns.compiled("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def test_a_budget_has_an_end() -> None:
    with pytest.raises(patterns.TooSlow):
        patterns.Budget(0).matches("a", "a")
    with pytest.raises(patterns.TooSlow):
        patterns.Budget(0.05).matches("^(a|aa)+$", "a" * 60 + "b")


def test_what_is_too_much() -> None:
    with pytest.raises(MappingError):
        mapped({"user": {"name": "x"}}, {"type": "a"}, a=["x"] * (engine.MAX_VALUES + 1))
    with pytest.raises(MappingError):
        mapped({"user": {"name": "{0}" * 100}}, {"type": "a"}, a=["x" * 10000])


texts = st.text(max_size=20)
values = st.lists(st.one_of(texts, st.sampled_from(["a", "b", "['a']", "JSON:{}", "{0}"])), min_size=1, max_size=4)
attributes = st.dictionaries(st.sampled_from("ab"), values)
templates = st.one_of(texts, st.sampled_from(["{0}", "{1}", "x{0}", "{{", "{", "{}"]))
conditions = st.sampled_from(["any_one_of", "not_any_of", "whitelist", "blacklist"])
requirements = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from("ab")}),
    st.builds(
        lambda kind, word, wanted, regex: {"type": kind, word: wanted, "regex": regex},
        st.sampled_from("ab"),
        conditions,
        st.lists(texts, max_size=3),
        st.booleans(),
    ),
)
domains = st.sampled_from([{"id": "d"}, {"name": "D"}])
locals_ = st.fixed_dictionaries(
    {},
    optional={
        "user": st.fixed_dictionaries({}, optional={"name": templates, "id": templates, "email": templates}),
        "group": st.one_of(
            st.fixed_dictionaries({"id": templates}), st.fixed_dictionaries({"name": templates, "domain": domains})
        ),
        "groups": templates,
        "group_ids": templates,
        "domain": domains,
        "projects": st.lists(st.fixed_dictionaries({"name": templates, "roles": st.just([])}), max_size=2),
    },
)
rules = st.lists(
    st.fixed_dictionaries(
        {"local": st.lists(locals_, max_size=3), "remote": st.lists(requirements, min_size=1, max_size=3)}
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=300, deadline=None)
@given(rules, attributes, st.sampled_from(sorted(schema.VERSIONS)))
def test_anything_is_mapped_or_refused(
    rules: list[dict[str, Any]], attributes: dict[str, list[str]], version: str
) -> None:
    """Whatever passes the schema comes to texts and lists of texts, or to a MappingError."""
    try:
        checked, _ = schema.check({"rules": rules}, version)
    except schema.InvalidField:
        return
    try:
        found = evaluate(checked, attributes, version)
    except MappingError:
        return
    assert all(isinstance(group_id, str) for group_id in found.group_ids)
    assert all(isinstance(group["name"], str) and group["domain"] for group in found.groups)
    assert all(isinstance(project["name"], str) for project in found.projects)
    assert found.user["type"] == "ephemeral"
