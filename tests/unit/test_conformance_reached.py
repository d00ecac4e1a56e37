"""Tests whose guests are reached: which these are, which of them every change must pass, and their configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conformance import reached, selection

HERE = Path(reached.__file__).parent


def passing(name: str) -> set[str]:
    return set(selection.read_list((HERE / name).read_text()))


def test_the_lists_speak_of_the_same_tests() -> None:
    """All that pass are listed apart; the few of them that every change must pass stand in both lists."""
    every, chosen = passing("passing_reached.txt"), passing("passing.txt") & reached.identifiers()
    assert every <= reached.identifiers()
    assert chosen <= every
    assert 10 <= len(chosen) <= 25


@pytest.mark.parametrize(
    ("hosts", "nodes", "moves"),
    [(("one",), "1", "false"), (("one", "two"), "2", "true")],
    ids=["one host", "two hosts"],
)
def test_servers_move_where_there_are_several_hosts(hosts: tuple[str, ...], nodes: str, moves: str) -> None:
    said = reached.sections(reached.Guests("image", "other", Path("/disk"), hosts))
    assert said["validation"]["run_validation"] == "true"
    assert said["compute"]["min_compute_nodes"] == nodes
    assert ("migration_source_host" in said["compute"]) == (moves == "true")
    assert {said["compute-feature-enabled"][name] for name in ("cold_migration", "live_migration")} == {moves}
