"""Lets the public OpenStack suites judge a Stackyard cloud. The last line printed is `N passed, N failed, N skipped`.

The suites are installed into an environment of their own. Without --cloud-state clouds are started for the run, in a
network namespace of its own when run as root, and removed after it. A listed test that did not run counts as failed.
Exits 0 when the run came to its end, and with --passing only when every test passed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.conformance import image_files, judges, reached, selection, stand_in, volumes  # noqa: E402 - found above
from tests.conformance.cloud import IMAGES, Access, Cloud, CloudError, facts  # noqa: E402
from tests.conformance.engine_proxy import EngineProxy  # noqa: E402
from tests.conformance.outcomes import FAILED, PASSED, Outcome, Result, failures_table, outcomes, summary  # noqa: E402
from tests.conformance.several_hosts import SeveralHosts  # noqa: E402
from tests.conformance.tempest_conf import RUNS, RUNS_REACHED, Chosen, tempest_conf, unrunnable  # noqa: E402

HERE = Path(__file__).resolve().parent
LISTS = HERE / "lists"
PASSING = HERE / "passing.txt"
PASSING_REACHED = HERE / "passing_reached.txt"
COLLECT = HERE / "collect.py"
INSIDE = "STACKYARD_CONFORMANCE_NAMESPACE"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    options = _options(arguments)
    listed = _listed(options)
    if options.list_selected:
        print("\n".join(listed))
        return 0
    if not listed:
        print(summary([]))
        return 0
    environment = judges.ensure()
    if options.cloud_state is None and os.geteuid() == 0 and INSIDE not in os.environ:
        _enter_namespace()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cloud is removed then too
    guests, ends = reached.identifiers(), time.monotonic() + options.deadline
    found: dict[str, Outcome] = {}
    for kind, runs in ((Cloud, RUNS), (SeveralHosts, RUNS_REACHED)):
        part = [name for name in listed if (name in guests) == runs[0].guests]
        if not part:
            continue
        try:
            with kind(options.cloud_state) as cloud, tempfile.TemporaryDirectory(prefix="tempest-") as workspace:
                judged = _judge(cloud, part, environment, options, _Plan(Path(workspace), runs, ends))
        except CloudError as error:
            _say(f"no verdict: {error}")
            judged = outcomes(part, [])
        found |= {outcome.id: outcome for outcome in judged}
    return _verdict([found[name] for name in listed], options)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lists", nargs="*", type=Path, help="files of ids (default: $LIST, else every file in lists/)")
    parser.add_argument("--passing", action="store_true", help="fail when one does not pass (list: passing.txt)")
    parser.add_argument(
        "--update", action="store_true", help="add what passes now to passing.txt or passing_reached.txt"
    )
    parser.add_argument("--match", default="", help="only ids in which this regular expression is found")
    parser.add_argument("--cloud-state", type=Path, help="judge the running cloud with this state directory")
    parser.add_argument("--concurrency", type=int, help="test processes (default: 4, 12 for Zun, 2 where guests are)")
    parser.add_argument("--timeout", type=int, help="seconds for one test (default: 180, or 900 where guests are)")
    parser.add_argument("--deadline", type=int, help="seconds for the whole run (default: 9000; --passing: 1500)")
    parser.add_argument("--no-bake", action="store_true", help="do not build the container images first")
    parser.add_argument("--list-selected", action="store_true", help="print the ids that would run, and end")
    parser.add_argument("--logs", type=Path, help="keep Tempest's log and the cloud's in this directory")
    parser.add_argument("--save", type=Path, help="write every outcome to this file, as JSON lines")
    options = parser.parse_args(arguments)
    options.deadline = options.deadline or (1500 if options.passing else 9000)
    return options


def _listed(options: argparse.Namespace) -> list[str]:
    if options.lists:
        lists = options.lists
    elif options.passing:
        lists = [PASSING]
    else:
        lists = [Path(name) for name in os.environ.get("LIST", "").split()] or sorted(LISTS.glob("*.txt"))
    # A list may be named as a person would: from here, or by its name among ours.
    lists = [next((at for at in (path, HERE / path.name) if at.exists()), LISTS / path.name) for path in lists]
    wanted = re.compile(options.match)
    return [identifier for identifier in selection.merged(lists) if wanted.search(identifier)]


class _Plan(NamedTuple):
    """Where the suites work, how often they run and with what, and by when all of it is to be over."""

    workspace: Path
    runs: Sequence[Chosen]
    ends: float


def _judge(
    cloud: Cloud, listed: list[str], environment: Path, options: argparse.Namespace, plan: _Plan
) -> list[Outcome]:
    access = Access.read(cloud.state_dir)
    known = facts(access)
    volumes.register_types(access)
    _say(f"the cloud serves: {', '.join(sorted(known.service_types))}")
    with contextlib.ExitStack() as stack:
        if "container" in known.service_types and not plan.runs[0].guests:
            if not options.no_bake:
                _say("building the container images")
                cloud.bake(_outside(), *IMAGES)
                stand_in.load(cloud.engine_socket())
            if INSIDE in os.environ:
                stack.enter_context(EngineProxy(cloud.engine_socket()))
        engine = f"unix://{cloud.engine_socket()}"
        found = {name: Outcome(name, FAILED, reason) for name, reason in unrunnable(known, listed).items()}
        served = stack.enter_context(image_files.serve(plan.workspace / "images"))
        for number, chosen in enumerate(plan.runs):
            todo = _due(chosen, listed, found)
            if not todo or (not chosen.secure_hash and not cloud.owned):
                continue
            if not chosen.secure_hash:
                cloud.restart(secure_hash=False)
            directory = plan.workspace / str(number)
            directory.mkdir()
            guests = None
            if chosen.guests:
                _say("building the guest")
                guests = reached.prepare(cloud, access, directory, _outside())
            configuration = tempest_conf(access, known, directory, engine, served, chosen, guests)
            _prepare(directory, environment, configuration, todo)
            limits = _Limits(
                options.concurrency or chosen.concurrency,
                options.timeout or chosen.timeout,
                plan.ends - time.monotonic(),
            )
            _say(f"{len(todo)} tests, {limits.concurrency} at a time")
            found |= {outcome.id: outcome for outcome in outcomes(todo, _suite(environment, directory, limits))}
            if options.logs:
                _keep((directory / "logs" / "tempest.log", *cloud.logs()), options.logs)
        return [found[name] for name in listed]


def _keep(logs: Sequence[Path], target: Path) -> None:
    """Add logs to those that are kept."""
    target.mkdir(parents=True, exist_ok=True)
    for number, log in enumerate(logs):
        with (target / f"{number}-{log.name}").open("ab") as kept:
            kept.write(log.read_bytes())


def _due(chosen: Chosen, listed: Sequence[str], found: Mapping[str, Outcome]) -> list[str]:
    """The tests that run under a choice."""
    if chosen.again:
        return [name for name, outcome in found.items() if chosen.again in outcome.reason]
    return [name for name in listed if name not in found and re.search(chosen.of, name)]


def _outside() -> Path | None:
    """The network namespace that the run was started in, where packages are found; None when it still is there."""
    outside = os.environ.get(INSIDE)
    return Path(f"/proc/{os.getpid()}/fd/{outside}") if outside else None


class _Limits(NamedTuple):
    """How many tests run at a time, and the seconds for one of them and for all."""

    concurrency: int
    timeout: int
    deadline: float


def _prepare(directory: Path, environment: Path, configuration: str, listed: Sequence[str]) -> None:
    """What stestr and Tempest read, in a directory of its own."""
    for name in ("logs", "locks"):
        (directory / name).mkdir(parents=True)
    (directory / "tempest.conf").write_text(configuration)
    (directory / "include.txt").write_text(selection.include_patterns(listed))
    tempest = next(environment.glob("lib/python3*/site-packages/tempest"))
    # The tests of a class run in one process, one after another; only Zun's few classes of long waits are split up.
    groups = r"zun_tempest_plugin\..*|([^\.]*\.)*"
    lines = ["[DEFAULT]", f"test_path={tempest}/test_discover", f"top_dir={tempest.parent}", f"group_regex={groups}"]
    (directory / ".stestr.conf").write_text("\n".join(lines) + "\n")


def _suite(environment: Path, workspace: Path, limits: _Limits) -> Iterator[Result]:
    """Runs the suites and yields each result as it comes. At the deadline the suites are ended."""
    variables = {
        **os.environ,
        "PATH": f"{environment}/bin:{os.environ.get('PATH', '')}",
        "TEMPEST_CONFIG_DIR": str(workspace),
        "TEMPEST_CONFIG": "tempest.conf",
        "OS_TEST_TIMEOUT": str(limits.timeout),
        "PYTHONWARNINGS": "ignore",
        "TMPDIR": str(workspace),
    }
    run = [str(environment / "bin" / "stestr"), "run", "--subunit", "--include-list", "include.txt"]
    log = (workspace / "stestr.log").open("w+")
    suite = subprocess.Popen(
        [*run, "--concurrency", str(limits.concurrency)],
        cwd=workspace,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )
    collector = subprocess.Popen(
        [str(environment / "bin" / "python"), str(COLLECT)], stdin=suite.stdout, stdout=subprocess.PIPE, text=True
    )
    assert suite.stdout is not None
    assert collector.stdout is not None
    suite.stdout.close()
    alarm = threading.Timer(max(1.0, limits.deadline), _end_group, [suite])
    alarm.start()
    try:
        yield from _results(collector.stdout)
        # With --subunit a status other than 0 says that there was no whole run: the tests could not be found, say.
        if suite.wait(60):
            log.seek(0)
            _say(f"the suites ended with {suite.returncode}: {log.read()[-3000:]}")
    finally:
        alarm.cancel()
        _end_group(suite)
        collector.kill()
        collector.wait()
        log.close()


def _results(lines: Iterator[str]) -> Iterator[Result]:
    shown = time.monotonic()
    for count, line in enumerate(lines, 1):
        fields = json.loads(line)
        if time.monotonic() - shown > 15:
            shown = time.monotonic()
            _say(f"{count} results so far; last: {fields['id'][:100]} {fields['status']}")
        yield Result(fields["id"], fields["status"], fields["reason"])


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends the suites' processes: they are a session of their own."""
    for number, grace in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)


