"""Metrics of all replicas of a machine on one page, in Prometheus' text format.

The page has two doors. `/v1/admin/metrics` leads through the application. The port of one's own (`app.metrics_port`)
does not: it answers when the application refuses everything for overload. One replica of the machine holds that port;
when it ends, another one takes the port within a second.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import errno
import fcntl
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Metric, generate_latest, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from serving.watching.replicas import Replicas, Report

_log = logging.getLogger("attune.watching")
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Told = list[tuple[str, str, str, list[tuple[str, dict[str, str], float]]]]
"""Metric families as JSON: name, help, type, samples (name, labels, value)."""


def told(registry: CollectorRegistry) -> Told:
    """A registry's metrics as they travel between replicas."""
    return [
        (family.name, family.documentation, family.type, [(one.name, one.labels, one.value) for one in family.samples])
        for family in registry.collect()
    ]


class Everybody(Collector):
    """The metrics of all replicas as one collection; the label `replica` tells them apart."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas

    def collect(self) -> Iterable[Metric]:
        """Ask all replicas now; blocks."""
        reports = self._replicas.reports()
        yield GaugeMetricFamily("attune_replicas", "Replicas on this machine that tell of themselves.", len(reports))
        yield from merged(reports)


def merged(reports: Iterable[Report]) -> Iterable[Metric]:
    """One family for each name, with everybody's samples."""
    families: dict[str, Metric] = {}
    for report in reports:
        number = str(report["replica"])
        for name, documentation, kind, samples in report["metrics"]:
            family = families.setdefault(name, Metric(name, documentation, kind))
            for sample, labels, value in samples:
                family.add_sample(sample, {**labels, "replica": number}, value)
    return families.values()


def page(replicas: Replicas) -> bytes:
    """The whole page; blocks."""
    return generate_latest(_registry(replicas))


class MetricsPort:
    """Serves the page on a port, as soon as no other replica of this machine does."""

    def __init__(self, replicas: Replicas, *, host: str, port: int, folder: Path, every_s: float = 1.0) -> None:
        self._registry = _registry(replicas)
        self._host = host
        self._port = port
        self._turn = folder / "port.lock"
        self._every_s = every_s
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics-port", daemon=True)

    def open(self) -> None:
        """Begin to serve, or to wait for one's turn."""
        self._thread.start()

    def close(self) -> None:
        """Leave the port to others."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        said = False
        while not self._closed.wait(0):
            try:
                with _holding(self._turn), self._serving():
                    self._closed.wait()
            except BlockingIOError:  # another replica holds it
                self._closed.wait(self._every_s)
            except OSError as failure:
                if not said:
                    _log.error("no metrics on %s:%d: %s", self._host, self._port, _reason(failure))
                said = True
                self._closed.wait(self._every_s)

    @contextmanager
    def _serving(self) -> Iterator[None]:
        server: WSGIServer
        server, thread = start_http_server(self._port, self._host, self._registry)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _registry(replicas: Replicas) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Everybody(replicas))
    return registry


@contextmanager
def _holding(path: Path) -> Iterator[None]:
    """The lock of that file, until it ends; BlockingIOError where another process has it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _reason(failure: OSError) -> Any:
    taken = failure.errno == errno.EADDRINUSE
    return "somebody else has that port; choose another app.metrics_port" if taken else failure
