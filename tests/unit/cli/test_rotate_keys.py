"""`stackyard rotate-keys` on a cloud that does not run."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from stackyard.cli.rotate_keys import command
from stackyard.core.db import Database
from stackyard.migrations.apply import bring_up_to_date
from stackyard.services.identity import api
from stackyard.state import StateDirectory


def test_it_says_what_it_did(tmp_path: Path) -> None:
    import stackyard.app  # noqa: F401  declares every table

    state = StateDirectory(tmp_path / "cloud")
    state.create("now")
    database = Database(state.sqlite_url())
    try:
        bring_up_to_date(database)
        database.write("create", api.create_keys)
    finally:
        database.close()
    said = []
    for _ in range(2):
        done = CliRunner().invoke(command, ["--state-dir", str(state.path)])
        assert done.exit_code == 0, done.output
        said.append(done.output.splitlines())
    assert said[0][:2] == [
        "fernet tokens: a new key is in use, 3 are kept, 0 dropped.",
        "jws tokens, which this cloud only reads: a new key is in use, 3 are kept, 0 dropped.",
    ]
    assert said[1][0] == "fernet tokens: a new key is in use, 3 are kept, 1 dropped."
    assert said[1][2].startswith("0 secrets of credentials")
