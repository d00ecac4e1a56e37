"""`stackyard policy`: the rules of who may do what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen
from stackyard.state import StateDirectory


@click.group()
def command() -> None:
    """The rules of who may do what: list them, check a policy.yaml."""


@command.command("list")
@state_dir_option
@click.option("--service", help="Of this service alone: identity, image, network, container.")
@click.option("--markdown", is_flag=True, help="As the document docs/policy.md: the defaults, and what each is for.")
def list_(state_dir: Path | None, service: str | None, markdown: bool) -> None:
    """Every rule as it is in force, those that policy.yaml overrides marked with an asterisk."""
    if markdown:
        click.echo(document(), nl=False)
        return
    from stackyard.core.policy_file import PolicyFile

    state = chosen(state_dir)
    found = {info.name: info for info in PolicyFile(state.path / "policy.yaml", _rules(state)).read().describe()}
    for kind, names in _by_service(service):
        click.echo(f"\n{kind}")
        for name in names:
            info = found[name]
            click.echo(f"{'*' if info.overridden else ' '} {name}: {_shown(info.check)}")


@command.command()
@state_dir_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def check(state_dir: Path | None, file: Path) -> None:
    """Say what is wrong with a policy.yaml, before a cloud is given it."""
    from stackyard.core.policy_file import PolicyFile

    overridden = [
        info.name for info in PolicyFile(file, _rules(chosen(state_dir))).read().describe() if info.overridden
    ]
    click.echo(f"{file}: good; overrides {', '.join(overridden) or 'nothing'}")


def _rules(state: StateDirectory) -> list[Any]:
    """The services' rules, and those that the settings of a cloud make."""
    from stackyard.app import SERVICES
    from stackyard.cli.state import settings_of
    from stackyard.services.image.api import check_files

    rules = [rule for service in SERVICES for rule in service.policies]
    return rules + list(check_files(settings_of(state))) if state.exists() else rules


def _by_service(wanted: str | None) -> Iterator[tuple[str, list[str]]]:
    from stackyard.app import SERVICES

    if wanted is not None and wanted not in [service.type for service in SERVICES]:
        raise click.BadParameter(f"{wanted} is none of {', '.join(service.type for service in SERVICES)}")
    for service in SERVICES:
        if wanted in (None, service.type):
            yield service.type, sorted({rule.name for rule in service.policies})


def _shown(check: Any) -> str:
    if isinstance(check, str):
        return check or "@"
    return " or ".join(" and ".join([inner] if isinstance(inner, str) else inner) for inner in check)


def document() -> str:
    """docs/policy.md: every rule, its default check, and the kinds of token it accepts."""
    from stackyard.app import SERVICES

    lines = [_INTRODUCTION]
    for service in SERVICES:
        lines += [f"## {service.type} ({service.name})", "", "| Rule | For | Default | Tokens |", "|---|---|---|---|"]
        for rule in sorted({rule.name: rule for rule in service.policies}.values(), key=lambda rule: rule.name):
            check = _shown(rule.check).replace("|", "\\|")
            scopes = ", ".join(rule.scope_types) or "any"
            lines.append(f"| `{rule.name}` | {rule.description} | `{check}` | {scopes} |")
        lines.append("")
    return "\n".join(lines)


_INTRODUCTION = """# Who may do what

Every call asks one rule, and some a second one about what the call names. The rules have the names and, but for a few
exceptions with their reasons in `tests/policy/test_upstream.py`, the defaults of Keystone, Glance, Neutron and Zun.
What they come to, call by call and persona by persona, stands in the tables of `tests/policy/expected`.

## Changing rules

Write `policy.yaml` into the state directory. It is read at the start and again within seconds of a change:

```yaml
"identity:create_project": "role:admin or role:project-maker"
"publicize_image": "role:publisher"
"create_network:shared": "!"
```

`stackyard policy check FILE` says what is wrong with a file, with the line; `stackyard policy list` shows what is in
force. A name that no rule has is an error that names the nearest one. A cloud does not start with a file that it cannot
use; one that runs keeps the rules it has, and says why in its log.

A check is made of these, joined by `and`, `or`, `not` and parentheses:

| Check | Holds when |
|---|---|
| `role:admin` | the caller has the role |
| `rule:name` | another rule allows it |
| `project_id:%(project_id)s` | what the token says (left) equals what the call is about (right) |
| `'public':%(visibility)s` | what the call is about has this value |
| `system_scope:all` | the token is for the system |
| `@`, `!` | always, never |

The kinds of token that a rule accepts at all (project, domain, system) are looked at first; a token for none of them
counts as one for a project. The setting `policy.enforce_scope` turns that off.
"""
