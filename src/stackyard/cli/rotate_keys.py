"""`stackyard rotate-keys`."""

from __future__ import annotations

from pathlib import Path

import click

from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen, database_of, settings_of


@click.command()
@state_dir_option
def command(state_dir: Path | None) -> None:
    """Take new keys for tokens and retire the oldest, and encrypt all credentials with a new key.

    A running cloud uses both at once.
    """
    from stackyard.core.db import Transaction
    from stackyard.services.identity import api

    state = chosen(state_dir)
    settings = settings_of(state)

    def rotate(tx: Transaction) -> tuple[dict[str, api.Rotation], int]:
        return api.rotate_keys(tx, settings.token.max_active_keys), api.rotate_credential_keys(tx)

    with database_of(state) as database:
        api.use_secret_file(database, state.path, settings.credential.key_file)
        rings, count = database.write("rotate keys", rotate)
    for provider, done in rings.items():
        used = "" if provider == settings.token.provider else ", which this cloud only reads"
        click.echo(f"{provider} tokens{used}: a new key is in use, {done.kept} are kept, {done.dropped} dropped.")
    click.echo(f"{count} secrets of credentials are encrypted with a new key; the last one is kept for once more.")
