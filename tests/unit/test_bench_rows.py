"""The benchmark's table: ratios, targets, and rows of which one side could not be measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.booted import plain_command
from bench.rows import Goal, Row, merge, store, table

FASTER = Goal("ratio", "<=", 1.0)


@pytest.mark.parametrize(
    ("goal", "ours", "reference", "met"),
    [
        (Goal("ratio", ">=", 10), 1000.0, 100.0, True),
        (Goal("ratio", ">=", 10), 999.0, 100.0, False),
        (FASTER, 100.0, 100.0, True),
        (FASTER, 101.0, 100.0, False),
        (Goal("ours", "<", 5), 4.9, 100.0, True),
        (Goal("ours", "<", 5), 5.0, 100.0, False),
        (Goal("ours", "<=", 1.0), 1.0, 0.5, True),
    ],
)
def test_met(goal: Goal, ours: float, reference: float, met: bool) -> None:
    row = Row("x", "ms", goal, ours, reference)
    assert row.met is met
    assert row.ratio == pytest.approx(ours / reference)


@pytest.mark.parametrize(("ours", "reference"), [(None, 1.0), (0.1, None), (None, None)])
def test_a_row_without_both_sides_is_not_met(ours: float | None, reference: float | None) -> None:
    row = Row("x", "s", Goal("ours", "<=", 1.0), ours, reference, "not installed")
    assert row.ratio is None
    assert not row.met
    assert "not installed" in table([row])


def test_a_disqualified_row_is_not_met() -> None:
    assert not Row("x", "MiB", Goal("ours", "<", 150), 10.0, 20.0, disqualified=True).met


def test_the_table_shows_every_figure_and_counts_what_is_met() -> None:
    text = table([Row("fast", "ms", FASTER, 50.0, 200.0), Row("slow", "ms", FASTER, 300.0, 200.0)])
    assert [line.split() for line in text.splitlines()[2:]] == [
        ["fast", "50", "200", "ms", "0.25", "<=", "1", "x", "yes"],
        ["slow", "300", "200", "ms", "1.5", "<=", "1", "x", "no"],
        ["1", "of", "2", "targets", "met"],
    ]


def test_store_writes_what_a_reader_needs(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    store(path, [Row("x", "s", Goal("ours", "<=", 1.0), 0.123456, 2.0)], machine={"cores": 2}, versions={"python": "3"})
    stored = json.loads(path.read_text())
    assert stored["machine"] == {"cores": 2}
    assert stored["versions"] == {"python": "3"}
    assert stored["rows"] == [
        {
            "name": "x",
            "ours": 0.1235,
            "reference": 2.0,
            "unit": "s",
            "ratio": 0.06173,
            "target": "<= 1 s",
            "met": True,
            "note": "",
        }
    ]


def test_a_partial_run_replaces_rows_of_its_names(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    store(path, [Row("a", "s", FASTER, 1, 2), Row("b", "s", FASTER, 1, 2)], machine={"time": "then"}, versions={})
    again = [Row("b", "s", FASTER, 3, 2), Row("c", "s", FASTER, 1, 2)]
    merge(path, again, machine={"time": "now"}, versions={"commit": "abc"})
    found = {row["name"]: row for row in json.loads(path.read_text())["rows"]}
    assert [found[name]["ours"] for name in "abc"] == [1, 3, 1]
    assert "measured" not in found["a"]
    assert found["c"]["measured"] == {"time": "now", "commit": "abc"}


def test_a_machine_by_hand_has_the_same_hardware_and_files_of_its_own() -> None:
    words = ["qemu", "-add-fd", "fd=3,set=3", "-nodefaults", "-m", "64M", "-netdev", "tap,id=n1,fd=4"]
    words += ["-blockdev", '{"filename":"/dev/fdset/3"}', "-chardev", "socket,id=control,fd=5,server=on,wait=off"]
    words += ["-mon", "chardev=control,mode=control", "-chardev", "socket,id=serial,fd=6"]
    words += ["-device", "x,chardev=serial"]
    plain = plain_command(words, Path("/d/disk"), Path("/d/log"))
    assert plain[:4] == ["qemu", "-nodefaults", "-m", "64M"]
    assert plain[4:6] == ["-netdev", "tap,id=n1,ifname=bench-tap,script=no,downscript=no"]
    assert json.loads(plain[7])["file"]["filename"] == "/d/disk"
    assert plain[8:] == ["-chardev", "file,id=serial,path=/d/log", "-device", "x,chardev=serial"]
