"""Files, functions and parameter lists stay small: what passes a limit is split before it is merged."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

from tests.architecture.sources import Function, at, functions, modules

FILE_LINES = 400
FUNCTION_LINES = 60
FUNCTION_BUDGET = 40
POSITIONAL_PARAMETERS = 6


def _length(function: Function) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def _positional(function: Function, *, method: bool) -> int:
    return len(function.args.posonlyargs) + len(function.args.args) - method


def too_large(path: Path, tree: ast.Module, lines: int) -> list[str]:
    """What in a file passes a limit."""
    found = [f"{at(path)}: {lines} lines, at most {FILE_LINES}"] if lines > FILE_LINES else []
    for name, function, method in functions(tree):
        if (length := _length(function)) > FUNCTION_LINES:
            found.append(f"{at(path, function)}: {name} has {length} lines, at most {FUNCTION_LINES}")
        if (count := _positional(function, method=method)) > POSITIONAL_PARAMETERS:
            found.append(f"{at(path, function)}: {name} has {count} positional parameters, at most 6")
    return found


def test_nothing_passes_a_limit() -> None:
    found = [
        problem
        for path, tree in modules("src")
        if path.parent.name != "versions"  # migrations are generated, and read once
        for problem in too_large(path, tree, len(path.read_text(encoding="utf-8").splitlines()))
    ]
    assert not found, "\n".join(found)


def test_functions_over_the_budget_are_reported() -> None:
    over = [
        f"{at(path, function)}: {name} has {_length(function)} lines"
        for path, tree in modules("src")
        for name, function, _ in functions(tree)
        if _length(function) > FUNCTION_BUDGET
    ]
    if over:
        warnings.warn(f"over the budget of {FUNCTION_BUDGET} lines:\n" + "\n".join(over), stacklevel=1)


def test_the_rule_finds_what_it_should() -> None:
    body = "\n".join("    x = 1" for _ in range(FUNCTION_LINES))
    long = f"class A:\n  def f(self, a, b, c, d, e, f, g, *, h):\n{body}\n  def g(self, a, b, c, d, e, f): pass\n"
    found = too_large(Path("x.py"), ast.parse(long), FILE_LINES + 1)
    assert [problem.split(": ", 1)[1] for problem in found] == [
        "401 lines, at most 400",
        "A.f has 61 lines, at most 60",
        "A.f has 7 positional parameters, at most 6",
    ]
