"""`stackyard config`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen, settings_of


@click.command()
@state_dir_option
def command(state_dir: Path | None) -> None:
    """Every setting: its value now, how to set it, what it means."""
    from rich.console import Console
    from rich.table import Table

    from stackyard.core.config import describe, load

    state = chosen(state_dir)
    shown = (settings_of(state) if state.exists() else load(None, os.environ)).shown()
    table = Table("Setting", "Value", "Meaning", box=None, pad_edge=False)
    for info in describe():
        table.add_row(info.key, str(shown[info.key]), info.help)
    Console().print(table)
    click.echo("\nSet in a TOML file (stackyard up --config FILE) or by STACKYARD_<SECTION>_<KEY> in the environment.")
