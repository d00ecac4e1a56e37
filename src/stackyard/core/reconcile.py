"""Making things so: the queue of what is dirty, and the workers that reconcile it until it is not.

An operation writes what is wanted and calls `mark` in the same transaction. Some worker then takes the mark under a
lease and calls the kind's reconciler with nothing but the id: it reads what is wanted and what is, takes the next
steps, and says Done or Again. The first try, a retry, and the one after a crash are the same call. A failure is tried
again with growing, jittered pauses until the mark's deadline; then the reconciler is told to give up, and writes why
where users look.

A mark made while a worker is at it is not lost: the row's `mark` number tells that it is dirty anew.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import notify, timeline
from stackyard.core.db import Database, Transaction, metadata
from stackyard.core.ids import new_request_id
from stackyard.core.log import request_id_var

log = logging.getLogger("stackyard.reconcile")

LEASE_SECONDS = 30.0
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 60.0
DEFAULT_DEADLINE = 600.0

work = sa.Table(
    "work",
    metadata,
    sa.Column("kind", sa.String(64), primary_key=True),
    sa.Column("resource_id", sa.String(64), primary_key=True),
    sa.Column("mark", sa.BigInteger, nullable=False),
    sa.Column("due_at", sa.Float, nullable=False, index=True),
    sa.Column("deadline_at", sa.Float, nullable=True),
    sa.Column("owner", sa.String(64), nullable=True),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("last_error", sa.Text, nullable=False),
)

_KEY = sa.and_(work.c.kind == bindparam("k"), work.c.resource_id == bindparam("r"))
_FREE = sa.or_(work.c.owner.is_(None), work.c.lease_until < bindparam("now"))
_SERVED = work.c.kind.in_(bindparam("kinds", expanding=True))
_DUE_FIRST = sa.case((work.c.due_at < bindparam("due"), work.c.due_at), else_=bindparam("due"))
_REMARK = (
    sa.update(work)
    .where(_KEY)
    .values(mark=work.c.mark + 1, due_at=_DUE_FIRST, attempts=0, deadline_at=None, last_error="")
)
_INSERT = sa.insert(work)
_DUE = (
    sa.select(work)
    .where(work.c.due_at <= bindparam("now"), _FREE, _SERVED)
    .order_by(work.c.due_at)
    .limit(bindparam("count", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
_CLAIM = (
    sa.update(work)
    .where(_KEY)
    .values(owner=bindparam("o"), lease_until=bindparam("until"), deadline_at=bindparam("deadline"))
)
_RENEW = sa.update(work).where(work.c.owner == bindparam("o")).values(lease_until=bindparam("until"))
_NEXT = sa.select(sa.func.min(work.c.due_at)).where(_FREE, _SERVED)
_FINISH = sa.delete(work).where(_KEY, work.c.mark == bindparam("m"), work.c.owner == bindparam("o"))
_RELEASE = sa.update(work).where(_KEY, work.c.owner == bindparam("o")).values(owner=None)
_LATER = (
    sa.update(work)
    .where(_KEY, work.c.mark == bindparam("m"), work.c.owner == bindparam("o"))
    .values(owner=None, due_at=bindparam("due"), attempts=bindparam("a"), last_error=bindparam("e"))
)
_FREE_ALL = sa.update(work).where(_SERVED).values(owner=None)
_WAITING = sa.select(work).where(work.c.resource_id == bindparam("r"))
_DEPTH = sa.select(work.c.kind, sa.func.count().label("marks")).group_by(work.c.kind)

_engines: dict[int, ReconcileEngine] = {}
"""By database: the engine of this process on it."""

_LONGEST_HOST = 40


def kind_on(kind: str, host: str) -> str:
    """The kind of marks for what only one host can do; `kind_of` is the way back."""
    if len(host) > _LONGEST_HOST:
        host = hashlib.blake2s(host.encode(), digest_size=_LONGEST_HOST // 2).hexdigest()
    return f"{kind}@{host}"


def kind_of(kind: str) -> str:
    """A kind without its host."""
    return kind.partition("@")[0]


@dataclass(frozen=True, slots=True)
class Done:
    """What is, is what is wanted."""


@dataclass(frozen=True, slots=True)
class Again:
    """Not there yet, and nothing failed: look again after `seconds`."""

    seconds: float


Outcome = Done | Again
DONE = Done()


class GiveUp(Exception):
    """Raised by a reconciler for what can never succeed: the text goes to `expire` at once."""


class Reconciler(Protocol):
    """Brings one kind of resource from what is to what is wanted."""

    kind: str
    deadline: float
    """Seconds after which trying ends; measured from the first try after a mark."""

    def reconcile(self, resource_id: str) -> Outcome:
        """Take the next steps; read all that is needed from the database and the host. Raises to be tried again."""
        ...

    def expire(self, resource_id: str, reason: str) -> None:
        """Trying is over: write the failed state and `reason` to the resource."""
        ...


def mark(tx: Transaction, kind: str, resource_id: str, *, delay: float = 0) -> None:
    """Say, in the transaction that changes what is wanted, that a resource is dirty; `delay` in seconds.

    A mark with a delay never puts off an earlier one.
    """
    due = tx.database.clock.time() + delay
    if tx.execute(_REMARK, {"k": kind, "r": resource_id, "due": due}).rowcount == 0:
        row = {"kind": kind, "resource_id": resource_id, "mark": 1, "due_at": due, "deadline_at": None}
        tx.insert_once(_INSERT, row | {"owner": None, "lease_until": 0.0, "attempts": 0, "last_error": ""})
    engine = _engines.get(id(tx.database))
    if engine is not None and engine.serves(kind):
        tx.after_commit(engine.wake)
    else:
        notify.tell(tx, kind)


def waiting(tx: Transaction, resource_id: str) -> list[Mapping[Any, Any]]:
    """The marks of a resource: attempts, when it is due, the last error. For `stackyard why`."""
    return [row._mapping for row in tx.all(_WAITING, {"r": resource_id})]


def depth(tx: Transaction) -> dict[str, int]:
    """How many marks wait, by kind."""
    found: dict[str, int] = {}
    for row in tx.all(_DEPTH):
        kind = kind_of(row._mapping["kind"])
        found[kind] = found.get(kind, 0) + int(row._mapping["marks"])
    return found


def pause(attempts: int, draw: float) -> float:
    """Seconds before the next try after `attempts` failures: doubling, at most a minute, `draw` in [0,1) as jitter."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 20))
    return longest * (0.5 + draw / 2)


