"""Our default rules against those that the real services declare (upstream/*.txt), as truth functions.

Two rules are the same when they decide alike whatever holds of caller and target: both are taken apart into their
checks (`role:reader`, `project_id:%(project_id)s`), and every combination of those being true and false is tried.
What differs on purpose is in DIFFERENT, with the reason.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from pathlib import Path

import pytest
from oslo_policy import _checks, _parser

from stackyard.app import SERVICES
from stackyard.core.policy import ANY_SCOPE, Rule
from stackyard.core.routes import Service

FACTS = Path(__file__).parent / "upstream"
Holds = Mapping[str, bool]

SAME = {
    "is_admin:True": "role:admin",
    "is_admin:1": "role:admin",
    "tenant_id:%(tenant_id)s": "project_id:%(project_id)s",
    "field:networks:shared=True": "True:%(shared)s",
    **{
        f"field:{collection}:shared=True": "True:%(shared)s"
        for collection in ("address_groups", "address_scopes", "policies", "security_groups", "subnetpools")
    },
    **dict.fromkeys(("field:rbac_policy:target_tenant=*", "field:rbac_policy:target_project=*"), "True:%(wildcard)s"),
    "field:networks:router:external=True": "True:%(external)s",
    "field:subnets:router:external=True": "True:%(external)s",
    "field:port:device_owner=~^network:": "True:%(network_device)s",
    "field:port:device_owner=~^compute:": "True:%(compute_device)s",
    "user_id:%(user_id)s": "user_id:%(target.user.id)s",
    "token.domain.id:%(target.user.domain_id)s": "domain_id:%(target.user.domain_id)s",
    "token.domain.id:%(target.domain.id)s": "domain_id:%(target.domain.id)s",
    "token.project.domain.id:%(target.domain.id)s": "project_domain_id:%(target.domain.id)s",
}
"""Upstream's words for what ours call otherwise."""

NEVER = {
    "role:advsvc": "the former name of the role `service`, which no cloud has from the start",
    "field:port:device_owner=~^manila:": "there is no service for shared file systems",
    "field:port:device_owner=~^baremetal:": "there is no service for bare metal",
    "service_roles:service": "no call here comes with a second token, of a service",
}
"""What never holds in this cloud."""

_LESSER_ROLES = "a role of a domain may have the name of a lesser role and imply more: the name alone must not decide"
_TAKE_OVER = "a domain's manager must not come to roles that he may not give by a user's password or a group"
_PROFILE = "the administrator runs the host, and may do what the services may"
DIFFERENT = {
    "identity:get_role": _LESSER_ROLES,
    "identity:create_grant": _LESSER_ROLES,
    "identity:revoke_grant": _LESSER_ROLES,
    "identity:ask_for_trusts": "guards the question; by what it asks for, one of upstream's three rules decides",
    "identity:update_user": _TAKE_OVER,
    "identity:delete_user": _TAKE_OVER,
    "identity:add_user_to_group": _TAKE_OVER,
    "add_image_location": "an image's project is its owner: upstream says the same twice",
    "create_port": "a reader changes nothing, on a shared network neither",
    "create_port:binding:profile": _PROFILE,
    "update_port:binding:profile": _PROFILE,
    "create_port_binding": _PROFILE,
    "delete_port_binding": _PROFILE,
    "update_port_binding": "guards a call that upstream has no rule for, as the calls beside it are guarded",
    "activate": _PROFILE,
    "get_floatingip_pool": "a pool belongs to no project: the list shows those of networks that the caller sees",
    "get_network_api": "guards the list of extensions, which upstream shows to any token without a rule",
    "container:context_is_admin": "context_is_admin, told apart from the rules of other services' operators",
    "container:create:privileged": "upstream gives it to nobody; here an administrator may",
    "os_compute_api:any": "guards the one address of all actions on servers; the action's own rule decides",
    "os_compute_api:network:attach_external_network": "upstream's name is that of the container service's rule too",
    "container:network_list": "upstream asks container:get_one, by its own name here",
    "volume:any": "guards the one address of all actions on a volume; the action's own rule decides",
}
"""Rules that are meant to decide otherwise than upstream's, and why."""


NO_SCOPES = {
    "block-storage": "Cinder's rules take any token: a domain's administrator would be one of all volumes there",
}
"""Services whose own rules do not tell kinds of tokens apart, where ours take those of projects alone, and why."""


