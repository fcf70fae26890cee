"""Histograms whose recordings are gathered: what is told of them is as if each had been counted at once."""

import threading
from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from serving.watching.distribution import Distribution, Series


def distribution(*bounds: float, remembered: int = 1_000) -> tuple[Distribution, Series, CollectorRegistry]:
    registry = CollectorRegistry()
    found = Distribution("took_seconds", "Time.", bounds=bounds, registry=registry, remembered=remembered)
    return found, found.of(), registry


def test_a_value_on_a_bound_is_below_it() -> None:
    _, series, _ = distribution(1.0, 2.0)
    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        series.observe(value)
    assert series.cumulative() == ([2, 4, 5], 14.0)


def test_the_page_says_it_as_prometheus_expects_it() -> None:
    _, series, registry = distribution(0.25, 1.0)
    for value in (0.1, 0.2, 0.7, 3.0):
        series.observe(value)
    [family] = registry.collect()
    told = {(one.name, one.labels.get("le")): one.value for one in family.samples}
    assert family.type == "histogram"
    assert told == {
        ("took_seconds_bucket", "0.25"): 2,
        ("took_seconds_bucket", "1.0"): 3,
        ("took_seconds_bucket", "+Inf"): 4,
        ("took_seconds_count", None): 4,
        ("took_seconds_sum", None): 4.0,
    }


@given(values=st.lists(st.integers(0, 20), max_size=60), looks=st.sets(st.integers(0, 60)))
def test_looking_in_between_changes_nothing(values: list[int], looks: set[int]) -> None:
    bounds = [1, 5, 10]
    _, series, _ = distribution(*bounds, remembered=8)
    for number, value in enumerate(values):
        series.observe(value)
        if number in looks:
            series.latest()
    by_hand = [sum(bisect_left(bounds, value) <= place for value in values) for place in range(len(bounds) + 1)]
    assert series.cumulative() == (by_hand, sum(values))
    assert series.latest() == values[-8:]


def test_no_value_is_lost_between_threads_that_record_and_one_that_looks() -> None:
    _, series, _ = distribution(0.5)
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            series.cumulative()

    looking = threading.Thread(target=look)
    recording = [threading.Thread(target=lambda: [series.observe(1.0) for _ in range(20_000)]) for _ in range(3)]
    for thread in (looking, *recording):
        thread.start()
    for thread in recording:
        thread.join()
    done.set()
    looking.join()
    assert series.cumulative() == ([0, 60_000], 60_000.0)


def test_labels_keep_series_apart() -> None:
    registry = CollectorRegistry()
    found = Distribution("took_seconds", "Time.", bounds=(1.0,), registry=registry, labels=("route",))
    found.of("/a").observe(0.5)
    found.of("/b").observe(0.5)
    found.of("/b").observe(0.5)
    [family] = registry.collect()
    counts = {one.labels["route"]: one.value for one in family.samples if one.name == "took_seconds_count"}
    assert counts == {"/a": 1, "/b": 2}
