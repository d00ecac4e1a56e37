"""Long work on images in threads of its own, a few at a time, so that it takes no worker from what others wait for.

A job is what one process is at; it is not remembered anywhere. The reconciler of its image begins it again when the
process was killed. The threads are daemons: a cloud that is stopped does not wait for them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class _Job:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: Exception | None = None


class Jobs:
    """At most `limit` at a time, and one for each image."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()

    def running(self, image_id: str) -> bool:
        """Whether an image's job is at work."""
        with self._lock:
            job = self._jobs.get(image_id)
            return job is not None and not job.done.is_set()

    def run(self, image_id: str, work: Callable[[], None], *, patience: float, ended: Callable[[], None]) -> bool:
        """Have `work` done, and wait for it for `patience` seconds: whether it is done.

        Call again, with the same work, until it is; what the work raised is raised then. `ended` is called in the
        job's thread when it is done.
        """
        with self._lock:
            job = self._jobs.get(image_id)
            if job is None:
                if sum(not other.done.is_set() for other in self._jobs.values()) >= self._limit:
                    return False
                job = self._jobs[image_id] = _Job()
                threading.Thread(target=self._do, args=(job, work, ended), name="image-job", daemon=True).start()
        if not job.done.wait(patience):
            return False
        with self._lock:
            self._jobs.pop(image_id, None)
        if job.error is not None:
            raise job.error
        return True

    def _do(self, job: _Job, work: Callable[[], None], ended: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  raised again where the job is waited for
            job.error = error
        finally:
            job.done.set()
            ended()
