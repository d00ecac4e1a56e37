"""What is counted and timed, and its rendering for Prometheus.

Counting is on the path of every request, so it is a dict look-up and an addition under a lock, and prometheus-client,
whose import takes longer than the rest of core, is loaded by the first scrape. `request`, `transaction` and `run` have
the signatures of the `observe` hooks of Dispatcher, Database and ReconcileEngine.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from stackyard.core.routes import Route

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "COPY"})
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
_TRANSACTION_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)
_RUN_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)

Labels = tuple[str, ...]


class Counter:
    """Numbers that only grow, one for each combination of labels."""

    __slots__ = ("_lock", "_values", "help", "labels", "name")

    def __init__(self, name: str, help_text: str, labels: Labels) -> None:
        self.name = name
        self.help = help_text
        self.labels = labels
        self._values: dict[Labels, float] = {}
        self._lock = Lock()

    def add(self, labels: Labels, amount: float = 1) -> None:
        """Add to the number of these labels."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + amount

    def collect(self) -> Iterator[Metric]:
        """As prometheus-client's families."""
        from prometheus_client.core import CounterMetricFamily

        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        with self._lock:
            for labels, value in self._values.items():
                family.add_metric(labels, value)
        yield family


class Histogram:
    """How often something took how long, in seconds, for each combination of labels."""

    __slots__ = ("_bounds", "_lock", "_series", "help", "labels", "name")

    def __init__(self, name: str, help_text: str, labels: Labels, bounds: tuple[float, ...]) -> None:
        self.name = name
        self.help = help_text
        self.labels = labels
        self._bounds = bounds
        self._series: dict[Labels, tuple[list[int], list[float]]] = {}
        self._lock = Lock()

    def observe(self, labels: Labels, seconds: float) -> None:
        """Count one duration."""
        with self._lock:
            series = self._series.get(labels)
            if series is None:
                series = self._series[labels] = ([0] * (len(self._bounds) + 1), [0.0])
            series[0][bisect_left(self._bounds, seconds)] += 1
            series[1][0] += seconds

    def collect(self) -> Iterator[Metric]:
        """As prometheus-client's families, buckets cumulative."""
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        bounds = [*map(str, self._bounds), "+Inf"]
        with self._lock:
            for labels, (counts, total) in self._series.items():
                so_far = 0
                buckets = []
                for bound, count in zip(bounds, counts, strict=True):
                    so_far += count
                    buckets.append((bound, so_far))
                family.add_metric(labels, buckets, total[0])
        yield family


class Metrics:
    """Everything one process counts. `queue_depth`, when set, is asked at each scrape: kind -> resources waiting.

    `meters`, when set, as well: metering label -> packets and bytes that this host's routers have counted.
    """

    def __init__(self) -> None:
        self.queue_depth: Callable[[], Mapping[str, int]] | None = None
        self.meters: Callable[[], Mapping[str, tuple[int, int]]] | None = None
        self.requests = Counter("stackyard_http_requests", "HTTP requests.", ("service", "route", "method", "status"))
        self.request_seconds = Histogram(
            "stackyard_http_request_seconds",
            "Time from a request to its answer.",
            ("service", "route", "method"),
            _REQUEST_SECONDS,
        )
        self.transaction_seconds = Histogram(
            "stackyard_transaction_seconds", "Time of a transaction, retries included.", ("name",), _TRANSACTION_SECONDS
        )
        self.transaction_retries = Counter(
            "stackyard_transaction_retries", "Transactions run again since another got in between.", ("name",)
        )
        self.run_seconds = Histogram(
            "stackyard_reconcile_run_seconds", "Time of a reconciler's run.", ("kind", "outcome"), _RUN_SECONDS
        )

    def request(self, service: str, route: Route | None, method: str, status: int, seconds: float) -> None:
        """Count one HTTP request; `route` is None when no route was found."""
        # Labels come from our own tables: what a client makes up must not grow memory.
        path = route.path if route is not None else "none"
        verb = method if method in _METHODS else "other"
        self.requests.add((service, path, verb, str(status)))
        self.request_seconds.observe((service, path, verb), seconds)

    def transaction(self, name: str, seconds: float, retries: int) -> None:
        """Count one committed transaction."""
        self.transaction_seconds.observe((name,), seconds)
        if retries:
            self.transaction_retries.add((name,), retries)

    def run(self, kind: str, outcome: str, seconds: float) -> None:
        """Count one run of a reconciler."""
        self.run_seconds.observe((kind, outcome), seconds)

    def collect(self) -> Iterator[Metric]:
        """Every family, for prometheus-client."""
        for metric in (
            self.requests,
            self.request_seconds,
            self.transaction_seconds,
            self.transaction_retries,
            self.run_seconds,
        ):
            yield from metric.collect()
        if self.queue_depth is not None:
            from prometheus_client.core import GaugeMetricFamily

            family = GaugeMetricFamily(
                "stackyard_reconcile_queue_depth", "Resources waiting for work.", labels=("kind",)
            )
            for kind, waiting in self.queue_depth().items():
                family.add_metric((kind,), waiting)
            yield family
        if self.meters is not None:
            yield from _metered(self.meters())

    def render(self) -> bytes:
        """The answer to a scrape, of type CONTENT_TYPE; with the process's own memory, CPU time and files."""
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        ProcessCollector(registry=registry)
        return generate_latest(registry)


def _metered(meters: Mapping[str, tuple[int, int]]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    for number, what in enumerate(("packets", "bytes")):
        text = f"What a metering label has counted on the routers of this host, in {what}."
        family = CounterMetricFamily(f"stackyard_network_meter_{what}", text, labels=("label",))
        for label, counted in meters.items():
            family.add_metric((label,), counted[number])
        yield family
