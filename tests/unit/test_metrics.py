"""Counts are right under threads, cheap, and rendered as Prometheus reads them."""

from __future__ import annotations

import subprocess
import sys
import timeit
from concurrent.futures import ThreadPoolExecutor

import prometheus_client
from prometheus_client.parser import text_string_to_metric_families

from stackyard.core.metrics import CONTENT_TYPE, Metrics
from stackyard.core.routes import Route

ROUTE = Route("GET", "/v2.0/ports/{port_id}", lambda tx, call: {}, "get_port")


def _samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_requests_are_counted_and_timed() -> None:
    metrics = Metrics()
    metrics.request("network", ROUTE, "GET", 200, 0.004)
    metrics.request("network", ROUTE, "GET", 200, 0.006)
    metrics.request("network", ROUTE, "GET", 404, 100.0)
    found = _samples(metrics)
    labels = (("method", "GET"), ("route", "/v2.0/ports/{port_id}"), ("service", "network"))
    assert found["stackyard_http_requests_total", (*labels, ("status", "200"))] == 2
    assert found["stackyard_http_requests_total", (*labels, ("status", "404"))] == 1
    assert found["stackyard_http_request_seconds_count", labels] == 3
    assert found["stackyard_http_request_seconds_sum", labels] == 100.01
    buckets = {dict(key[1])["le"]: value for key, value in found.items() if key[0].endswith("request_seconds_bucket")}
    assert (buckets["0.0025"], buckets["0.005"], buckets["0.01"], buckets["60.0"], buckets["+Inf"]) == (0, 1, 2, 2, 3)


def test_what_clients_make_up_does_not_grow_the_labels() -> None:
    metrics = Metrics()
    for number in range(100):
        metrics.request("network", None, f"MADEUP{number}", 405, 0.001)
    found = [key for key in _samples(metrics) if key[0] == "stackyard_http_requests_total"]
    assert [dict(labels) for _, labels in found] == [
        {"service": "network", "route": "none", "method": "other", "status": "405"}
    ]


def test_transactions_runs_and_the_queue() -> None:
    metrics = Metrics()
    metrics.transaction("POST /ports", 0.001, 0)
    metrics.transaction("POST /ports", 0.002, 3)
    metrics.run("port", "done", 0.02)
    metrics.queue_depth = lambda: {"port": 4}
    metrics.meters = lambda: {"label-1": (7, 900)}
    found = _samples(metrics)
    assert found["stackyard_transaction_seconds_count", (("name", "POST /ports"),)] == 2
    assert found["stackyard_transaction_retries_total", (("name", "POST /ports"),)] == 3
    assert found["stackyard_reconcile_run_seconds_count", (("kind", "port"), ("outcome", "done"))] == 1
    assert found["stackyard_reconcile_queue_depth", (("kind", "port"),)] == 4
    assert found["stackyard_network_meter_packets_total", (("label", "label-1"),)] == 7
    assert found["stackyard_network_meter_bytes_total", (("label", "label-1"),)] == 900
    assert found["process_resident_memory_bytes", ()] > 0


def test_no_count_is_lost_between_threads() -> None:
    metrics = Metrics()

    def count() -> None:
        for _ in range(2000):
            metrics.run("port", "done", 0.001)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(count) for _ in range(8)]:
            done.result()
    assert _samples(metrics)["stackyard_reconcile_run_seconds_count", (("kind", "port"), ("outcome", "done"))] == 16000


def test_the_content_type_is_that_of_the_rendering() -> None:
    assert prometheus_client.CONTENT_TYPE_LATEST == CONTENT_TYPE


def test_counting_is_cheap_and_loads_no_prometheus_client() -> None:
    metrics = Metrics()
    once = min(timeit.repeat(lambda: metrics.request("n", ROUTE, "GET", 200, 0.001), number=2000, repeat=5)) / 2000
    assert once < 20e-6  # some 1.3 us on an idle machine
    script = (
        "import sys; from stackyard.core.metrics import Metrics; Metrics().transaction('x', 1, 1); "
        "sys.exit('prometheus_client' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
