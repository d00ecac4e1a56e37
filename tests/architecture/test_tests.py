"""Tests wait for a condition and never for a while; and they do not skip: a test that cannot run has failed."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.sources import at, modules

SKIPS = {"pytest.skip", "pytest.importorskip", "pytest.xfail"} | {
    f"pytest.mark.{mark}" for mark in ("skip", "skipif", "xfail")
}
HIDDEN = {("time", "sleep"), ("pytest", "skip"), ("pytest", "importorskip")}


def evasions(path: Path, tree: ast.Module) -> list[str]:
    """Where a file skips, or sleeps other than between two looks at a condition (in a `while`)."""
    found = []
    polls = {id(inside) for loop in ast.walk(tree) if isinstance(loop, ast.While) for inside in ast.walk(loop)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name in SKIPS or (name == "time.sleep" and id(node) not in polls):
                found.append(f"{at(path, node)}: {name}")
        elif isinstance(node, ast.ImportFrom):
            found += [f"{at(path, node)}: {a.name}" for a in node.names if (node.module, a.name) in HIDDEN]
    return found


def test_no_test_sleeps_or_skips() -> None:
    found = [problem for path, tree in modules("tests") for problem in evasions(path, tree)]
    assert not found, "\n".join(found)


def test_every_test_file_has_tests() -> None:
    found = [
        at(path)
        for path, tree in modules("tests")
        if path.name.startswith("test_")
        and not any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
            for node in ast.walk(tree)
        )
    ]
    assert not found, "no tests in:\n" + "\n".join(found)


def test_the_rule_finds_what_it_should() -> None:
    source = (
        "import time, pytest\nfrom time import sleep\n@pytest.mark.skipif(True)\n"
        "def f():\n  while not ready(): time.sleep(0.01)\n  time.sleep(1); pytest.skip()\n"
    )
    assert sorted(evasions(Path("x.py"), ast.parse(source))) == [
        "x.py:2: sleep",
        "x.py:3: pytest.mark.skipif",
        "x.py:6: pytest.skip",
        "x.py:6: time.sleep",
    ]
