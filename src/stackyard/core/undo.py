"""Undo for work of several steps outside the database: what was made is unmade, in reverse, unless all of it was made.

    with Undo("wire port") as undo:
        make_veth(name)
        undo.add(delete_link, name)
        plug(name, bridge)
        undo.commit()

A process that is killed undoes nothing; the reconciler's next run does, since it starts from what is there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import ParamSpec, Self

P = ParamSpec("P")

log = logging.getLogger("stackyard.undo")


class Undo:
    """A stack of undo steps. Leaving the block without `commit`, by whatever way, runs them, the last added first.

    A step that fails is logged and the others still run; the exception that left the block is the one that goes on.
    """

    def __init__(self, what: str = "work") -> None:
        self._what = what
        self._steps = ExitStack()

    def add(self, step: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Have `step(*args, **kwargs)` called on undo. It should succeed where there is nothing (any more) to undo."""
        self._steps.callback(self._run, lambda: step(*args, **kwargs), getattr(step, "__qualname__", repr(step)))

    def commit(self) -> None:
        """Everything is made: forget the steps."""
        self._steps.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._steps.close()

    def _run(self, step: Callable[[], object], name: str) -> None:
        try:
            step()
        except Exception:  # the other steps matter more than this one's reason
            log.exception("a step of undo failed", extra={"what": self._what, "step": name})
