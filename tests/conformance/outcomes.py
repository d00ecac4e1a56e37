"""What became of each listed test: the suites' results set against what was asked for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from tests.conformance.selection import normalised

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
NOT_RUN = "did not run"
_CLASS_LEVEL = re.compile(r"^(setUpClass|tearDownClass|unittest\.loader\._FailedTest\.\S*)(?: \((?P<owner>[\w.]+)\))?")
_REASON_LIMIT = 240


@dataclasses.dataclass(frozen=True)
class Result:
    """One test as the suite reported it: `status` is subunit's word, `reason` a traceback or the reason of a skip."""

    id: str
    status: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one listed test."""

    id: str
    status: str
    reason: str = ""


def outcomes(listed: Sequence[str], results: Iterable[Result]) -> list[Outcome]:
    """One outcome for every listed id, in their order.

    An id that was reported more than once (parameters within the brackets) is as good as its worst report. One that was
    not reported takes what its class reported from setUpClass: its skip, or its failure. Without that too it failed.
    """
    reported: dict[str, Result] = {}
    classes: dict[str, Result] = {}
    for result in results:
        if result.status == "exists":  # only says that the test is about to be run
            continue
        level = _CLASS_LEVEL.match(result.id)
        if level:
            if level["owner"] and level[1] == "setUpClass":
                classes[level["owner"]] = result
            continue
        name = normalised(result.id)
        if name not in reported or _rank(result) > _rank(reported[name]):
            reported[name] = result
    return [_outcome(name, reported.get(name) or classes.get(name.rpartition(".")[0])) for name in listed]


def first_line(reason: str) -> str:
    """The line that says why: the exception of a traceback with its details, or the first line of anything else."""
    lines = [line.rstrip() for line in reason.splitlines() if line.strip()]
    if not lines:
        return "no reason given"
    if any(line.startswith(("Traceback", '  File "')) for line in lines):
        framed = [number for number, line in enumerate(lines) if line.startswith(("  ", "Traceback"))]
        after = lines[framed[-1] + 1 :]
        lines = [" ".join(after[:2])] if after else lines[-1:]
    return lines[0].strip()[:_REASON_LIMIT]


def failures_table(found: Iterable[Outcome]) -> str:
    """The failed tests with their reasons, those of the same reason together, the most frequent reason first."""
    by_reason: dict[str, list[str]] = {}
    for outcome in found:
        if outcome.status == FAILED:
            by_reason.setdefault(outcome.reason, []).append(outcome.id)
    lines = []
    for reason, identifiers in sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0])):
        lines.append(f"{len(identifiers):5} x {reason}")
        lines += [f"          {identifier}" for identifier in identifiers]
    return "\n".join(lines)


def summary(found: Sequence[Outcome]) -> str:
    """The run's last line."""
    counts = {status: sum(outcome.status == status for outcome in found) for status in (PASSED, FAILED, SKIPPED)}
    return f"{counts[PASSED]} passed, {counts[FAILED]} failed, {counts[SKIPPED]} skipped"


def _rank(result: Result) -> int:
    return {PASSED: 0, SKIPPED: 1}.get(_status(result), 2)


def _status(result: Result) -> str:
    # An expected failure is the suite's own statement that something does not work; that is no pass.
    return {"success": PASSED, "skip": SKIPPED}.get(result.status, FAILED)


def _outcome(name: str, result: Result | None) -> Outcome:
    if result is None:
        return Outcome(name, FAILED, NOT_RUN)
    status = _status(result)
    if result.status == "success" and normalised(result.id) != name:
        return Outcome(name, FAILED, NOT_RUN)  # its class was set up, but the test itself never reported
    if result.status == "inprogress":
        return Outcome(name, FAILED, "began and never ended")
    return Outcome(name, status, "" if status == PASSED else first_line(result.reason))
