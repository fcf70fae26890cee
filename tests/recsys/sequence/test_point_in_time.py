"""Nothing at or after an instant may reach a feature, a vocabulary, a statistic or a training example of that instant.

The check is run on random logs with every column filled and every feature on; that it can fail is shown by planting
leaks. Of the events at the instant itself only their channel and device are shared: those are the question's context.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.catalogue import Catalogue
from recsys.event import EventType
from recsys.feature.statistics import Statistics
from recsys.feature.token import TOKEN_FEATURES, TokenFeature
from recsys.feature.view import View
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.coding import Coding
from recsys.sequence.gather import gather
from recsys.sequence.loader import Loader
from recsys.sequence.survey import Survey
from tests.recsys.log.by_hand import shop
from tests.recsys.sequence.random_logs import (
    CHANNELS,
    UNIT,
    Happening,
    everything_on,
    happenings,
    histories_of,
    name_of,
)

LAST = 7
EVENTS = st.lists(happenings(1, LAST), max_size=10)
AT = st.integers(2, LAST)
SALES = st.lists(happenings(1, LAST, st.just(EventType.PURCHASE)).filter(lambda event: event.item > 0), max_size=10)
SPEC = everything_on(max_length=60, memory=80)


BASKET = [Happening(3, item, EventType.PURCHASE, 1.0, 8.0, 8.0, 0, 0, 5, (1, 2)) for item in (1, 2, 2)]
PAST = [Happening(at, 1, EventType.PURCHASE, 1.0, 1.0, 2.0, 0, 0, 0, (0, 0)) for at in (1, 1, 2)]


def example_at(events: list[Happening], at: int, length: int = 60, context: int = 10) -> dict[str, list[object]]:
    """All that training shows the question at `at`: its own token, and every token that it may look at."""
    spec = replace(SPEC, max_length=length)
    loader = Loader.of(histories_of(events, []), spec, batch_tokens=10_000, context=context)
    batch = loader.load(np.arange(len(loader.windows)))
    width = batch.time.shape[1]
    asking = [query for query in batch.query.tolist() if batch.time.flatten()[query] == at * UNIT]
    row, column = divmod(asking[0], width)  # a long moment is asked about more than once
    seen = batch.attention_mask()[row, 0, column]
    columns = {"item": batch.item, "type": batch.type, "time": batch.time, "position": batch.position}
    columns |= {f"feature {name}": values for name, values in batch.features.items()}
    return {name: values[row, seen].tolist() for name, values in columns.items()}


def as_context(events: list[Happening], at: int) -> list[Happening]:
    """The same events with the channel and device at `at` that every variant of a log has there."""
    return [replace(event, channel=2, device=2) if event.at == at else event for event in events]


def assert_that_nothing_leaks(
    past: list[Happening], futures: list[list[Happening]], at: int, example: Callable[..., object] = example_at
) -> None:
    """The example at `at` is the same whatever happens from `at` on."""
    asked = Happening(at, 1, EventType.PURCHASE, 1.0, 2.0, 3.0, 2, 2, 0, (0, 0))
    before = [event for event in past if event.at < at]
    logs = [as_context([*before, asked, *(e for e in future if e.at >= at)], at) for future in futures]
    examples = [example(log, at) for log in logs]
    assert all(one == examples[0] for one in examples[1:])


@settings(max_examples=120)
@given(past=EVENTS, future=EVENTS, other=EVENTS, at=AT)
def test_no_event_at_or_after_an_instant_changes_the_training_example_of_that_instant(
    past: list[Happening], future: list[Happening], other: list[Happening], at: int
) -> None:
    assert_that_nothing_leaks(past, [[], future, other], at)


@settings(max_examples=120)
@given(past=SALES, basket=st.integers(0, 5), future=SALES, at=AT, length=st.integers(2, 5), context=st.integers(1, 4))
def test_where_windows_are_cut_tells_nothing_of_what_comes(
    past: list[Happening], basket: int, future: list[Happening], at: int, length: int, context: int
) -> None:
    example = partial(example_at, length=length, context=context)
    larger = [replace(event, at=at, item=1) for event in BASKET for _ in range(basket)]
    assert_that_nothing_leaks(past, [[], larger, [*larger, *future]], at, example)


@settings(max_examples=60)
@given(past=EVENTS, future=EVENTS, at=AT, seed=st.randoms(use_true_random=False))
def test_the_order_in_which_a_basket_is_stored_changes_no_feature_of_anybody(
    past: list[Happening], future: list[Happening], at: int, seed: object
) -> None:
    asked = Happening(at, 1, EventType.PURCHASE, 1.0, 2.0, 3.0, 2, 2, 0, (0, 0))
    log = as_context([*past, asked, *future], at)
    shuffled = list(log)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    one, two = (example_at(events, at) for events in (log, shuffled))
    assert sorted(map(repr, zip(*one.values(), strict=True))) == sorted(map(repr, zip(*two.values(), strict=True)))


def counting(before: np.ufunc) -> TokenFeature:
    """How many things the shopper did up to a moment; what "up to" means is for `before` to say."""

    def counted(view: View) -> np.ndarray:
        return np.array([np.count_nonzero(before(view.events.time, at)) for at in view.at])

    return TokenFeature(classes=lambda spec: 100, moment=counted)


def test_the_check_passes_a_feature_that_looks_strictly_backwards_and_fails_one_that_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(TOKEN_FEATURES, "gap", counting(np.less))
    assert_that_nothing_leaks(PAST, [[], BASKET], at=3)
    monkeypatch.setitem(TOKEN_FEATURES, "gap", counting(np.less_equal))
    with pytest.raises(AssertionError):
        assert_that_nothing_leaks(PAST, [[], BASKET], at=3)


def test_the_check_fails_where_attention_reaches_its_own_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    def mask(batch: SequenceBatch) -> torch.Tensor:
        return (batch.time[:, :, None] >= batch.time[:, None, :])[:, None]

    monkeypatch.setattr(SequenceBatch, "attention_mask", mask)
    with pytest.raises(AssertionError):
        assert_that_nothing_leaks(PAST, [[], BASKET], at=3)


def learnt(events: list[Happening], folder: Path, *, cutoff: int, until: int | None) -> dict[str, object]:
    """All that is fixed with a cut-off, from a written log: vocabularies, catalogue order and statistics."""
    rows = [
        {
            "event_id": str(number),
            "type": event.kind.value,
            "occurred_at": event.at * UNIT,
            "user_id": None if number % 4 == 3 else f"shopper-{number % 3}",
            "anonymous_id": f"visitor-{number % 2}" if number % 5 == 0 or number % 4 == 3 else None,
            "item_id": "abcdefg"[event.item] if event.item else None,
            "quantity": event.quantity,
            "price": None if np.isnan(event.price) else event.price,
            "list_price": None if np.isnan(event.list_price) else event.list_price,
            "channel": name_of(CHANNELS, event.channel),
            "device": f"device {event.position}",
        }
        for number, event in enumerate(events)
    ]
    write_log(replace(shop(*rows), sold="abcdefg"), folder)
    log = EventLog(folder)
    survey = Survey.of(log, until=until)
    catalogue = Catalogue.of_table(log.items(cutoff * UNIT), survey.items.to_pylist())
    coding = Coding(catalogue, survey.channels, survey.devices)
    histories = gather(log, survey, coding, folder / "cache" / "histories-1", lookback=50)
    found = Statistics.learn(
        histories.events_once(), catalogue=catalogue, category=catalogue.categories(3)[0], until=until
    )
    return {
        "items": survey.items.to_pylist(),
        "types": survey.types,
        "channels": survey.channels,
        "devices": survey.devices,
        **{name: array.tobytes() for name, array in found.arrays().items()},
    }


def assert_that_nothing_is_learnt_from_later(
    past: list[Happening], futures: list[list[Happening]], at: int, folder: Path, *, until: int | None
) -> None:
    before = [event for event in past if event.at < at]
    logs = [[*before, *(event for event in future if event.at >= at)] for future in futures]
    found = [learnt(log, folder / f"log-{number}", cutoff=at, until=until) for number, log in enumerate(logs)]
    assert all(one == found[0] for one in found[1:])


SOLD = Happening(1, 1, EventType.PURCHASE, 1.0, 2.0, 3.0, 2, 2, 0, (0, 0))


@settings(max_examples=25)
@given(past=EVENTS, future=EVENTS.filter(len), at=AT)
def test_no_event_at_or_after_the_cut_off_changes_a_vocabulary_or_a_statistic(
    past: list[Happening], future: list[Happening], at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    assert_that_nothing_is_learnt_from_later([SOLD, *past], [[], future], at, folder, until=at * UNIT)


def test_that_check_fails_where_all_of_the_log_is_learnt_from(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        assert_that_nothing_is_learnt_from_later([SOLD, *PAST], [[], BASKET], 3, tmp_path, until=None)