def _verdict(found: list[Outcome], options: argparse.Namespace) -> int:
    if options.save:
        lines = (json.dumps({"id": item.id, "status": item.status, "reason": item.reason}) for item in found)
        options.save.write_text("\n".join(lines) + "\n")
    passed = [outcome.id for outcome in found if outcome.status == PASSED]
    if options.update:
        guests = reached.identifiers()
        _update(PASSING, [name for name in passed if name not in guests])
        _update(PASSING_REACHED, [name for name in passed if name in guests])
    if table := failures_table(found):
        print(table)
    broken = [outcome for outcome in found if outcome.status != PASSED] if options.passing else []
    for outcome in broken:
        print(f"no longer passes: {outcome.id} ({outcome.status}: {outcome.reason})")
    print(summary(found), flush=True)
    return 1 if broken else 0


def _update(path: Path, passed: Sequence[str]) -> None:
    old = selection.read_list(path.read_text()) if path.exists() else []
    new = selection.grown(old, passed)
    selection.write_passing(path, new)
    _say(f"{path.name}: {len(new) - len(old)} added, {len(new)} in all")


def _enter_namespace() -> None:
    """Starts this program anew in a network namespace of its own, so that no other cloud's addresses are met."""
    here = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:]]
    # An address beside loopback, and a way out that leads nowhere: what the suites serve data at.
    steps = ["link set lo up", "link add judge type bridge", "address add 203.0.113.1/24 dev judge"]
    steps += ["link set judge up", "route add 1.1.1.1 dev judge"]
    script = " && ".join(f"ip {step}" for step in steps) + ' && exec "$@"'
    # The way back is kept open: building images needs the package mirrors, which are not to be reached from inside.
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    os.set_inheritable(outside, True)  # noqa: FBT003 - its only parameter
    environment = {**os.environ, INSIDE: str(outside)}
    os.execvpe("unshare", ["unshare", "--net", "--", "sh", "-c", script, "run", *here], environment)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
