"""Looking at each domain's directory again and again, and keeping its users, groups and memberships up to date.

A domain is marked when its configuration changes and at start; from then on it comes up again by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from stackyard.core import reconcile, timeline
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden
from stackyard.core.reconcile import DONE, Again, GiveUp, Outcome
from stackyard.core.runtime import Runtime
from stackyard.services.identity import domain_config
from stackyard.services.identity.directory import mirror, settings
from stackyard.services.identity.directory.client import Directory
from stackyard.services.identity.directory.settings import DirectoryConfigError, DirectorySettings, DirectoryUrlError

KIND = "directory"


def settings_of(tx: Transaction, domain_id: str) -> DirectorySettings | None:
    """How to ask the directory of a domain; None for a domain whose users are our own.

    Raises DirectoryConfigError for a configuration that cannot be used.
    """
    return settings.read(domain_config.settings_of(tx, domain_id))


def mark(tx: Transaction, domain_id: str) -> None:
    """Look at a domain's directory, if it has one."""
    reconcile.mark(tx, KIND, domain_id)


def configured(tx: Transaction, domain_id: str) -> None:
    """A domain's configuration is different now; raises BadRequest for one that cannot be used."""
    try:
        settings_of(tx, domain_id)
    except DirectoryUrlError:
        pass  # taken, as by Keystone, whose own tests set such addresses; the domain's timeline tells what is wrong
    except DirectoryConfigError as error:
        raise BadRequest(f"Invalid domain specific configuration: {error}") from None
    mark(tx, domain_id)


def refuse_change(tx: Transaction, resource_id: str) -> None:
    """Raise Forbidden for a user or group of a directory, as long as its domain has one: after that they are ours."""
    row = mirror.entry_of(tx, resource_id)
    if row is not None:
        _refuse_while_configured(tx, row.domain_id, row.kind, "Change it there.")


def refuse_new(tx: Transaction, domain_id: str, kind: str) -> None:
    """Raise Forbidden where new users and groups come from a directory."""
    _refuse_while_configured(tx, domain_id, kind, "Make it there.")


def _refuse_while_configured(tx: Transaction, domain_id: str, kind: str, remedy: str) -> None:
    try:
        configured_so = settings_of(tx, domain_id) is not None
    except DirectoryConfigError:
        configured_so = True
    if configured_so:
        raise Forbidden(
            f"You are not authorized to perform the requested action: the {kind}s of this domain come from an LDAP "
            f"directory, which is only read here. {remedy}"
        )


def mark_all(runtime: Runtime) -> None:
    """Every domain with a configuration of its own, at start."""

    def mark_each(tx: Transaction) -> None:
        for domain_id in domain_config.configured_domains(tx):
            mark(tx, domain_id)

    runtime.database.write("mark directories", mark_each)


class DirectoryReconciler:
    """Brings the users and groups of one domain in line with its directory."""

    kind = KIND
    deadline = 7 * 86400.0

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def reconcile(self, resource_id: str) -> Outcome:
        """Read the directory, compare, write what is different, and come again."""
        database = self.runtime.database
        try:
            found = database.read("directory.settings", settings_of, resource_id)
        except DirectoryConfigError as error:
            raise GiveUp(str(error)) from None
        if found is None:
            return DONE
        directory = Directory(found)
        users, groups = directory.users(), directory.groups()
        changes = database.read("directory.compare", mirror.find_changes, resource_id, users, groups)
        if changes:
            database.write("directory.apply", _apply, resource_id, changes)
        return Again(self.runtime.settings.ldap.refresh)

    def expire(self, resource_id: str, reason: str) -> None:
        """Say why; the next change of the configuration, or the next start, begins anew."""
        self.runtime.database.write("directory.expire", _record, resource_id, "directory given up", reason)


def _apply(tx: Transaction, domain_id: str, changes: mirror.Changes) -> None:
    mirror.apply(tx, domain_id, changes)
    counts = {
        "users": len(changes.users),
        "groups": len(changes.groups),
        "gone": len(changes.gone),
        "memberships": len(changes.join) + len(changes.leave),
    }
    _record(tx, domain_id, "directory read", _told(counts))


def _told(counts: Mapping[str, int]) -> str:
    return "changed: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _record(tx: Transaction, domain_id: str, event: str, detail: str) -> None:
    timeline.record(tx, "domain", domain_id, event, detail)
