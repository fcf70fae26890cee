"""Windows, targets and the order of batches."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import ConfigError, TrainingError
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.loader import Loader
from recsys.sequence.question import question_batch
from recsys.target.horizon import Horizon
from tests.recsys.by_hand import SECOND, Row, histories, spec, state

MOMENTS = st.lists(st.integers(1, 9), max_size=8)
"""Sizes of a shopper's baskets, one basket a second."""


def shopper(sizes: list[int], *, number: int = 0) -> list[Row]:
    """Items are numbered so that each event's is told from its place: shopper, second, place in the basket."""
    return [(1 + number * 10_000 + at * 100 + place, at + 1) for at, size in enumerate(sizes) for place in range(size)]


def pairs(batch: SequenceBatch) -> list[tuple[int, int, int]]:
    """(row of the batch, instant of the query in seconds, target) of every pair."""
    query = batch.query[batch.pair_query]
    rows, times = query // batch.time.shape[1], batch.time.flatten()[query] // SECOND
    return list(zip(rows.tolist(), times.tolist(), batch.pair_target.tolist(), strict=True))


@settings(deadline=None)
@given(
    sizes=st.lists(MOMENTS, min_size=1, max_size=3).filter(lambda shoppers: any(map(len, shoppers))),
    length=st.integers(2, 12),
    context=st.integers(1, 15),
    batch_tokens=st.integers(1, 60),
)
def test_every_event_is_a_target_once_an_epoch_and_of_its_own_moment(
    sizes: list[list[int]], length: int, context: int, batch_tokens: int
) -> None:
    shoppers = [shopper(moments, number=number) for number, moments in enumerate(sizes) if moments]
    loader = Loader.of(histories(*shoppers), spec(max_length=length), batch_tokens=batch_tokens, context=context)
    seen = []
    for batch in loader.epoch(seed=0, epoch=0):
        assert int((batch.valid & ~batch.is_query).sum(1).max()) < length + max(map(max, filter(None, sizes)))
        assert int(batch.position.max()) < length, "as many moments as a question has"
        assert bool(batch.is_query.flatten()[batch.query].all())
        for row, instant, target in pairs(batch):
            assert (target % 10_000 - 1) // 100 + 1 == instant, "a target is asked for at its own instant"
            owners = {(item - 1) // 10_000 for item in batch.item[row].tolist() if item}
            assert owners == {(target - 1) // 10_000}, "and of its own shopper"
            seen.append(target)
    assert sorted(seen) == sorted(row[0] for rows in shoppers for row in rows)


@settings(deadline=None)
@given(count=st.integers(2, 30), length=st.integers(2, 8), context=st.integers(1, 10))
def test_in_literature_mode_every_event_but_the_first_is_a_target_once(count: int, length: int, context: int) -> None:
    rows: list[Row] = [(at, at) for at in range(1, count + 1)]
    loader = Loader.of(histories(rows), spec(max_length=length, query="last"), batch_tokens=20, context=context)
    seen = []
    for batch in loader.epoch(seed=0, epoch=0):
        assert batch.item.shape[1] <= length + 1
        for _, instant, target in pairs(batch):
            assert target == instant + 1, "the event before asks for it"
            seen.append(target)
    assert sorted(seen) == list(range(2, count + 1))


def test_a_window_repeats_what_came_before_as_history_only() -> None:
    loader = Loader.of(histories(shopper([2, 2, 2, 2])), spec(max_length=6), batch_tokens=100, context=3)
    windows = loader.windows
    assert windows.begin.tolist() == [0, 6]
    assert windows.target_from.tolist() == [0, 9]
    assert windows.end.tolist() == [9, 12]


def test_training_knows_every_position_that_a_question_may_have() -> None:
    clicks = [1] * 40
    loader = Loader.of(histories(shopper(clicks)), spec(max_length=8), batch_tokens=100, context=3)
    trained = {int(p) for batch in loader.epoch(seed=0, epoch=0) for p in batch.position.flatten()[batch.query]}
    long = state(*((item, item) for item in range(1, 40)), at=99)
    asked = question_batch([long], spec(max_length=8))
    assert trained == set(range(8))
    assert int(asked.position.flatten()[asked.query]) == 7


def test_moments_before_since_are_history_only() -> None:
    log = histories(shopper([1, 2, 1]))
    loader = Loader.of(log, spec(), batch_tokens=100, context=10, since=2 * SECOND)
    (batch,) = loader.epoch(seed=0, epoch=0)
    assert sorted(target for _, _, target in pairs(batch)) == [101, 102, 201]
    assert 1 in batch.item.flatten().tolist()


def test_a_log_that_ends_before_since_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"data\.cutoff"):
        Loader.of(histories(shopper([1, 2])), spec(), batch_tokens=100, context=10, since=99 * SECOND)


def test_the_order_of_batches_is_that_of_seed_and_epoch() -> None:
    log = histories(*(shopper([1] * (number % 7 + 1), number=number) for number in range(40)))
    loader = Loader.of(log, spec(), batch_tokens=30, context=10)

    def order(seed: int, epoch: int) -> list[list[int]]:
        return [chosen.tolist() for chosen in loader.batches(seed=seed, epoch=epoch)]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_a_batch_holds_at_most_its_tokens_padding_counted() -> None:
    log = histories(*(shopper([number % 5 + 1], number=number) for number in range(50)))
    loader = Loader.of(log, spec(), batch_tokens=30, context=10)
    sizes = [batch.item.numel() for batch in loader.epoch(seed=0, epoch=0)]
    assert max(sizes) <= 30
    assert len(sizes) <= sum(range(2, 7)) * 10 // 30 + 3, "and they are well filled"


def test_asking_at_the_last_event_refuses_a_log_with_baskets() -> None:
    with pytest.raises(ConfigError, match=r"1 of 3 events share .* features\.query=token"):
        Loader.of(histories([(1, 1), (2, 1), (3, 2)]), spec(query="last"), batch_tokens=100, context=1)


def test_another_shopper_at_the_same_instant_is_no_tie() -> None:
    loader = Loader.of(histories([(1, 1), (2, 2)], [(3, 2)]), spec(query="last"), batch_tokens=100, context=1)
    assert len(loader.windows.begin) == 2


def test_tokens_count_events_neither_padding_nor_questions() -> None:
    loader = Loader.of(histories(shopper([3]), shopper([1, 1], number=1)), spec(), batch_tokens=100, context=10)
    (batch,) = loader.epoch(seed=0, epoch=0)
    assert batch.tokens == 5
    assert np.count_nonzero(batch.valid) == 5 + 3


@settings(deadline=None)
@given(
    sizes=st.lists(MOMENTS, min_size=1, max_size=3).filter(lambda shoppers: any(map(len, shoppers))),
    length=st.integers(2, 12),
    context=st.integers(1, 15),
    since=st.integers(0, 6),
    days=st.sampled_from([0.0, 2.0, 5.0]),
    last=st.booleans(),
)
def test_how_often_an_item_is_asked_for_is_what_the_batches_hold(
    sizes: list[list[int]], length: int, context: int, since: int, days: float, last: bool
) -> None:
    baskets = [[1] * len(moments) if last else moments for moments in sizes if moments]
    shoppers = [shopper(moments, number=number) for number, moments in enumerate(baskets)]
    target = Horizon(days=days / 86_400) if days else None
    kind = spec(max_length=length, query="last" if last else "token")
    try:
        loader = Loader.of(
            histories(*shoppers), kind, batch_tokens=30, context=context, since=since * SECOND, target=target
        )
    except TrainingError:
        return
    found = Counter(pair for batch in loader.epoch(seed=0, epoch=0) for pair in batch.pair_target.tolist())
    counts = loader.asked(40_000)
    assert {item: int(counts[item]) for item in counts.nonzero()[:, 0].tolist()} == found


def test_padding_is_the_share_of_cells_without_a_token() -> None:
    short, long = [(1, 1), (2, 2)], [(1, 1), (2, 2), (3, 3), (4, 4)]
    loader = Loader.of(histories(short, long), spec(max_length=8, query="last"), batch_tokens=8, context=0)
    assert loader.padding() == pytest.approx(2 / 8), "one batch of two rows, four wide, six tokens"
    alone = Loader.of(histories(short, long), spec(max_length=8, query="last"), batch_tokens=4, context=0)
    assert alone.padding() == 0
