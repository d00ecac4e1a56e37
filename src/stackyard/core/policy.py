"""Who may do what: a service's rules and the operator's policy.yaml, compiled once and asked at every request.

The rule language is in policy_language, the file is read in policy_file. Where oslo.policy closes silently (a rule it
cannot parse, one that refers to a rule nobody defined, a cycle) this raises PolicyError at construction: a typing error
must not decide who has access.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stackyard.core.policy_language import (
    CheckSource,
    Credentials,
    Predicate,
    RuleSyntaxError,
    Target,
    compile_check,
)

ANY_SCOPE = ("system", "domain", "project")


class PolicyError(ValueError):
    """A rule or a policy file that cannot be used; the text names the rule and, where there is one, the file.

    `rule` is the name of the rule that is to blame, if one is.
    """

    def __init__(self, text: str, rule: str | None = None) -> None:
        super().__init__(text)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Rule:
    """A service's own default for one rule.

    `scope_types` are the kinds of token the rule accepts at all, before its check is looked at, out of system, domain
    and project (an unscoped token counts as project, as in oslo.policy); an empty tuple accepts every kind.
    """

    name: str
    check: str
    description: str
    scope_types: tuple[str, ...] = ("project",)


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """One rule as it is in force, for `stackyard policy` and the documentation."""

    name: str
    check: CheckSource
    default: CheckSource | None
    description: str
    scope_types: tuple[str, ...]

    @property
    def overridden(self) -> bool:
        """Whether the operator's file decides and not the service's default."""
        return self.check != self.default


class PolicySet:
    """All rules of a cloud with the operator's overrides, ready to be asked.

    Without `enforce_scope` a rule's check alone decides, whatever kind of token it is asked for.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        overrides: Mapping[str, CheckSource] | None = None,
        *,
        enforce_scope: bool = True,
    ) -> None:
        declared: dict[str, Rule] = {}
        for rule in rules:
            if rule.name in declared and declared[rule.name] != rule:
                raise PolicyError(f"rule {rule.name!r} is declared twice, differently")
            if unknown := set(rule.scope_types) - set(ANY_SCOPE):
                raise PolicyError(f"rule {rule.name!r}: {sorted(unknown)} is none of {', '.join(ANY_SCOPE)}")
            declared[rule.name] = rule
        overrides = dict(overrides or {})
        sources: dict[str, CheckSource] = {name: rule.check for name, rule in declared.items()}
        compiler = _Compiler({**sources, **overrides})
        compiled = {name: compiler.rule(name) for name in compiler.sources}
        for name in overrides:
            # An operator may name helper rules of his own; one that nothing refers to is a misspelt rule name.
            if name not in declared and name not in compiler.referenced:
                raise PolicyError(f"no service declares the rule {name!r}{_near(name, declared)}", name)
        self._predicates = {
            name: _scoped(declared[name].scope_types, check) if name in declared and enforce_scope else check
            for name, check in compiled.items()
        }
        self._described = tuple(
            RuleInfo(
                name,
                compiler.sources[name],
                sources.get(name),
                declared[name].description if name in declared else "Named by the operator's policy file.",
                declared[name].scope_types if name in declared else (),
            )
            for name in sorted(compiled)
        )

    def allows(self, name: str, credentials: Credentials, target: Target) -> bool:
        """Whether these credentials may do `name` to this target; KeyError when no rule has this name."""
        return self._predicates[name](credentials, target)

    def names(self) -> tuple[str, ...]:
        """The rules' names, sorted."""
        return tuple(info.name for info in self._described)

    def describe(self) -> tuple[RuleInfo, ...]:
        """Every rule as it is in force, sorted by name."""
        return self._described


def _near(name: str, names: Iterable[str]) -> str:
    import difflib

    matches = difflib.get_close_matches(name, sorted(names), n=3, cutoff=0.5)
    return f"; did you mean {', '.join(map(repr, matches))}?" if matches else ""


class _Compiler:
    """Compiles the rules of one set, each once, following `rule:` references into the referred rule's predicate."""

    def __init__(self, sources: dict[str, CheckSource]) -> None:
        self.sources = sources
        self.referenced: set[str] = set()
        self._done: dict[str, Predicate] = {}
        self._texts: dict[str, Predicate] = {}  # hundreds of rules say one of a few dozen texts
        self._path: list[str] = []

    def rule(self, name: str) -> Predicate:
        if name in self._done:
            return self._done[name]
        if name in self._path:
            cycle = " -> ".join([*self._path[self._path.index(name) :], name])
            raise PolicyError(f"rule {name!r} refers to itself: {cycle}", name)
        self._path.append(name)
        source = self.sources[name]
        text = source if isinstance(source, str) else None
        try:
            predicate = self._texts.get(text) if text is not None else None
            predicate = predicate or compile_check(source, self._refer)
        except RuleSyntaxError as error:
            raise PolicyError(f"rule {name!r}: {error} in {source!r}", name) from None
        self._path.pop()
        self._done[name] = predicate
        if text is not None:
            self._texts[text] = predicate
        return predicate

    def _refer(self, name: str) -> Predicate:
        self.referenced.add(name)
        if name not in self.sources:
            near = _near(name, self.sources)
            raise PolicyError(f"rule {self._path[-1]!r} refers to {name!r}, no such rule{near}", self._path[-1])
        return self.rule(name)


def _scoped(scope_types: tuple[str, ...], check: Predicate) -> Predicate:
    if not scope_types or set(scope_types) == set(ANY_SCOPE):
        return check
    system, domain, project = (scope in scope_types for scope in ANY_SCOPE)

    def scoped(credentials: Credentials, target: Target) -> bool:
        if credentials.get("system_scope") or credentials.get("system"):
            return system and check(credentials, target)
        if credentials.get("domain_id"):
            return domain and check(credentials, target)
        return project and check(credentials, target)

    return scoped
