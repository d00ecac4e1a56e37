"""Work in threads that no end of the process waits for: what they do is carried on by the next process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def start(name: str, work: Callable[[], T], ended: Callable[[], object]) -> Future[T]:
    """Do `work` in a thread of its own, and `ended` after it however it ended; what came of it is in the future."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  whoever asks after it is told
            future.set_exception(error)
        finally:
            ended()

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
