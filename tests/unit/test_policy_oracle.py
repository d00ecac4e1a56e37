"""The policy language means what oslo.policy says it means: both are asked every check alone, and random rules."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oslo_config import cfg
from oslo_policy import policy as oslo

from stackyard.core.policy import ANY_SCOPE, PolicySet, Rule

IDS = ["a", "b", "None", "True"]
ROLES = ["admin", "Member", "reader", "ADMIN"]
TARGET_KEYS = ["project_id", "user_id", "target.user.id", "flag", "visibility", "role.name"]

VALUES = ["%(" + key + ")s" for key in TARGET_KEYS] + [*IDS, "all", "x-%(user_id)s", "100%%", "1", "public"]
KINDS = [
    *["user_id", "project_id", "domain_id", "is_admin", "system_scope", "system", "groups", "missing"],
    *["token.user.id", "token.groups.id", "token.missing.id"],
    *["True", "None", "1", "'public'", '"a"', "'100%'"],
]
ROLE_CHECKS = [f"role:{role}" for role in [*ROLES, "%(role.name)s", "compute:admin", "missing"]]
GENERIC_CHECKS = [f"{kind}:{value}" for kind in KINDS for value in VALUES]

roles = st.sampled_from(ROLE_CHECKS)
generic = st.sampled_from(GENERIC_CHECKS)
references = st.sampled_from(["base", "other"]).map("rule:{}".format)


def expressions(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.sampled_from([" and ", " or ", " AND ", "  or "])
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(lambda a, word, b: a + word + b, inner, joined, inner),
            st.builds(lambda a, word, b, w, c: a + word + b + w + c, inner, joined, inner, joined, inner),
            inner.map("not ({})".format),
            inner.map("( {} )".format),
            leaves.map("not {}".format),
        ),
        max_leaves=8,
    )


checks = st.one_of(roles, generic, st.sampled_from(["@", "!"]))
without_references = st.one_of(expressions(checks), st.just(""))
with_references = expressions(st.one_of(checks, references))
legacy = st.lists(st.one_of(checks, st.lists(checks, max_size=3)), max_size=3)

scalars = st.one_of(st.sampled_from(IDS), st.none(), st.booleans(), st.just(1))
credentials = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.sampled_from(IDS),
        "project_id": st.one_of(st.none(), st.sampled_from(IDS)),
        "domain_id": st.one_of(st.none(), st.sampled_from(IDS)),
        "roles": st.lists(st.sampled_from(ROLES)),
        "is_admin": st.booleans(),
        "system_scope": st.sampled_from([None, "all"]),
        "groups": st.lists(scalars, max_size=3),
        "token": st.fixed_dictionaries(
            {},
            optional={
                "user": st.fixed_dictionaries({}, optional={"id": scalars}),
                "groups": st.lists(st.fixed_dictionaries({}, optional={"id": scalars}), max_size=3),
            },
        ),
    },
)
targets = st.dictionaries(st.sampled_from(TARGET_KEYS), scalars)
scopes = st.lists(st.sampled_from(ANY_SCOPE), unique=True).map(tuple)


CALLERS: list[dict[str, object]] = [
    {},
    {"roles": ["member"], "user_id": "a", "project_id": "b", "domain_id": None, "is_admin": False},
    {"roles": ["Admin", "x"], "user_id": "b", "project_id": None, "is_admin": True, "groups": []},
    {"roles": [], "system_scope": "all", "system": "b", "domain_id": "a", "groups": ["b", 1, None]},
    {"system_scope": None, "system": "all", "token": {"user": {"id": "a"}, "groups": [{"id": "b"}, {}, {"id": 1}]}},
    {"user_id": "x-a", "project_id": "100%", "domain_id": "None", "token": {"user": {"id": None}, "groups": []}},
    {"is_admin": 1, "groups": [True], "token": {}, "user_id": "True", "project_id": True},
]
TARGETS: list[dict[str, object]] = [
    {},
    {"project_id": "a", "user_id": "a", "role.name": "Member", "visibility": "public"},
    {"project_id": "b", "user_id": "b", "target.user.id": "a", "flag": True, "role.name": "ADMIN"},
    {"project_id": None, "user_id": None, "flag": None, "visibility": "100%", "role.name": "nobody"},
    {"project_id": "True", "flag": 1, "target.user.id": 1, "visibility": "all"},
]


def _enforcer() -> oslo.Enforcer:
    enforcer = oslo.Enforcer(cfg.ConfigOpts(), use_conf=False)
    enforcer.conf(args=[])
    return enforcer


@pytest.mark.parametrize("checks", [ROLE_CHECKS, GENERIC_CHECKS], ids=["roles", "credentials"])
def test_every_check_alone_answers_as_oslo_policy_does(checks: list[str]) -> None:
    ours = PolicySet([Rule(check, check, "", ()) for check in checks])
    enforcer = _enforcer()
    enforcer.set_rules(oslo.Rules.from_dict({check: check for check in checks}), use_conf=False)
    allowed = 0
    for check, caller, target in itertools.product(checks, CALLERS, TARGETS):
        expected = bool(enforcer.enforce(check, target, dict(caller)))
        assert ours.allows(check, caller, target) is expected, (check, caller, target)
        allowed += expected
    assert allowed > len(checks)  # the cases are worth asking


@settings(max_examples=400, deadline=None)
@given(
    rule=st.one_of(with_references, legacy),
    base=without_references,
    other=without_references,
    scope_types=scopes,
    caller=credentials,
    target=targets,
)
def test_rules_of_checks_answer_as_oslo_policy_does(
    rule: str | list[object],
    base: str,
    other: str,
    scope_types: tuple[str, ...],
    caller: dict[str, object],
    target: dict[str, object],
) -> None:
    declared = [Rule("asked", "@", "", scope_types), Rule("base", base, "", ()), Rule("other", other, "", ())]
    ours = PolicySet(declared, {"asked": rule})

    enforcer = _enforcer()
    enforcer.register_default(oslo.RuleDefault("asked", "@", scope_types=list(scope_types) or None))
    enforcer.set_rules(oslo.Rules.from_dict({"asked": rule, "base": base, "other": other}), use_conf=False)

    expected = bool(enforcer.enforce("asked", target, dict(caller)))
    assert ours.allows("asked", caller, target) is expected
