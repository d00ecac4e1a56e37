"""OpenStack's policy rule language: one rule's text compiled into a predicate over credentials and target.

The language and its meaning are oslo.policy's, so that an operator's policy.yaml keeps working:

    role:admin                       a role of the caller, whatever its case
    rule:owner                       another rule
    project_id:%(project_id)s        a credential equals a value of the target (compared as text)
    token.user.id:%(user_id)s        credentials nest by dots; a list matches when one of its items does
    'public':%(visibility)s          a literal equals a value of the target; True:%(shared)s likewise
    system_scope:all                 a credential equals a text
    @   !   and   or   not   ( )     always, never, and the usual words; `and` binds tighter than `or`

Targets are flat: `%(target.user.id)s` is the key "target.user.id". A key that is missing, in the credentials
or in the target, means no match.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence

Credentials = Mapping[str, object]
Target = Mapping[str, object]
Predicate = Callable[[Credentials, Target], bool]
CheckSource = str | Sequence[str | Sequence[str]]
"""A rule's text, or the legacy list: the outer list is joined by `or`, the inner lists by `and`."""

_TEMPLATE = re.compile(r"%\(([^()]*)\)s|%%")
_ONE_KEY = re.compile(r"%\(([^()]*)\)s\Z")
_LISTS = (list, tuple, set, frozenset)


class RuleSyntaxError(ValueError):
    """What is wrong with a rule's text; the caller knows which rule it is."""


def compile_check(source: CheckSource, refer: Callable[[str], Predicate]) -> Predicate:
    """Compile one rule; `refer` gives the predicate of another rule by its name. Raises RuleSyntaxError."""
    if not source:
        return always
    if isinstance(source, str):
        return _Parser(source, refer).expression()
    alternatives = [
        _all_of([_check(text, refer) for text in ([inner] if isinstance(inner, str) else inner)])
        for inner in source
        if inner
    ]
    return _any_of(alternatives) if alternatives else never


class _Parser:
    """Recursive descent over the words of one rule: alternatives of conjunctions of (negated) checks."""

    def __init__(self, text: str, refer: Callable[[str], Predicate]) -> None:
        self._words = _tokenize(text)
        self._next = 0
        self._refer = refer

    def expression(self) -> Predicate:
        predicate = self._alternatives()
        if self._next < len(self._words):
            raise RuleSyntaxError(f"{self._words[self._next]!r} stands where `and` or `or` should")
        return predicate

    def _alternatives(self) -> Predicate:
        found = [self._conjunction()]
        while self._accept("or"):
            found.append(self._conjunction())
        return _any_of(found)

    def _conjunction(self) -> Predicate:
        found = [self._negation()]
        while self._accept("and"):
            found.append(self._negation())
        return _all_of(found)

    def _negation(self) -> Predicate:
        if self._accept("not"):
            return _not(self._negation())
        if self._accept("("):
            inside = self._alternatives()
            if not self._accept(")"):
                raise RuleSyntaxError("a parenthesis is not closed")
            return inside
        if self._next == len(self._words):
            raise RuleSyntaxError("a check is missing at the end")
        word = self._words[self._next]
        if word == ")" or word.lower() in ("and", "or"):
            raise RuleSyntaxError(f"{word!r} stands where a check should")
        self._next += 1
        return _check(word, self._refer)

    def _accept(self, word: str) -> bool:
        if self._next < len(self._words) and self._words[self._next].lower() == word:
            self._next += 1
            return True
        return False


def _tokenize(text: str) -> list[str]:
    """Words, with the parentheses at their ends split off; those inside, as in %(key)s, belong to the word."""
    words: list[str] = []
    for word in text.split():
        bare = word.lstrip("(")
        words.extend("(" * (len(word) - len(bare)))
        stripped = bare.rstrip(")")
        if stripped:
            words.append(stripped)
        words.extend(")" * (len(bare) - len(stripped)))
    return words


def _check(text: str, refer: Callable[[str], Predicate]) -> Predicate:
    if text == "@":
        return always
    if text == "!":
        return never
    kind, colon, match = text.partition(":")
    if not colon or not kind:
        raise RuleSyntaxError(f"{text!r} is no check: one looks like `kind:value`")
    if kind in ("http", "https"):
        raise RuleSyntaxError(f"{text!r} would ask a web server for every request, which is not supported: remove it")
    if kind == "rule":
        return refer(match)
    if kind == "role":
        return _role(_value(match))
    literal = _literal(kind)
    if literal is not None:
        return _literal_equals(literal, _value(match))
    return _credential_equals(kind, match)


