"""The reconciler of one kind: carries out the task that a row has.

What takes long (an image of many GiB) goes on in a thread of its own, so that it holds up nothing else; a crash
forgets the thread, and the task is found in the row again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait

from stackyard.core import detached, reconcile
from stackyard.core.ids import new_request_id
from stackyard.core.log import request_id_var
from stackyard.core.reconcile import DONE, Again, GiveUp, Outcome
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError, SpecError
from stackyard.services import keys
from stackyard.services.volume.reconcile.job import Job, Kind, Superseded

log = logging.getLogger("stackyard.volume")

PATIENCE = 0.5
"""Seconds for which a worker waits for a task; a longer one goes on by itself, and is asked after."""
ASK_AGAIN = 0.2
MOST_AT_ONCE = 8

Task = Callable[[Job], Outcome]
Failure = Callable[[Job, str], None]


class TaskReconciler:
    """`tasks` and `failures` are by the name of the task; one that has no failure of its own fails by `otherwise`."""

    deadline = 300.0

    def __init__(
        self,
        runtime: Runtime,
        kind: Kind,
        tasks: Mapping[str, Task],
        failures: Mapping[str, Failure],
        otherwise: Failure,
    ) -> None:
        self.kind = reconcile.kind_on(kind.name, runtime[keys.HOST_NAME])
        self._of = kind
        self._runtime = runtime
        self._tasks = tasks
        self._failures = failures
        self._otherwise = otherwise
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._running: dict[str, Future[Outcome]] = {}

    def reconcile(self, resource_id: str) -> Outcome:
        """Do what is due, or ask how far it is."""
        with self._lock:
            running, earlier = self._running.get(resource_id), True
            if running is None:
                if not self._slots.acquire(blocking=False):
                    return Again(ASK_AGAIN)
                running, earlier = self._begin(resource_id), False
                self._running[resource_id] = running
        wait([running], 0.0 if earlier else PATIENCE)
        if not running.done():
            return Again(ASK_AGAIN)
        with self._lock:
            self._running.pop(resource_id, None)
        try:
            found = running.result()
        except Superseded:
            return Again(0.0)
        except (SpecError, GiveUp) as error:
            if not earlier:
                raise GiveUp(str(error)) from error
            self.expire(resource_id, str(error))
            return Again(0.0)
        # What an earlier call began was perhaps not the task that this call is for.
        return Again(0.0) if earlier and found == DONE else found

    def _begin(self, resource_id: str) -> Future[Outcome]:
        return detached.start(f"{self._of.name}-{resource_id}", lambda: self._work(resource_id), self._slots.release)

    def _job(self, resource_id: str) -> Job | None:
        row = self._runtime.database.read(f"{self._of.name}.load", self._of.read, resource_id)
        if row is None or row.task is None or row.host not in (None, self._runtime[keys.HOST_NAME]):
            return None
        return Job(self._runtime, self._of, row)

    def _work(self, resource_id: str) -> Outcome:
        job = self._job(resource_id)
        if job is None:
            return DONE
        request_id_var.set(getattr(job.row, "task_request_id", None) or new_request_id())
        task = self._tasks.get(job.task)
        if task is None:
            raise GiveUp(f"This version knows no task {job.task!r}.")
        try:
            return task(job)
        except OSError as error:
            raise HostError(f"The host fails: {error.strerror or type(error).__name__}.") from error

    def expire(self, resource_id: str, reason: str) -> None:
        """Trying is over: the task fails as its kind does."""
        job = self._job(resource_id)
        if job is None:
            return
        text = reason if reason.endswith((".", "!", "?")) else f"{reason}."
        log.warning("a task has failed", extra={"kind": self._of.name, "id": resource_id, "task": job.task})
        try:
            self._failures.get(job.task, self._otherwise)(job, text[:1000])
        except Superseded:
            return
