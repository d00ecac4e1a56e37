"""The table: what a row is, when its target counts as met, and how results are shown and stored."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Goal:
    """The figure to reach, for the `ratio` (ours over the reference) or for `ours` alone, in the row's unit."""

    of: str
    comparison: str
    limit: float

    def text(self, unit: str) -> str:
        """As shown in the table: `<= 1.0 s` or `>= 10 x`."""
        return f"{self.comparison} {self.limit:g} {unit if self.of == 'ours' else 'x'}"

    def met(self, ours: float, ratio: float) -> bool:
        """True when the figure is on the right side of the limit."""
        value = ours if self.of == "ours" else ratio
        return {"<=": value <= self.limit, "<": value < self.limit, ">=": value >= self.limit}[self.comparison]


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table. A side that could not be measured is None, and then the note says why.

    `disqualified` means that the target is missed whatever the figure, for a reason that the note gives.
    """

    name: str
    unit: str
    goal: Goal
    ours: float | None = None
    reference: float | None = None
    note: str = ""
    disqualified: bool = False

    @property
    def ratio(self) -> float | None:
        """Ours over the reference: below 1 is better for times and memory, above 1 for requests a second."""
        if self.ours is None or not self.reference:
            return None
        return self.ours / self.reference

    @property
    def met(self) -> bool:
        """Never without both sides measured, nor when a condition beside the figure does not hold."""
        if self.ours is None or self.ratio is None or self.disqualified:
            return False
        return self.goal.met(self.ours, self.ratio)

    def record(self) -> dict[str, Any]:
        """The row as it is stored."""
        return {
            "name": self.name,
            "ours": _rounded(self.ours),
            "reference": _rounded(self.reference),
            "unit": self.unit,
            "ratio": _rounded(self.ratio),
            "target": self.goal.text(self.unit),
            "met": self.met,
            "note": self.note,
        }


def table(rows: Sequence[Row]) -> str:
    """All rows as aligned text, notes below the row they belong to."""
    header = ("what", "ours", "reference", "unit", "ratio", "target", "met")
    lines = [header, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    shown = [_aligned(header, widths), "  ".join("-" * width for width in widths)]
    for row in rows:
        shown.append(_aligned(_cells(row), widths))
        if row.note:
            shown.append(f"    {row.note}")
    shown.append(f"{sum(row.met for row in rows)} of {len(rows)} targets met")
    return "\n".join(shown)


def store(path: Path, rows: Sequence[Row], *, machine: dict[str, Any], versions: dict[str, str]) -> None:
    """Writes the results as JSON, replacing the file."""
    results = {"machine": machine, "versions": versions, "rows": [row.record() for row in rows]}
    path.write_text(json.dumps(results, indent=2) + "\n")


def merge(path: Path, rows: Sequence[Row], *, machine: dict[str, Any], versions: dict[str, str]) -> None:
    """Puts rows of a partial run in place of those of their names, each with when and of what it was measured."""
    results = json.loads(path.read_text())
    measured = {"time": machine["time"], "commit": versions["commit"]}
    fresh = {row.name: row.record() | {"measured": measured} for row in rows}
    kept = [fresh.pop(record["name"], record) for record in results["rows"]]
    results["rows"] = [*kept, *fresh.values()]
    path.write_text(json.dumps(results, indent=2) + "\n")


def _cells(row: Row) -> tuple[str, ...]:
    met = "yes" if row.met else "no"
    figures = (_shown(row.ours), _shown(row.reference), row.unit, _shown(row.ratio))
    return (row.name, *figures, row.goal.text(row.unit), met)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    numeric = {1, 2, 4}
    parts = [
        cell.rjust(width) if column in numeric else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()


def _rounded(value: float | None) -> float | None:
    """Four significant digits: the measurements hold no more."""
    return None if value is None else float(f"{value:.4g}")


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
