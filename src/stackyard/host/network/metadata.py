"""What guests ask of 169.254.169.254 and fe80::a9fe:a9fe, in the words in which whoever knows the guests is asked.

`metadata_sockets` listens in every network, `metadata_server` speaks HTTP, a `MetadataHandler` answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

METADATA4, METADATA6 = "169.254.169.254", "fe80::a9fe:a9fe"
PORT = 80


@dataclass(frozen=True)
class MetadataRequest:
    """One request. Exactly one of `network_id` and `router_id` says where it came in.

    `source` is the sender's address there; `source_mac` the MAC behind a link-local one, when it could be found.
    Header names are in lower case.
    """

    source: str
    method: str
    path: str
    network_id: str | None = None
    router_id: str | None = None
    source_mac: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class MetadataReply:
    """The answer: an HTTP status, headers beside length and connection, and the body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class MetadataHandler(Protocol):
    """Who knows the guests. Called from several threads."""

    def answer(self, request: MetadataRequest) -> MetadataReply:
        """The reply; 404 for somebody unknown."""
        ...


@dataclass(frozen=True)
class Door:
    """Where requests come in: a network's own namespace, or a router's."""

    kind: str
    id: str
