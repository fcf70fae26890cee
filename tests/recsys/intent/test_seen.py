"""What questions have seen, counted by hand; instants are minutes."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import MINUTE
from recsys.event import EventType
from recsys.intent.module import last_moment, own_moment
from recsys.intent.seen import Seen
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.loader import Loader
from recsys.sequence.question import question_batch
from tests.recsys.by_hand import Row, histories, spec, state

VIEW, CART, BUY = EventType.VIEW, EventType.ADD_TO_CART, EventType.PURCHASE
FEATURES = spec(known_types=("view", "add_to_cart", "purchase"))
DAY = 24 * 60
CODE = torch.tensor([-1, 0, 0, 1, -1])


def trained(rows: Sequence[Row], *others: Sequence[Row]) -> SequenceBatch:
    loader = Loader.of(histories(rows, *others, unit=MINUTE), FEATURES, batch_tokens=1_000, context=10)
    return loader.load(np.arange(len(loader.windows)))


def asked(*rows: Row, at: int) -> SequenceBatch:
    return question_batch([state(*rows, at=at, unit=MINUTE)], FEATURES)


def logs(*numbers: float) -> list[float]:
    return [float(np.log(number + 0.01)) for number in numbers]


def test_a_question_has_seen_the_moments_before_its_own() -> None:
    batch = trained([(1, 0, VIEW), (2, 5, VIEW), (3, 5, VIEW), (1, 9, VIEW)])
    assert Seen.before_questions(batch).counts(CODE, 2).tolist() == [[0, 0], [1, 0], [2, 1]]


def test_a_moment_has_seen_itself() -> None:
    batch = trained([(1, 0, VIEW), (2, 5, VIEW), (3, 5, VIEW), (4, 9, VIEW)])
    assert Seen.up_to_moments(batch, own_moment(batch)).counts(CODE, 2).tolist() == [[1, 0], [2, 1], [2, 1]]


def test_an_answer_has_seen_everything_and_nobody_has_seen_nothing() -> None:
    batch = asked((1, 0, VIEW), (3, 5, VIEW), at=9)
    for seen in (Seen.before_questions(batch), Seen.up_to_moments(batch, last_moment(batch))):
        assert seen.counts(CODE, 2).tolist() == [[1, 1]]
    nobody = asked(at=9)
    for seen in (Seen.before_questions(nobody), Seen.up_to_moments(nobody, last_moment(nobody))):
        assert seen.counts(CODE, 2).tolist() == [[0, 0]]
        assert seen.pace(BUY).tolist() == [[0] * 9]


def test_the_last_event_stands_in_for_the_question_and_is_seen() -> None:
    batch = question_batch([state((1, 0), (3, 1), at=2)], spec(query="last"))
    assert Seen.before_questions(batch).counts(CODE, 2).tolist() == [[1, 1]]


def test_pace_tells_the_mean_interval_of_purchases_and_the_time_since_the_last() -> None:
    rows = [(1, 0, BUY), (2, 0, BUY), (3, 2 * DAY, VIEW), (1, 2 * DAY + 5, BUY), (1, 6 * DAY, BUY)]
    pace = Seen.before_questions(asked(*rows, at=7 * DAY)).pace(BUY)[0].tolist()
    assert pace[:4] == pytest.approx([*logs(3, 1), 1, 1]), "two rows of one instant are one purchase"
    assert pace[4:6] == pytest.approx([np.log(1 + 4), np.log(1 + 3)])
    assert pace[6:] == [0, 0, 0], "nothing happened in the session that begins with the question"


def test_pace_counts_moments_purchases_and_carts_of_the_running_session() -> None:
    rows = [(1, 0, BUY), (1, 0, CART), (1, 60, VIEW), (2, 65, CART), (3, 70, CART), (3, 75, BUY)]
    running = Seen.before_questions(asked(*rows, at=105)).pace(BUY)[0, 6:].tolist()
    over = Seen.before_questions(asked(*rows, at=106)).pace(BUY)[0, 6:].tolist()
    assert running == pytest.approx([np.log(1 + 4), np.log(1 + 1), np.log(1 + 2)])
    assert over == [0, 0, 0]


def test_one_purchase_has_no_interval_yet() -> None:
    pace = Seen.before_questions(asked((1, 0, BUY), at=DAY)).pace(BUY)[0, :4].tolist()
    assert pace == pytest.approx([0, *logs(1), 0, 1])


EVENTS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 90), st.sampled_from([VIEW, CART, BUY])), min_size=1, max_size=10
)


LONGER: list[Row] = [(4, minute, VIEW) for minute in range(12)]


@settings(max_examples=30, deadline=None)
@given(rows=EVENTS)
def test_training_has_seen_what_answering_has(rows: list[Row]) -> None:
    rows = sorted(rows, key=lambda row: row[1])
    batch = trained(rows, LONGER)
    before, after = Seen.before_questions(batch), Seen.up_to_moments(batch, own_moment(batch))
    for number, query in enumerate(batch.query.tolist()):
        own = LONGER if batch.valid[query // batch.item.shape[1]].all() else rows
        at = int(batch.time.flatten()[query]) // MINUTE
        then = Seen.before_questions(asked(*(row for row in own if row[1] < at), at=at))
        torch.testing.assert_close(before.pace(BUY)[number], then.pace(BUY)[0])
        torch.testing.assert_close(before.counts(CODE, 2)[number], then.counts(CODE, 2)[0])
        later = asked(*(row for row in own if row[1] <= at), at=at + 1)
        past = Seen.up_to_moments(later, last_moment(later))
        torch.testing.assert_close(after.pace(BUY)[number], past.pace(BUY)[0])
        torch.testing.assert_close(after.counts(CODE, 2)[number], past.counts(CODE, 2)[0])
