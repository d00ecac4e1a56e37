"""`stackyard why`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from stackyard.cli.main import state_dir_option
from stackyard.cli.state import chosen, database_of
from stackyard.core.db import Transaction
from stackyard.core.explain import Explanation


class Story(msgspec.Struct, kw_only=True):
    """All that is known of a resource."""

    resources: list[Explanation]
    events: list[dict[str, Any]]
    waiting: list[dict[str, Any]]


@click.command()
@state_dir_option
@click.argument("resource")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(state_dir: Path | None, resource: str, as_json: bool) -> None:
    """The story of RESOURCE (an id, or a name): timeline, what it waits for, who owns it, what blocks its deletion."""
    with database_of(chosen(state_dir)) as database:
        ids = database.read("why.find", find, resource)
        stories = [database.read("why.tell", tell, resource_id) for resource_id in ids]
    if not stories:
        raise click.ClickException(f"Nothing here has the id or name {resource}, and nothing ever had.")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(stories)))
        return
    for story in stories:
        show(story)


def find(tx: Transaction, resource: str) -> list[str]:
    """The ids of what is meant: by name among what is there, else the id as it is when it ever had an entry."""
    from stackyard.core import timeline
    from stackyard.core.ids import is_uuid
    from stackyard.insight import find_by_name

    if is_uuid(resource):
        return [resource]
    named = find_by_name(tx, resource)
    return named or ([resource] if timeline.read(tx, resource) else [])


def tell(tx: Transaction, resource_id: str) -> Story:
    """What is written down of one resource."""
    from stackyard.core import timeline
    from stackyard.core.reconcile import waiting
    from stackyard.insight import explain

    rows: list[Mapping[Any, Any]] = [row._mapping for row in timeline.read(tx, resource_id)]
    return Story(
        resources=explain(tx, resource_id),
        events=[dict(row) for row in rows],
        waiting=[dict(row) for row in waiting(tx, resource_id)],
    )


def show(story: Story) -> None:
    """Print a story for a person."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    for found in story.resources:
        console.print(f"[bold]{found.kind} {found.id}[/bold] {escape(found.name)}")
        for label, text in (("status", found.status), ("reason", found.reason), ("project", found.project_id or "")):
            if text:
                console.print(f"  {label}: {escape(text)}")
        for label, phrases in (("belongs to", found.owners), ("holds", found.uses), ("blocked by", found.blockers)):
            for phrase in phrases:
                console.print(f"  {label}: {escape(phrase)}")
        if not found.blockers:
            console.print("  nothing blocks its deletion")
    if not story.resources:
        console.print("It is no more; this is what was written down of it.")
    if story.events:
        table = Table("When (UTC)", "What", "Detail", "Request", box=None, pad_edge=False)
        for event in story.events:
            at = event["at"].strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
            table.add_row(at, escape(event["event"]), escape(event["detail"]), event["request_id"] or "")
        console.print(table)
    for row in story.waiting:
        due = max(0.0, row["due_at"] - time.time())
        state = "is being worked on" if row["owner"] else f"is tried {'now' if due == 0 else f'in {due:.1f} s'}"
        tries = f", {row['attempts']} attempts failed: {row['last_error']}" if row["attempts"] else ""
        console.print(f"Waits: {row['kind']} {state}{escape(tries)}")