def _literal(kind: str) -> str | None:
    """The text of a Python literal ('Member', True, None, 12), or None when `kind` is the name of a credential."""
    try:
        return str(ast.literal_eval(kind))
    except ValueError:
        return None
    except (SyntaxError, TypeError, MemoryError, RecursionError):
        raise RuleSyntaxError(f"{kind!r} is neither a credential's name nor a literal") from None


Value = str | Callable[[Target], str]
"""What is on the right of the colon: a fixed text, or a function of the target that raises KeyError."""


def _value(match: str) -> Value:
    if one := _ONE_KEY.match(match):
        key = one[1]
        return lambda target: str(target[key])
    if "%" in _TEMPLATE.sub("", match):
        raise RuleSyntaxError(f"{match!r} may hold %(key)s and %%, no other use of %")
    if "%(" not in match:
        return match.replace("%%", "%")
    return lambda target: match % target


def always(_credentials: Credentials, _target: Target) -> bool:
    return True


def never(_credentials: Credentials, _target: Target) -> bool:
    return False


def _not(inner: Predicate) -> Predicate:
    return lambda credentials, target: not inner(credentials, target)


def _any_of(found: list[Predicate]) -> Predicate:
    if len(found) == 1:
        return found[0]
    if len(found) == 2:
        first, second = found
        return lambda credentials, target: first(credentials, target) or second(credentials, target)

    def any_of(credentials: Credentials, target: Target) -> bool:
        for predicate in found:  # noqa: SIM110 (a generator costs more than the checks)
            if predicate(credentials, target):
                return True
        return False

    return any_of


def _all_of(found: list[Predicate]) -> Predicate:
    if len(found) == 1:
        return found[0]
    if len(found) == 2:
        first, second = found
        return lambda credentials, target: first(credentials, target) and second(credentials, target)

    def all_of(credentials: Credentials, target: Target) -> bool:
        for predicate in found:  # noqa: SIM110 (a generator costs more than the checks)
            if not predicate(credentials, target):
                return False
        return True

    return all_of


def _role(value: Value) -> Predicate:
    if isinstance(value, str):
        lowered = value.lower()
        return lambda credentials, _target: _holds(credentials.get("roles"), lowered)
    of_target = value

    def has_role(credentials: Credentials, target: Target) -> bool:
        try:
            wanted = of_target(target).lower()
        except KeyError:
            return False
        return _holds(credentials.get("roles"), wanted)

    return has_role


def _holds(roles: object, wanted: str) -> bool:
    if not isinstance(roles, _LISTS):
        return False
    if wanted in roles:
        return True
    for role in roles:  # noqa: SIM110 (a generator costs more than the comparison)
        if str(role).lower() == wanted:
            return True
    return False


def _literal_equals(literal: str, value: Value) -> Predicate:
    if isinstance(value, str):
        return always if literal == value else never
    of_target = value

    def literal_equals(_credentials: Credentials, target: Target) -> bool:
        try:
            return of_target(target) == literal
        except KeyError:
            return False

    return literal_equals


def _credential_equals(kind: str, match: str) -> Predicate:
    value = _value(match)
    first, *rest = kind.split(".")
    path = tuple(rest)
    # oslo.policy knows the system scope under both names and lets the newer one win.
    alias = "system_scope" if first == "system" else None

    def credential_equals(credentials: Credentials, target: Target) -> bool:
        try:
            wanted = value(target) if callable(value) else value
            have = (alias and credentials.get(alias)) or credentials[first]
        except KeyError:
            return False
        if type(have) is str and not path:
            return have == wanted
        return _found(have, path, wanted)

    return credential_equals


def _found(have: object, path: tuple[str, ...], wanted: str) -> bool:
    if isinstance(have, _LISTS):
        return any(_found(item, path, wanted) for item in have)
    if not path:
        return str(have) == wanted
    if not isinstance(have, Mapping) or path[0] not in have:
        return False
    return _found(have[path[0]], path[1:], wanted)
