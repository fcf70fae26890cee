"""Where sequences are cut."""

import numpy as np
import pytest

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.event import EventType
from recsys.metric.evaluation import cases_between
from recsys.sequence.histories import ALWAYS, NEVER, Histories
from recsys.split.cut import Cut
from recsys.split.given import Given
from recsys.split.leave_one_out import LeaveOneOut
from recsys.split.temporal import Temporal
from tests.recsys.by_hand import Row, histories

VIEW = EventType.VIEW


def learnt(log: Histories, cut: Cut) -> list[list[int]]:
    """The items that may be learnt from, for each shopper who has any."""
    return [h.item.tolist() for h in log.where(log.events.time < cut.learn_until[log.owner()])]


def asked(log: Histories, since: np.ndarray, until: np.ndarray) -> list[tuple[int, list[int], list[int]]]:
    """(shopper, history, targets) of each question."""
    cases = cases_between(log, since=since, until=until, wanted=(EventType.PURCHASE, VIEW))
    return [(case.shopper, case.state.history.item.tolist(), case.target.tolist()) for case in cases]


ANN: list[Row] = [(1, 1), (2, 5), (3, 5), (4, 8), (5, 9)]
BOB: list[Row] = [(6, 2), (7, 9)]


def test_a_temporal_split_cuts_everybody_at_the_same_instants() -> None:
    log = histories(ANN, BOB, unit=DAY)
    cut = Temporal(validation_days=3).cut(log, cutoff=9 * DAY)
    assert learnt(log, cut) == [[1, 2, 3], [6]]
    assert asked(log, cut.validation_from, cut.test_from) == [(0, [1, 2, 3], [4])]
    end = np.full(2, NEVER)
    assert asked(log, cut.test_from, end) == [(0, [1, 2, 3, 4], [5]), (1, [6], [7])]
    assert Temporal().vocabulary_until(9 * DAY) == 9 * DAY


def test_leave_one_out_asks_for_the_last_two_moments_of_those_who_have_three() -> None:
    log = histories(ANN, BOB)
    cut = LeaveOneOut().cut(log, cutoff=0)
    assert learnt(log, cut) == [[1, 2, 3], [6, 7]], "bob has two moments: he is learnt from only"
    assert asked(log, cut.validation_from, cut.test_from) == [(0, [1, 2, 3], [4])]
    assert asked(log, cut.test_from, np.full(2, NEVER)) == [(0, [1, 2, 3, 4], [5])]
    assert LeaveOneOut().vocabulary_until(5) is None


def test_leave_one_out_counts_only_what_the_shopper_did_with_known_items() -> None:
    log = histories([(1, 1), (2, 2), (3, 3), (4, 4, EventType.IMPRESSION), (0, 5)])
    cut = LeaveOneOut().cut(log, cutoff=0)
    assert (cut.validation_from.tolist(), cut.test_from.tolist()) == ([2_000_000], [3_000_000])


def test_a_given_split_asks_for_the_last_event_of_each_test_session_and_learns_nothing_of_it() -> None:
    sessions: list[list[Row]] = [[(n, 10 * n), (n + 1, 10 * n + 1), (n + 2, 10 * n + 2)] for n in range(1, 11)]
    tested: list[Row] = [(1, 200), (2, 201), (3, 202)]
    log = histories(*sessions, tested)
    cut = Given(validation_share=0.2).cut(log, cutoff=150 * 1_000_000)
    assert learnt(log, cut) == [[n, n + 1, n + 2] for n in range(1, 9)]
    counted = log.where(log.events.time < cut.count_until[log.owner()])
    assert len(counted) == 10, "a prefix of one test row may hold the target of another"
    assert asked(log, cut.validation_from, cut.test_from) == [(8, [9, 10], [11]), (9, [10, 11], [12])]
    assert asked(log, cut.test_from, np.full(11, NEVER)) == [(10, [1, 2], [3])]


def test_a_given_split_asks_nothing_of_a_session_with_a_single_event() -> None:
    log = histories([(1, 1)], [(2, 9)])
    cut = Given().cut(log, cutoff=5 * 1_000_000)
    assert cut.test_from.tolist() == [NEVER, NEVER]
    assert cut.learn_until[1] == ALWAYS


@pytest.mark.parametrize("share", [0, 1, -0.5])
def test_a_validation_share_that_leaves_nothing_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=rf"split\.validation_share is {share}"):
        Given(validation_share=share)


def test_no_validation_days_are_refused() -> None:
    with pytest.raises(ConfigError, match="validation_days is 0"):
        Temporal(validation_days=0)
