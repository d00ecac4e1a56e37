"""The reconciler of a host's servers: carries out the task that a server has, or keeps it as it shall be.

What takes long (an orderly stop, a snapshot) goes on in a thread of its own, so that it holds up nothing else; a crash
forgets the thread, and the task is found in the row again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait

from stackyard.core import detached, reconcile
from stackyard.core.db import Transaction
from stackyard.core.ids import new_request_id
from stackyard.core.log import request_id_var
from stackyard.core.reconcile import DONE, Again, GiveUp, Outcome
from stackyard.core.runtime import Key, Runtime
from stackyard.host.errors import HostError, SpecError
from stackyard.services import keys
from stackyard.services.compute.reconcile import outcome, remains
from stackyard.services.compute.reconcile.job import Job, Superseded
from stackyard.services.compute.reconcile.keep import keep
from stackyard.services.compute.servers.tasks import KIND

log = logging.getLogger("stackyard.compute")

PATIENCE = 1.0
"""Seconds for which a worker waits for a task; a longer one goes on by itself, and is asked after."""
ASK_AGAIN = 0.2
MOST_AT_ONCE = 64

LEFT = "Another request took the place of this one."

Task = Callable[[Job], Outcome]
Failure = Callable[[Job, str], None]


class ServerReconciler:
    """Brings servers from what is to what is wanted. `tasks` and `failures` are by the name of the task."""

    deadline = 600.0

    def __init__(self, runtime: Runtime, tasks: Mapping[str, Task], failures: Mapping[str, Failure]) -> None:
        self.kind = reconcile.kind_on(KIND, runtime[keys.HOST_NAME])
        self._runtime = runtime
        self._database = runtime.database
        self._tasks = tasks
        self._failures = failures
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._running: dict[str, Future[Outcome]] = {}
        self._seen: dict[str, Job] = {}
        self._missed: set[str] = set()

    def reconcile(self, resource_id: str) -> Outcome:
        """Do what is due, or ask how far it is."""
        with self._lock:
            running, earlier = self._running.get(resource_id), True
            if running is None:
                if not self._slots.acquire(blocking=False):
                    return Again(ASK_AGAIN)
                running = self._running[resource_id] = self._begin(resource_id)
                earlier = False
                self._missed.discard(resource_id)
        wait([running], 0.0 if earlier else PATIENCE)
        if not running.done():
            self._interrupt(resource_id)
            return Again(ASK_AGAIN)
        with self._lock:
            del self._running[resource_id]
            missed = resource_id in self._missed
        if earlier:
            return self._came_to_its_end(resource_id, running)
        try:
            found = running.result()
        except Superseded:
            return Again(0.0)
        except SpecError as error:
            raise GiveUp(str(error)) from error
        return Again(0.0) if missed and found == DONE else found

    def _came_to_its_end(self, server_id: str, running: Future[Outcome]) -> Outcome:
        """Of a task that an earlier call began. This call may be for a newer request, so it is never the last."""
        try:
            found = running.result()
        except Superseded:
            return Again(0.0)
        except (SpecError, GiveUp) as error:
            self.expire(server_id, str(error))
            return Again(0.0)
        return Again(0.0) if found == DONE else found

    def _begin(self, server_id: str) -> Future[Outcome]:
        """Work on a server in a thread that no end of the process waits for."""
        return detached.start(f"server-{server_id}", lambda: self._work(server_id), self._slots.release)

    def _work(self, server_id: str) -> Outcome:
        row = self._database.read("server.load", outcome.read, server_id)
        if row is not None and row.host not in (None, self._runtime[keys.HOST_NAME]):
            remains.clear(self._runtime, row)
            return DONE
        if row is None or row.deleted_at is not None:
            return DONE
        request_id_var.set(row.task_request_id or new_request_id())
        job = self._seen[server_id] = Job(self._runtime, row)
        if job.task is None:
            found = keep(job)
        else:
            task = self._tasks.get(job.task)
            if task is None:
                raise GiveUp(f"this version knows no task {job.task!r}.")
            try:
                found = task(job)
            except Superseded:
                self._database.write("server.left", outcome.finish_action, job.server, LEFT)
                raise
        if found == DONE:
            self._seen.pop(server_id, None)
        return found

    def _interrupt(self, server_id: str) -> None:
        """What ends a server at once does not wait for what it does inside (an orderly end), nor for its snapshot."""
        job = self._seen.get(server_id)
        row = self._database.read("server.interrupt", outcome.read, server_id)
        if job is None or job.interrupted or row is None or row.task is None:
            return
        at_once = row.task["name"] == "delete" or row.task.get("hard", False)
        if at_once and row.task_request_id != job.server.task_request_id:
            job.interrupted = True
            threading.Thread(target=_end_at_once, args=(job,), name=f"end-{server_id}", daemon=True).start()

    def note(self, server_id: str) -> bool:
        """Something happened to a server: true when it is being worked on, and then it is looked at again after."""
        with self._lock:
            if server_id not in self._running:
                return False
            self._missed.add(server_id)
            return True

    def expire(self, resource_id: str, reason: str) -> None:
        """Trying is over: the task fails as its kind does."""
        tried = self._seen.pop(resource_id, None)
        row = self._database.read("server.load", outcome.read, resource_id)
        if row is None or row.deleted_at is not None or row.host not in (None, self._runtime[keys.HOST_NAME]):
            return
        job = Job(self._runtime, row)
        if tried is not None and not job.goes_on_from(tried):
            return
        text = reason if reason.endswith((".", "!", "?")) else f"{reason}."
        failure = self._failures.get(job.task or "", _failed)
        try:
            failure(job, text)
        except Superseded:
            return
        except Exception as error:
            # What should have been tidied up could not be: the server is in ERROR nevertheless.
            log.warning("tidying up failed", extra={"id": resource_id, "task": job.task}, exc_info=error)
            job.fail(text)


def _end_at_once(job: Job) -> None:
    try:
        job.driver.stop(job.id, 0.0)
    except HostError as error:
        log.info("a server could not be interrupted", extra={"id": job.id, "error": str(error)})


def _failed(job: Job, reason: str) -> None:
    what = f"The task {job.task} of" if job.task else "Keeping as it shall be"
    job.fail(f"{what} instance {job.id} failed: {reason} Start, reboot (hard), rebuild or delete it.")


def mark_all(runtime: Runtime) -> None:
    """Have all servers of this host looked at once, at start: what an earlier run left is adopted."""
    host = runtime[keys.HOST_NAME]

    def mark(tx: Transaction) -> None:
        for server_id in outcome.of_host(tx, host):
            reconcile.mark(tx, reconcile.kind_on(KIND, host), server_id)

    runtime.database.write("server.mark all", mark)


RECONCILER: Key[ServerReconciler] = Key("reconciler of servers")