@dataclass(frozen=True, slots=True)
class _Task:
    kind: str
    resource_id: str
    mark: int
    attempts: int
    deadline_at: float


class ReconcileEngine:
    """Worker threads over the queue of one database, and the timers of periodic work.

    It takes marks of the kinds that it has reconcilers for, and no others: what only one host can do has a kind of that
    host's own (`kind_on`). Any number of processes may run one on the same PostgreSQL, and wake each other; what only
    this process can do, which on SQLite is all, it frees at start of what a killed predecessor held.
    """

    def __init__(self, database: Database, reconcilers: list[Reconciler], *, workers: int = 8) -> None:
        self.database = database
        self.reconcilers = {reconciler.kind: reconciler for reconciler in reconcilers}
        self._kinds = sorted(self.reconcilers)
        self.observe: Callable[[str, str, float], None] | None = None
        """Called after each run with kind, outcome (done, again, error, expired) and seconds."""
        self._owner = uuid.uuid4().hex
        self._count = workers
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(workers)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._periodic: list[tuple[str, float, Callable[[], object]]] = []
        self._listener = None if database.is_sqlite else notify.Listener(database, self._told)

    def serves(self, kind: str) -> bool:
        """Whether this engine does work of a kind."""
        return kind in self.reconcilers

    def _told(self, kind: str) -> None:
        if not kind or kind in self.reconcilers:
            self._wake.set()

    def every(self, name: str, seconds: float, action: Callable[[], object]) -> None:
        """Call `action` every `seconds` in a thread of its own, failures logged; before `start`."""
        self._periodic.append((name, seconds, action))

    def start(self) -> None:
        """Begin."""
        own = [kind for kind in self._kinds if self.database.is_sqlite or "@" in kind]
        self.database.write("reconcile.free", _free_all, own)
        _engines[id(self.database)] = self
        if self._listener is not None:
            self._spawn("listen", self._listener.run)
        self._spawn("claims", self._claim_loop)
        self._spawn("leases", self._renew_loop)
        for index in range(self._count):
            self._spawn(f"worker-{index}", self._work_loop)
        for name, seconds, action in self._periodic:
            self._spawn(f"every-{name}", partial(self._periodic_loop, name, seconds, action))

    def _spawn(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"reconcile-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self, timeout: float = 10) -> None:
        """Take no more, wait for what runs."""
        self._stopping.set()
        if self._listener is not None:
            self._listener.stop()
        self._wake.set()
        for _ in range(self._count):
            self._tasks.put(None)
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        _engines.pop(id(self.database), None)

    def wake(self) -> None:
        """Look for work now (another process has written a mark)."""
        self._wake.set()

    # -- claiming

    def _claim_loop(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            self._idle.acquire()
            count = 1
            while count < self._count and self._idle.acquire(blocking=False):
                count += 1
            tasks: list[_Task] = []
            pause_for = 1.0
            try:
                tasks, pause_for = self.database.write("reconcile.claim", self._claim, count)
            except Exception:
                log.exception("claiming work failed")
            for task in tasks:
                self._tasks.put(task)
            for _ in range(count - len(tasks)):
                self._idle.release()
            if len(tasks) < count and not self._stopping.is_set():
                self._wake.wait(pause_for)

    def _claim(self, tx: Transaction, count: int) -> tuple[list[_Task], float]:
        now = self.database.clock.time()
        tasks: list[_Task] = []
        for row in tx.all(_DUE, {"now": now, "count": count, "kinds": self._kinds}):
            deadline = row.deadline_at or now + self.reconcilers[row.kind].deadline
            values = {"k": row.kind, "r": row.resource_id, "o": self._owner, "until": now + LEASE_SECONDS}
            tx.execute(_CLAIM, values | {"deadline": deadline})
            tasks.append(_Task(row.kind, row.resource_id, row.mark, row.attempts, deadline))
        if len(tasks) == count:
            return tasks, 0.0
        following = tx.scalar(_NEXT, {"now": now, "kinds": self._kinds})
        return tasks, 5.0 if following is None else min(5.0, max(0.001, following - now))

    def _renew_loop(self) -> None:
        while not self._stopping.wait(LEASE_SECONDS / 3):
            values = {"o": self._owner, "until": self.database.clock.time() + LEASE_SECONDS}
            try:
                self.database.write("reconcile.renew", _renew, values)
            except Exception:
                log.exception("renewing leases failed")

    # -- working

    def _work_loop(self) -> None:
        while True:
            task = self._tasks.get()
            if task is None:
                return
            try:
                self._run(task)
            except Exception:
                log.exception("work was lost until its lease ends", extra={"kind": task.kind, "id": task.resource_id})
            finally:
                self._idle.release()
                self._wake.set()

    def _run(self, task: _Task) -> None:
        started = time.perf_counter()
        request_id_var.set(new_request_id())
        outcome = self._attempt(task)
        if self.observe is not None:
            self.observe(kind_of(task.kind), outcome, time.perf_counter() - started)

    def _attempt(self, task: _Task) -> str:
        reconciler = self.reconcilers[task.kind]
        key = {"k": task.kind, "r": task.resource_id, "m": task.mark, "o": self._owner}
        try:
            outcome = reconciler.reconcile(task.resource_id)
        except GiveUp as error:
            self._expire(reconciler, task, str(error))
            self.database.write("reconcile.expired", _finish, key)
            return "expired"
        except Exception as error:  # noqa: BLE001  what a reconciler raises is written down and tried again
            return self._failed(reconciler, task, error, key)
        if isinstance(outcome, Done):
            self.database.write("reconcile.done", _finish, key)
            return "done"
        due = self.database.clock.time() + outcome.seconds
        self.database.write("reconcile.again", _later, key | {"due": due, "a": 0, "e": ""})
        return "again"

    def _failed(self, reconciler: Reconciler, task: _Task, error: Exception, key: dict[str, Any]) -> str:
        text = str(error) or type(error).__name__
        now = self.database.clock.time()
        attempts = task.attempts + 1
        log.warning(
            "reconcile failed", extra={"kind": task.kind, "id": task.resource_id, "attempt": attempts}, exc_info=error
        )
        if now >= task.deadline_at:
            self._expire(reconciler, task, f"{text} (gave up after {attempts} attempts in {reconciler.deadline:g} s)")
            self.database.write("reconcile.expired", _finish, key)
            return "expired"
        due = min(now + pause(attempts, random.random()), task.deadline_at)  # noqa: S311

        def later(tx: Transaction) -> None:
            timeline.record(tx, kind_of(task.kind), task.resource_id, "attempt failed", text)
            _later(tx, key | {"due": due, "a": attempts, "e": text})

        self.database.write("reconcile.failed", later)
        return "error"

    def _expire(self, reconciler: Reconciler, task: _Task, reason: str) -> None:
        self.database.write(
            "reconcile.give-up", timeline.record, kind_of(task.kind), task.resource_id, "gave up", reason
        )
        reconciler.expire(task.resource_id, reason)

    def _periodic_loop(self, name: str, seconds: float, action: Callable[[], object]) -> None:
        while not self._stopping.wait(seconds * random.uniform(0.9, 1.1)):  # noqa: S311
            try:
                action()
            except Exception:
                log.exception("periodic work failed", extra={"name_of_work": name})


def _free_all(tx: Transaction, kinds: Sequence[str]) -> None:
    tx.execute(_FREE_ALL, {"kinds": kinds})


def _renew(tx: Transaction, values: dict[str, Any]) -> None:
    tx.execute(_RENEW, values)


def _finish(tx: Transaction, key: dict[str, Any]) -> None:
    if tx.execute(_FINISH, key).rowcount == 0:
        tx.execute(_RELEASE, key)


def _later(tx: Transaction, values: dict[str, Any]) -> None:
    if tx.execute(_LATER, values).rowcount == 0:
        tx.execute(_RELEASE, values)
