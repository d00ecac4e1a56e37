"""The project's files, as the rules of this folder look at them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "tests", "docs", "bench", "scripts", ".ci")
TOP_FILES = ("README.md", "Makefile", "pyproject.toml", "packages.txt")
TEXTS = {".py", ".md", ".sh", ".toml", ".txt", ".yaml", ".yml", ".json", ".html", ".ini", ".cfg", ".mako", ""}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files(*folders: str) -> Iterator[Path]:
    """Every file below the folders, caches and hidden ones left out."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            inside = path.relative_to(ROOT / folder).parts
            if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in inside):
                yield path


def modules(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """Every Python file below the folders, parsed."""
    for path in files(*folders):
        if path.suffix == ".py":
            yield path, ast.parse(path.read_text(encoding="utf-8"), str(path))


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file that we wrote."""
    for path in [*files(*FOLDERS), *(ROOT / name for name in TOP_FILES if (ROOT / name).exists())]:
        if path.suffix in TEXTS:
            yield path, path.read_text(encoding="utf-8")


def functions(tree: ast.Module) -> Iterator[tuple[str, Function, bool]]:
    """Every function with its qualified name, and whether it is a method (its first parameter needs no type)."""
    yield from _functions(tree, "", in_class=False)


def _functions(node: ast.AST, prefix: str, *, in_class: bool) -> Iterator[tuple[str, Function, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            static = any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in child.decorator_list)
            yield prefix + child.name, child, in_class and not static
            yield from _functions(child, f"{prefix}{child.name}.", in_class=False)
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.", in_class=True)
        else:
            yield from _functions(child, prefix, in_class=in_class)


def at(path: Path, node: ast.expr | ast.stmt | None = None) -> str:
    """`path:line`, as editors follow it."""
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return f"{name}:{node.lineno}" if node is not None else str(name)
