"""What the doctor is told."""

from __future__ import annotations

from pathlib import Path

from stackyard.host.containers.features import engine_features


def test_each_thing_lacking_has_a_remedy() -> None:
    rows = {row.name: row for row in engine_features(None)}
    assert not rows["container engine"].ok
    assert rows["container engine"].detail == "none answers"
    assert all(row.remedy for row in rows.values() if not row.ok)
    assert {"dockerd", "runc", "cgroups", "open files", "privileged containers"} <= set(rows)


def test_an_engine_that_does_not_answer_is_named(tmp_path: Path) -> None:
    rows = {row.name: row for row in engine_features(str(tmp_path / "docker.sock"))}
    assert rows["container engine"].detail == f"{tmp_path}/docker.sock does not answer"
