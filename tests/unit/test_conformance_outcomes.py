"""The conformance run's verdict on each listed test, and the configuration that it gives the suites."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
from tests.conformance.cloud import Access, Facts
from tests.conformance.image_files import Served
from tests.conformance.outcomes import (
    FAILED,
    NOT_RUN,
    PASSED,
    SKIPPED,
    Outcome,
    Result,
    failures_table,
    first_line,
    outcomes,
    summary,
)
from tests.conformance.tempest_conf import Chosen, tempest_conf, unrunnable

TRACEBACK = """traceback-1
Traceback (most recent call last):
  File "x.py", line 1, in test
    client.get()
tempest.lib.exceptions.NotFound: Object not found
Details: no such container
"""


def verdict(*results: Result) -> Outcome:
    return outcomes(["a.B.test_c"], results)[0]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("success", PASSED), ("fail", FAILED), ("skip", SKIPPED), ("xfail", FAILED), ("uxsuccess", FAILED)],
)
def test_only_success_passes(status: str, expected: str) -> None:
    assert verdict(Result("a.B.test_c[id-1]", status, "why")).status == expected


def test_a_listed_test_without_a_result_failed() -> None:
    assert verdict() == Outcome("a.B.test_c", FAILED, NOT_RUN)
    assert verdict(Result("a.B.test_other", "success")) == Outcome("a.B.test_c", FAILED, NOT_RUN)


def test_the_enumeration_of_a_test_is_no_result() -> None:
    assert verdict(Result("a.B.test_c", "exists"), Result("a.B.test_c", "success")).status == PASSED
    assert verdict(Result("a.B.test_c", "exists")).reason == NOT_RUN


def test_a_test_that_never_ended_failed() -> None:
    assert verdict(Result("a.B.test_c", "inprogress")).status == FAILED


@pytest.mark.parametrize("order", [1, -1])
def test_the_worst_of_several_reports_counts(order: int) -> None:
    reports = [Result("a.B.test_c[id-1]", "success"), Result("a.B.test_c[id-2]", "fail", "boom")]
    assert verdict(*reports[::order]) == Outcome("a.B.test_c", FAILED, "boom")


def test_a_class_speaks_for_its_tests() -> None:
    assert verdict(Result("setUpClass (a.B)", "skip", "no such service")) == Outcome(
        "a.B.test_c", SKIPPED, "no such service"
    )
    assert verdict(Result("setUpClass (a.B)", "fail", "boom")).status == FAILED
    assert verdict(Result("setUpClass (a.Other)", "skip", "x")).reason == NOT_RUN


def test_a_failing_tear_down_of_the_class_leaves_the_test_alone() -> None:
    assert verdict(Result("a.B.test_c", "success"), Result("tearDownClass (a.B)", "fail")).status == PASSED


def test_first_line_of_a_traceback_is_the_exception_with_its_details() -> None:
    assert first_line(TRACEBACK) == "tempest.lib.exceptions.NotFound: Object not found Details: no such container"


def test_first_line_of_a_traceback_whose_beginning_is_cut_off() -> None:
    text = '.NotFound(msg\n  File "x.py", line 1, in test\n    client.get()\nEndpointNotFound: none\n'
    assert first_line(text) == "EndpointNotFound: none"


def test_first_line_of_anything_else() -> None:
    assert first_line("\nneeds two hosts\nmore\n") == "needs two hosts"
    assert first_line("") == "no reason given"


def test_summary_and_table() -> None:
    found = [Outcome("a", PASSED), Outcome("b", FAILED, "x"), Outcome("c", FAILED, "x"), Outcome("d", SKIPPED, "y")]
    assert summary(found) == "1 passed, 2 failed, 1 skipped"
    lines = [line.split() for line in failures_table(found).splitlines()]
    assert lines == [["2", "x", "x"], ["b"], ["c"]]


def test_only_services_of_the_catalog_are_available() -> None:
    access = Access("http://127.0.0.1:5000/v3", "admin", "secret%1", "admin", "RegionOne")
    facts = Facts(frozenset({"identity", "network", "container"}), "net-1", ("router", "port-security"))
    parser = configparser.RawConfigParser()
    served = Served("http://127.0.0.1/disk.qcow2", Path("/w/manifest.yaml"))
    parser.read_string(tempest_conf(access, facts, Path("/w"), "unix:///e.sock", served, Chosen()))
    available = {name for name, value in parser.items("service_available") if value == "true"}
    assert available - set(parser.defaults()) == {"neutron", "zun"}
    assert parser.get("network", "public_network_id") == "net-1"
    assert parser.get("network-feature-enabled", "api_extensions") == "router,port-security"
    assert parser.get("auth", "admin_password") == "secret%1"
    assert parser.get("docker", "api_url") == "unix:///e.sock"


def test_heat_is_not_tried_where_there_is_none() -> None:
    listed = ["heat_tempest_plugin.a.test", "tempest.api.b.test"]
    assert list(unrunnable(Facts(frozenset({"identity"})), listed)) == ["heat_tempest_plugin.a.test"]
    assert unrunnable(Facts(frozenset({"identity", "orchestration"})), listed) == {}
