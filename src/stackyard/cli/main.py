"""`stackyard`: the command and its sub-commands, each loaded when it is called."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from stackyard import __version__

COMMANDS = {
    "up": "Start the cloud; ready in about a second.",
    "down": "Stop the cloud; workloads go on. With --purge remove all of it.",
    "status": "What runs here: services, host, counts, versions.",
    "why": "The story of any resource: what happened, what it waits for, what blocks it.",
    "doctor": "What this machine offers and lacks, and whether it matches the database.",
    "bake": "Build container images from the distribution's packages, without a registry.",
    "config": "Every setting, its value and meaning.",
    "policy": "The rules of who may do what: list them, check a policy.yaml.",
    "openapi": "A service's API, described in OpenAPI.",
    "rotate-keys": "Make a new token signing key; tokens signed with the last ones stay valid.",
}


class Commands(click.Group):
    """Sub-commands by file, so that `stackyard up` does not load what it does not need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of their use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"stackyard.cli.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of `stackyard --help`, from the table above: nothing is loaded for it."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stackyard")
def cli() -> None:
    """A complete, OpenStack-compatible container cloud in one program."""


def state_dir_option(function: Any) -> Any:
    """`--state-dir`, the same for every command."""
    return click.option(
        "--state-dir",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="STACKYARD_STATE_DIR",
        help="Directory of the cloud's state.  [default: /var/lib/stackyard as root, else under XDG state]",
    )(function)


def main() -> None:
    """Run it; an error is one line that says what to do."""
    from stackyard.core.config import ConfigError
    from stackyard.core.policy import PolicyError
    from stackyard.host.errors import HostError
    from stackyard.state import StateError

    try:
        cli(prog_name="stackyard")
    except (StateError, ConfigError, PolicyError, HostError) as error:
        click.echo(f"stackyard: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
