"""`stackyard rotate-keys`."""

from __future__ import annotations

from pathlib import Path

import click

from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen, database_of, settings_of


@click.command()
@state_dir_option
def command(state_dir: Path | None) -> None:
    """Make a new token signing key and retire the oldest, and encrypt all credentials with a new key.

    A running cloud uses both at once.
    """
    from stackyard.core.db import Transaction
    from stackyard.services.identity import api

    state = chosen(state_dir)

    def rotate(tx: Transaction) -> int:
        api.rotate_keys(tx)
        return api.rotate_credential_keys(tx)

    with database_of(state) as database:
        api.use_secret_file(database, state.path, settings_of(state).credential.key_file)
        count = database.write("rotate keys", rotate)
    click.echo("New tokens are signed with a new key.")
    click.echo(f"{count} secrets of credentials are encrypted with a new key; the old one is gone.")
