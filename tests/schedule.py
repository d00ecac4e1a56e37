"""Which of pytest-xdist's workers tests what: files that wait for a real host begin at once, beside those that compute.

By their number of tests alone, which is how xdist orders files, functional tests come last; then all workers wait for
their clouds, after all had computed before.
"""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

HOST = ("tests/functional/", "tests/dataplane/", "tests/contract/")
"""What waits more than it computes."""

PREFERRED = {"gw0": HOST, "gw1": HOST[1:]}
"""Worker -> what it does first, in this order: one alone has a cloud for all functional tests."""


class Schedule(LoadFileScheduling):
    """Hands each worker the largest file of the kind that it does first, and when there is none, of what is left."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        file = self._next(PREFERRED.get(node.gateway.id, ()))
        self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)

    def _next(self, preferred: tuple[str, ...]) -> str:
        for folder in preferred:
            for file in self.workqueue:
                if file.startswith(folder):
                    return file
        # Last of all the functional tests, which would have a further worker start a cloud.
        for avoided in (HOST, HOST[:1]):
            for file in self.workqueue:
                if not file.startswith(avoided):
                    return file
        return next(iter(self.workqueue))
