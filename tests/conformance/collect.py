"""Turns a subunit stream on standard input into one JSON object a line. Run by the suites' own Python."""

from __future__ import annotations

import json
import sys
from typing import Any

import subunit  # type: ignore[import-not-found]  # in the suites' environment only
import testtools  # type: ignore[import-not-found]


def report(test: dict[str, Any]) -> None:
    """Prints one ended test."""
    details = test["details"]
    wanted = [name for name in details if name.startswith(("traceback", "reason"))]
    reason = "\n".join(details[name].as_text() for name in sorted(wanted))
    line = {"id": test["id"], "status": test["status"], "reason": reason[-6000:]}
    print(json.dumps(line), flush=True)


def main() -> None:
    """Reads until the stream ends; a stream that is cut off leaves its tests in progress."""
    results = testtools.StreamToDict(report)
    results.startTestRun()
    try:
        subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="stdout").run(results)
    finally:
        results.stopTestRun()


main()
