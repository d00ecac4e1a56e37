"""The threads that hash: fair, bounded, and out of everybody's way."""

from __future__ import annotations

import os
import threading

import pytest

from stackyard.core.errors import ServiceUnavailable
from stackyard.services.identity.hashing_threads import NICENESS, HashingThreads

PATIENCE = 10


def test_answers_and_errors_come_back() -> None:
    threads = HashingThreads(1)
    assert threads.submit("a", lambda: 7).result(PATIENCE) == 7
    with pytest.raises(ZeroDivisionError):
        threads.submit("a", lambda: 1 / 0).result(PATIENCE)
    assert threads.submit("a", lambda: 8).result(PATIENCE) == 8


def test_clients_take_turns() -> None:
    threads = HashingThreads(1)
    gate, running, done = threading.Event(), threading.Event(), []

    def block() -> None:
        running.set()
        gate.wait(PATIENCE)

    jobs = [threads.submit("flood", block)]
    assert running.wait(PATIENCE)
    jobs += [threads.submit("flood", lambda number=number: done.append(f"flood {number}")) for number in range(5)]
    jobs += [threads.submit("other", lambda number=number: done.append(f"other {number}")) for number in range(2)]
    gate.set()
    for job in jobs:
        job.result(PATIENCE)
    assert done == ["flood 0", "other 0", "flood 1", "other 1", "flood 2", "flood 3", "flood 4"]


def test_no_more_than_so_many_wait() -> None:
    threads = HashingThreads(1, waiting_at_most=2)
    gate, running = threading.Event(), threading.Event()

    def block() -> None:
        running.set()
        gate.wait(PATIENCE)

    held = threads.submit("a", block)
    assert running.wait(PATIENCE)
    waiting = [threads.submit("a", lambda: None) for _ in range(2)]
    with pytest.raises(ServiceUnavailable):
        threads.submit("b", lambda: None)
    gate.set()
    for job in (held, *waiting):
        job.result(PATIENCE)
    threads.submit("b", lambda: None).result(PATIENCE)


def test_what_nobody_waits_for_any_more_is_not_done() -> None:
    threads = HashingThreads(1)
    gate, done = threading.Event(), []
    held = threads.submit("a", gate.wait)
    given_up = threads.submit("b", lambda: done.append("given up"))
    last = threads.submit("c", lambda: done.append("last"))
    assert given_up.cancel()
    gate.set()
    held.result(PATIENCE)
    last.result(PATIENCE)
    assert done == ["last"]


def test_they_alone_are_nice() -> None:
    threads = HashingThreads(1)
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    nice = threads.submit("a", lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result(PATIENCE)
    assert nice == min(before + NICENESS, 19)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
