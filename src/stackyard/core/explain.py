"""What a service can say of one of its resources beside its timeline, for `stackyard why`."""

from __future__ import annotations

import msgspec


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One resource as its service knows it.

    `owners` are what it belongs to, `uses` what it holds, `blockers` what must go before it can be deleted, each a
    phrase such as "container 3f2a... (web)".
    """

    kind: str
    id: str
    name: str = ""
    project_id: str | None = None
    status: str = ""
    reason: str = ""
    owners: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    blockers: tuple[str, ...] = ()
