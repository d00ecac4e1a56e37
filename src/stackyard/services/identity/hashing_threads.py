"""Threads for what is slow on purpose: they yield to everything else, and take turns among those who wait.

Hashing a password keeps a core busy for milliseconds. It is done in a few threads to which the scheduler gives way
last within the process, so that a flood of sign-ins leaves other calls their time; and each client has a queue of its
own, so that one who floods waits for himself.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from stackyard.core.errors import ServiceUnavailable

WAITING_AT_MOST = 512
NICENESS = 3
"""Half of the share that the rest of the process gets when both want a core: with less, a busy machine would starve
sign-ins altogether.
"""

_Job = tuple["Future[Any]", Callable[[], Any]]


class HashingThreads:
    """`count` threads that begin with the first job and last as long as the process."""

    def __init__(self, count: int, waiting_at_most: int = WAITING_AT_MOST) -> None:
        self._count = count
        self._waiting_at_most = waiting_at_most
        self._changed = threading.Condition()
        self._queues: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._waiting = 0
        self._started = False

    def submit(self, client: str, job: Callable[[], Any]) -> Future[Any]:
        """Have a job done when its client's turn comes. Raises ServiceUnavailable when too many wait already."""
        future: Future[Any] = Future()
        with self._changed:
            if self._waiting >= self._waiting_at_most:
                raise ServiceUnavailable("Too many sign-ins are waiting; try again in a few seconds.")
            self._start()
            self._queues.setdefault(client, deque()).append((future, job))
            self._waiting += 1
            self._changed.notify()
        return future

    def _start(self) -> None:
        if not self._started:
            self._started = True
            for number in range(self._count):
                threading.Thread(target=self._work, name=f"passwords_{number}", daemon=True).start()

    def _work(self) -> None:
        # Linux keeps niceness by thread: the others of the process are not concerned.
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + NICENESS, 19))
        while True:
            future, job = self._next()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 (whoever waits for the job gets it)
                future.set_exception(error)
            del future, job

    def _next(self) -> _Job:
        """The oldest job of the client whose turn it is."""
        with self._changed:
            while not self._queues:
                self._changed.wait()
            client, queue = self._queues.popitem(last=False)
            job = queue.popleft()
            if queue:
                self._queues[client] = queue
            self._waiting -= 1
            return job
