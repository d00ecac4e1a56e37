"""Every function says what it takes and gives (the type checker says whether that is true), every module what it is."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.sources import at, functions, modules


def untyped(path: Path, tree: ast.Module) -> list[str]:
    """The functions of a file with a parameter or a result that has no type."""
    found = []
    for name, function, method in functions(tree):
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args][method:]
        extra = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
        bare = [a.arg for a in [*positional, *arguments.kwonlyargs, *extra] if a.annotation is None]
        bare += ["return"] if function.returns is None else []
        if bare:
            found.append(f"{at(path, function)}: {name} has no type for {', '.join(bare)}")
    return found


def test_every_function_is_typed() -> None:
    found = [problem for path, tree in modules("src", "tests", "bench") for problem in untyped(path, tree)]
    assert not found, "\n".join(found)


def test_every_module_has_a_docstring() -> None:
    found = [at(path) for path, tree in modules("src", "tests", "bench") if not ast.get_docstring(tree)]
    assert not found, "no docstring:\n" + "\n".join(found)


def test_the_rule_finds_what_it_should() -> None:
    source = (
        "def a(x: int) -> int: ...\n"
        "def b(x, *y, z: int, **k): ...\n"
        "class C:\n"
        "  def m(self) -> None:\n"
        "    def inner(q) -> None: ...\n"
        "  @staticmethod\n"
        "  def s(p) -> None: ...\n"
    )
    assert untyped(Path("x.py"), ast.parse(source)) == [
        "x.py:2: b has no type for x, y, k, return",
        "x.py:5: C.m.inner has no type for q",
        "x.py:7: C.s has no type for p",
    ]
