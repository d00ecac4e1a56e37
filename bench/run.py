"""Runs the benchmark, prints its table and writes results.json beside this file.

Both sides of a row are measured in the same run, on this machine, in turns. Everything runs in a network namespace of
its own: Docker's bridge and firewall rules, our networks and every port end with the run and meet nobody else's.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import (
    booted,
    containers,
    creates,
    many_ports,
    reads,
    scheduling,
    servers,
    sign_ins,
    startup,
    throughput,
    transfers,
    wires,
)
from bench.context import Context
from bench.rows import Goal, Row, merge, store, table

RESULTS = Path(__file__).with_name("results.json")
INSIDE = "STACKYARD_BENCH_NAMESPACE"
Measure = Callable[[Context], Iterator[Row]]


def groups() -> list[tuple[list[tuple[str, str, Goal]], Measure]]:
    """Every measurement, in the order of running, with the names, units and goals of its rows."""
    seconds, memory, latency = Goal("ours", "<=", 2.5), Goal("ours", "<", 150), creates.GOAL
    listed: list[tuple[list[tuple[str, str, Goal]], Measure]] = [
        ([(startup.FIRST_START, "s", seconds)], startup.first_start),
        ([(startup.START, "s", Goal("ours", "<=", 1.0))], startup.start),
        ([(startup.MEMORY, "MiB", memory)], startup.memory),
    ]
    for read in reads.READS:
        rows = [(name, "req/s", reads.GOAL) for name in reads.names(read)]
        listed.append((rows, lambda context, read=read: reads.measure(context, read)))  # type: ignore[misc]
    rows = [(name, "MiB/s", transfers.GOAL) for name in (transfers.UPLOAD, transfers.DOWNLOAD)]
    listed.append((rows, transfers.transfers))
    listed.append(([(name, "req/s", sign_ins.GOAL) for name in sign_ins.NAMES], sign_ins.rates))
    listed.append(([(sign_ins.FLOODED, "ms", sign_ins.FLOODED_GOAL)], sign_ins.flooded))
    listed.append(([(creates.NETWORK, "ms", latency)], creates.network))
    listed.append(([(creates.PORT, "ms", latency)], creates.port))
    listed.append(([(many_ports.BULK, "s", many_ports.GOAL)], many_ports.bulk))
    decided = [(scheduling.DECISION, "ms", scheduling.DECISION_GOAL), (scheduling.RATE, "1/s", scheduling.RATE_GOAL)]
    listed.append((decided, scheduling.decisions))
    listed.append(([(containers.ONE, "ms", containers.GOAL)], containers.one))
    listed.append(([(containers.MANY, "s", containers.GOAL)], containers.many))
    listed.append(([(name, "req/s", servers.READ_GOAL) for name in servers.names()], servers.reads))
    made = [(servers.ONE, "ms", servers.ONE_GOAL), (servers.MANY, "ms", servers.MANY_GOAL)]
    listed.append((made, servers.creates))
    listed.append(([(booted.DOCKER, "ms", booted.DOCKER_GOAL)], booted.docker_server))
    listed.append(([(booted.SYSTEM, "ms", booted.BARE_GOAL)], booted.system_container))
    listed.append(([(booted.MACHINE, "ms", booted.BARE_GOAL)], booted.machine))
    listed.append(([(wires.WIRE, "ms", wires.WIRE_GOAL)], wires.one_port))
    listed.append(([(wires.RULE, "ms", wires.RULE_GOAL)], wires.one_rule))
    listed.append(([(throughput.ONE_HOST, "Gbit/s", throughput.GOAL)], throughput.one_host))
    listed.append(([(throughput.ACROSS, "Gbit/s", throughput.GOAL)], throughput.across))
    return listed


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Exits 0 when every chosen row was measured, met or not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only rows with one of these words in their name (default: $BENCH)")
    parser.add_argument("--quick", action="store_true", help="few and short rounds, to see that it runs")
    parser.add_argument("--list", action="store_true", help="print the rows' names")
    parser.add_argument("--output", type=Path, help="results file (default: results.json, for a whole run only)")
    parser.add_argument("--merge", action="store_true", help="put a partial run's rows into results.json, dated")
    options = parser.parse_args(arguments)
    words = [word.lower() for word in options.words or os.environ.get("BENCH", "").split()]
    if options.list:
        print("\n".join(name for rows, _ in groups() for name, *_rest in rows))
        return 0
    if INSIDE not in os.environ:
        enter_namespace()
    rows, versions = measure(words, quick=options.quick)
    print(table(rows))
    # A partial or hurried run must not replace the committed figures.
    output = options.output or (None if words or options.quick else RESULTS)
    if output:
        store(output, rows, machine=machine(), versions=versions)
        progress(f"written: {output}")
    elif options.merge and not options.quick:
        merge(RESULTS, rows, machine=machine(), versions=versions)
        progress(f"merged into {RESULTS}")
    return 0 if all(row.ratio is not None for row in rows) else 1


def measure(words: Sequence[str], *, quick: bool) -> tuple[list[Row], dict[str, str]]:
    """Runs the chosen measurements; one that fails leaves rows that say why, and the rest go on."""
    rows: list[Row] = []
    with Context(quick=quick, report=progress) as context:
        for planned, function in groups():
            if not _chosen(planned, words):
                continue
            progress(f"measuring: {planned[0][0]}")
            rows += _measured(context, planned, function)
            for row in rows[-len(planned) :]:
                ratio = "not measured" if row.ratio is None else f"{row.ratio:.3g} x"
                progress(f"  {row.name}: {ratio}")
        versions = _versions(context)
    return rows, versions


def _chosen(planned: list[tuple[str, str, Goal]], words: Sequence[str]) -> bool:
    return not words or any(word in name.lower() for name, *_ in planned for word in words)


def _measured(context: Context, planned: list[tuple[str, str, Goal]], function: Measure) -> list[Row]:
    rows: list[Row] = []
    try:
        rows.extend(function(context))
    except Exception as error:  # noqa: BLE001 - whatever went wrong on either side belongs into the row
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        rows += [Row(name, unit, goal, note=reason) for name, unit, goal in planned[len(rows) :]]
    return rows


def enter_namespace() -> None:
    """Starts this program anew in a network namespace of its own, with its loopback up. Needs root."""
    inside = ["ip", "link", "set", "lo", "up"]
    here = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:]]
    script = f'{" ".join(inside)} && exec "$@"'
    environment = {**os.environ, INSIDE: "1"}
    os.execvpe("unshare", ["unshare", "--net", "--", "sh", "-c", script, "bench", *here], environment)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    kernel = platform.release()
    return {"cpu": model, "cores": os.cpu_count(), "memory_mib": memory, "kernel": kernel, "time": _now()}


def _versions(context: Context) -> dict[str, str]:
    found = {"stackyard": metadata.version("stackyard"), "python": platform.python_version()}
    commit = subprocess.run(
        ["git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    found["commit"] = commit.stdout.strip()
    found |= context.versions()
    return found


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def progress(text: str) -> None:
    """What happens now, on standard error, so that the table stands alone on standard output."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
