"""What a replica counts and times: one object with a method for everything that happens, called where it happens.

Recording costs one or two microseconds a call (`python -m tests.benchmark.metering`). Names follow Prometheus' own
rules (https://prometheus.io/docs/practices/naming/): base units, `_total` for what only grows.
`conf/deploy/grafana/attune.json` draws all of them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics

from serving.watching.distribution import Distribution, Series
from serving.watching.drift import SlatesLately

disable_created_metrics()  # type: ignore[no-untyped-call]  # a time of birth for every series would double their number

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_AGES_S = (0.01, 0.1, 1, 10, 60, 600, 3_600, 6 * 3_600, 86_400, 7 * 86_400, 30 * 86_400)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_REMEMBERED = 1_000

FULL = "full"
"""The highest rung of the ladder: nothing was missing."""


class Stage(StrEnum):
    """A part of an answer that takes time of its own."""

    STORE = "store"
    """Reading what the shopper did."""
    STATE = "state"
    """Turning it into what the recommender reads; a part of the next but one."""
    WAIT = "wait"
    """Waiting until the recommender is free."""
    RECOMMENDER = "recommender"
    """The batch in which the answer was made: state, features, encoder, retrieval, ranking, policy."""
    WHOLE = "whole"
    """From the question to the answer."""


class Meter:
    """All metrics of one replica, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.slates = SlatesLately(_REMEMBERED)
        ProcessCollector(registry=self.registry)
        self._make_requests()
        self._make_answers()
        self._make_listening()
        self._make_release()

    def _make_requests(self) -> None:
        self._requests = Distribution(
            "attune_request_seconds",
            "Time from a request's arrival at the application to its answer.",
            labels=("method", "route", "status"),
            bounds=_SECONDS,
            registry=self.registry,
        )
        self._request: dict[tuple[str, str, int], Series] = {}
        self._in_flight = 0  # requests begin and end on one thread, so that a number does
        self._gauge("attune_requests_in_flight", "Requests being worked on.", lambda: self._in_flight)
        self._shed = Counter("attune_requests_shed_total", "Requests refused for overload.", registry=self.registry)

    def _make_answers(self) -> None:
        stages = Distribution(
            "attune_answer_stage_seconds",
            "Time that an answer spent in each stage.",
            labels=("stage",),
            bounds=_SECONDS,
            registry=self.registry,
        )
        self._stage = {stage: stages.of(stage.value) for stage in Stage}
        self._answers = Counter(
            "attune_answers_total", "Answers by rung of the degradation ladder.", ("rung",), registry=self.registry
        )
        self._rung = {FULL: self._answers.labels(FULL)}
        self._newest = Distribution(
            "attune_answer_newest_event_age_seconds",
            "Age, at the answer, of the newest event that it knew.",
            bounds=_AGES_S,
            registry=self.registry,
        ).of()
        self._batches = Distribution(
            "attune_batch_size", "Questions answered in one go.", bounds=_BATCHES, registry=self.registry
        ).of()
        self._rung_failures = Counter(
            "attune_rung_failures_total",
            "Batches that a rung of the ladder failed on, by the rung.",
            ("rung",),
            registry=self.registry,
        )
        self._gauge("attune_slate_items_distinct", "Items in the latest 1,000 slates.", self.slates.distinct)
        self._gauge(
            "attune_score_drift",
            "Population stability index of the best scores: latest 1,000 slates against the release's first.",
            self.slates.drift,
        )

    def _make_listening(self) -> None:
        events = Counter("attune_events_total", "Events by what became of them.", ("status",), registry=self.registry)
        self._events = {status: events.labels(status) for status in ("accepted", "duplicate", "rejected")}
        past = Counter(
            "attune_events_backfilled_total",
            "Events of the past by what became of them; they count nowhere else.",
            ("status",),
            registry=self.registry,
        )
        self._past = {status: past.labels(status) for status in self._events}
        self._append = Distribution(
            "attune_event_append_seconds",
            "Time until events were durable, one observation a request.",
            bounds=_SECONDS,
            registry=self.registry,
        ).of()
        self._exported = Counter("attune_events_exported_total", "Events in exported files.", registry=self.registry)
        self._slates_exported = Counter(
            "attune_exposures_exported_total", "Slates in exported files.", registry=self.registry
        )
        self._export_lag = Gauge(
            "attune_export_lag_seconds",
            "For how long, at most, the oldest event that is in no file has been waiting.",
            registry=self.registry,
        )
        self._export_waiting = Gauge(
            "attune_export_waiting_events", "Events that are in no file yet.", registry=self.registry
        )
        self._export_failing = Gauge(
            "attune_export_failing", "1 where the latest round of export failed.", registry=self.registry
        )
        exposures = Counter(
            "attune_exposures_total", "Slates by what became of their record.", ("outcome",), registry=self.registry
        )
        self._exposures = {outcome: exposures.labels(outcome) for outcome in ("written", "lost")}
        self._store_errors = Counter(
            "attune_store_errors_total",
            "Failures of the store by what was asked.",
            ("operation",),
            registry=self.registry,
        )

    def _make_release(self) -> None:
        self._release = Gauge(
            "attune_release_info", "The release that answers; always 1.", ("model_version",), registry=self.registry
        )
        self._items = Gauge("attune_release_items", "Items that the release knows.", registry=self.registry)
        self._data_end = Gauge(
            "attune_release_data_end_timestamp_seconds",
            "The end of the log that the release was trained on.",
            registry=self.registry,
        )
        self._since = Gauge(
            "attune_release_since_timestamp_seconds", "When the release began to answer.", registry=self.registry
        )

    def begins(self) -> None:
        """A request came in."""
        self._in_flight += 1

    def ends(self, method: str, route: str, status: int, took_s: float) -> None:
        """It was answered."""
        self._in_flight -= 1
        series = self._request.get((method, route, status))
        if series is None:
            series = self._request[method, route, status] = self._requests.of(method, route, str(status))
        series.observe(took_s)

    def shed(self) -> None:
        """A request was refused because too many were on their way."""
        self._shed.inc()

    def stage(self, stage: Stage, took_s: float) -> None:
        """An answer spent this time in a stage."""
        self._stage[stage].observe(took_s)

    def laps(self) -> "Laps":
        """A watch for one answer, started now."""
        return Laps(self)

    def batch(self, waits_s: Sequence[float], took_s: float) -> None:
        """Questions were answered in one go, each after waiting so long."""
        self._batches.observe(len(waits_s))
        wait, recommender = self._stage[Stage.WAIT].observe, self._stage[Stage.RECOMMENDER].observe
        for wait_s in waits_s:
            wait(wait_s)
            recommender(took_s)

    def answered(self, rung: str, *, item_ids: Sequence[str], top_score: float, newest_s: float | None) -> None:
        """A slate left: from which rung of the ladder, with what in it, how old the newest event is that it knew (None
        for none). Scores of one rung cannot be compared with another's, so only the highest counts for drift."""
        counter = self._rung.get(rung)
        if counter is None:
            counter = self._rung[rung] = self._answers.labels(rung)
        counter.inc()
        if newest_s is not None:
            self._newest.observe(newest_s)
        if rung == FULL and item_ids:
            self.slates.show(item_ids, top_score)

    def rung_failed(self, rung: str) -> None:
        """A rung of the ladder could not bear a batch."""
        self._rung_failures.labels(rung).inc()

    def heard(self, counts: Mapping[str, int], took_s: float) -> None:
        """Events came in: how many became what, and how long it took until they were durable."""
        for status, child in self._events.items():
            if count := counts.get(status, 0):
                child.inc(count)
        self._append.observe(took_s)

    def backfilled(self, counts: Mapping[str, int]) -> None:
        """Events of the past came in: how many became what."""
        for status, child in self._past.items():
            child.inc(counts.get(status, 0))

    def exported(self, events: int, *, lag_s: float, slates: int = 0, waiting: int = 0, failing: bool = False) -> None:
        """So many more events and slates are in files; so many other events wait, the oldest for so long; the latest
        round failed."""
        self._exported.inc(events)
        self._slates_exported.inc(slates)
        self._export_lag.set(lag_s)
        self._export_waiting.set(waiting)
        self._export_failing.set(failing)

    def exposed(self, written: int = 0, *, lost: int = 0) -> None:
        """Records of slates were written or lost."""
        self._exposures["written"].inc(written)
        self._exposures["lost"].inc(lost)

    def store_failed(self, operation: str) -> None:
        """The store could not do what was asked."""
        self._store_errors.labels(operation).inc()

    def released(self, model_version: str, *, items: int, data_end_s: float) -> None:
        """Another release answers from now on."""
        self._release.clear()
        self._release.labels(model_version).set(1)
        self._items.set(items)
        self._data_end.set(data_end_s)
        self._since.set(time.time())
        self.slates.begin()

    def follow(self, *, items_revision: Callable[[], int], refused: Callable[[], bool]) -> None:
        """Whom to ask for the last change of an item taken over, and whether the wanted release was refused."""
        self._gauge("attune_items_revision", "The last change of an item that was taken over.", items_revision)
        self._gauge("attune_release_refused", "1 where the wanted release was refused.", refused)

    def lately(self) -> dict[Stage, list[float]]:
        """Seconds that the latest answers spent in each stage, oldest first."""
        return {stage: series.latest() for stage, series in self._stage.items()}

    def newest(self) -> list[float]:
        """Seconds between the newest event that an answer knew and the answer; of the latest ones."""
        return self._newest.latest()

    def _gauge(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        Gauge(name, documentation, registry=self.registry).set_function(value)


class Laps:
    """A watch for one answer: `lap` books the time since the last lap under a stage, `whole` that since the start."""

    __slots__ = ("_last", "_meter", "started")

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.started = self._last = time.perf_counter()

    def lap(self, stage: Stage) -> None:
        """The stage that ends now."""
        now = time.perf_counter()
        self._meter.stage(stage, now - self._last)
        self._last = now

    def whole(self) -> float:
        """The answer is there; seconds since the start."""
        took_s = time.perf_counter() - self.started
        self._meter.stage(Stage.WHOLE, took_s)
        return took_s