def facts(service: str) -> dict[str, tuple[frozenset[str], str]]:
    """Rule name -> kinds of token, check."""
    found = {}
    for line in (FACTS / f"{service}.txt").read_text(encoding="utf-8").splitlines():
        name, scopes, check = line.split("|", 2)
        kinds = ANY_SCOPE if scopes.strip() == "any" else scopes.strip().split(",")
        found[name.strip()] = (frozenset(kinds), check.strip())
    return found


Decision = Callable[[Holds], bool]


class Reading:
    """A check taken apart: its atoms, and what it decides of them."""

    def __init__(self, text: str, rules: Mapping[str, str]) -> None:
        self.atoms: set[str] = set()
        self._rules = rules
        self.decide = self._read(_parser.parse_rule(text))

    def _read(self, check: object) -> Decision:
        if isinstance(check, _checks.TrueCheck):
            return lambda _: True
        if isinstance(check, _checks.FalseCheck):
            return lambda _: False
        if isinstance(check, _checks.NotCheck):
            inner = self._read(check.rule)
            return lambda holds: not inner(holds)
        if isinstance(check, _checks.AndCheck | _checks.OrCheck):
            parts = [self._read(part) for part in check.rules]
            together = all if isinstance(check, _checks.AndCheck) else any
            return partial(_joined, together, parts)
        assert isinstance(check, _checks.Check)
        if isinstance(check, _checks.RuleCheck):
            return self._read(_parser.parse_rule(self._rules[check.match]))
        atom = SAME.get(str(check), str(check))
        self.atoms.add(atom)
        return lambda holds: holds[atom]


def _joined(together: Callable[[Iterator[bool]], bool], parts: list[Decision], holds: Holds) -> bool:
    return together(part(holds) for part in parts)


def difference(ours: Reading, theirs: Reading) -> str | None:
    """A case that the two decide differently, in words; None when there is none."""
    atoms = sorted(ours.atoms | theirs.atoms)
    for values in _cases(len(atoms)):
        holds = dict(zip(atoms, values, strict=True))
        if not _possible(holds):
            continue
        if ours.decide(holds) != theirs.decide(holds):
            true = ", ".join(atom for atom in atoms if holds[atom]) or "nothing"
            return f"we {'allow' if ours.decide(holds) else 'refuse'} where this holds: {true}"
    return None


def _cases(count: int) -> Iterator[tuple[bool, ...]]:
    if count <= 14:
        yield from product((False, True), repeat=count)
        return
    draw = random.Random(count)
    for _ in range(30_000):
        yield tuple(draw.random() < 0.5 for _ in range(count))


def _possible(holds: Holds) -> bool:
    """Whether a caller may be like this: one scope, and roles with those that they imply."""
    of_domain = any(true for atom, true in holds.items() if re.match(r"domain_id:", atom))
    of_project = any(true for atom, true in holds.items() if re.match(r"(project_id|project_domain_id):", atom))
    if any(holds.get(atom) for atom in NEVER):
        return False
    if sum((of_domain, of_project, holds.get("system_scope:all", False))) > 1:
        return False
    order = [holds.get(f"role:{role}") for role in ("admin", "manager", "member", "reader")]
    known = [value for value in order if value is not None]
    return known == sorted(known)


def compared(service: Service) -> dict[str, str]:
    """Rule -> how it differs from upstream's of the same name."""
    theirs = facts(service.type)
    checks = {name: check for name, (_, check) in theirs.items()}
    ours: dict[str, Rule] = {rule.name: rule for rule in service.policies}
    mine = {name: str(rule.check) for name, rule in ours.items()}
    found = {}
    for name, rule in ours.items():
        if name not in theirs:
            found[name] = "upstream has no such rule"
            continue
        kinds, check = theirs[name]
        scopes = frozenset(rule.scope_types or ANY_SCOPE)
        if scopes != (frozenset({"project"}) if service.type in NO_SCOPES else kinds):
            found[name] = f"we accept tokens of {', '.join(sorted(scopes))}; upstream of {', '.join(sorted(kinds))}"
        if text := difference(Reading(str(rule.check), mine), Reading(check, checks)):
            found[name] = f"{found[name]}; {text}" if name in found else text
    return found


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.type)
def test_defaults_are_upstream_s(service: Service) -> None:
    found = compared(service)
    assert {name: text for name, text in found.items() if name not in DIFFERENT} == {}


def test_what_differs_on_purpose_does_differ() -> None:
    found = {name for service in SERVICES for name in compared(service)}
    assert set(DIFFERENT) - found == set()
