"""Telling the other processes of one PostgreSQL that there is work for them, by LISTEN and NOTIFY.

A mark that only another process can work on is told to all that listen when its transaction commits; each wakes when
it serves that kind. A notification that is lost costs no more than the seconds until the next look.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from stackyard.core.db import Database, Transaction

log = logging.getLogger("stackyard.notify")

CHANNEL = "stackyard_work"
_TURN_SECONDS = 0.5
"""How long a listener waits before it looks whether it is to stop."""

_PAUSE_SECONDS = 2.0
"""Between two tries to reach the database."""

_NOTIFY = sa.text(f"SELECT pg_notify('{CHANNEL}', :kind)")


def tell(tx: Transaction, kind: str) -> None:
    """Have the processes that serve a kind wake when this transaction commits."""
    if not tx.database.is_sqlite:
        tx.execute(_NOTIFY, {"kind": kind})


class Listener:
    """A connection of its own on which a thread waits for what others tell."""

    def __init__(self, database: Database, told: Callable[[str], None]) -> None:
        self._database = database
        self._told = told
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Have `run` return: at once when the database can still be told, else soon."""
        self._stopping.set()
        with contextlib.suppress(Exception):
            self._database.write("notify.stop", tell, "")

    def run(self) -> None:
        """Listen until `stop`; a connection that breaks is made anew."""
        while not self._stopping.is_set():
            try:
                self._listen()
            except Exception:
                log.warning("the database does not tell of others' work; looking from time to time", exc_info=True)
                self._stopping.wait(_PAUSE_SECONDS)

    def _listen(self) -> None:
        import psycopg

        # A connection outside the pool: it is never given back, and it stays out of every transaction.
        with psycopg.connect(**self._parameters(), autocommit=True) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._told("")
            while not self._stopping.is_set():
                for note in connection.notifies(timeout=_TURN_SECONDS):
                    self._told(note.payload)
                    if self._stopping.is_set():
                        break

    def _parameters(self) -> dict[str, Any]:
        url = self._database.url
        arguments, options = self._database.engine.dialect.create_connect_args(url)
        if arguments:
            raise RuntimeError("the database's driver takes a form of address that this listener does not know")
        return dict(options)
