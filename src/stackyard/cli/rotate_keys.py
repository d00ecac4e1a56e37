"""`stackyard rotate-keys`."""

from __future__ import annotations

from pathlib import Path

import click

from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen, database_of


@click.command()
@state_dir_option
def command(state_dir: Path | None) -> None:
    """Make a new token signing key and retire the oldest. A running cloud uses it at once."""
    from stackyard.services.identity import api

    with database_of(chosen(state_dir)) as database:
        database.write("rotate keys", api.rotate_keys)
    click.echo("New tokens are signed with a new key.")
