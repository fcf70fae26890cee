"""The wisdom of crowds of the last days."""

import numpy as np

from recsys.clock import DAY
from recsys.retrieval.popular import Popular
from tests.recsys.by_hand import histories, state

LOG = histories([(1, 1), (1, 5), (2, 5), (3, 9)], [(2, 6)], unit=DAY)


def fitted(*, until: int, days: int = 7) -> Popular:
    source = Popular(days=days)
    source.fit(LOG, items=5, until=until * DAY, category=np.zeros(5, np.int64))
    return source


def test_items_are_ranked_by_their_share_of_recent_baskets() -> None:
    found = fitted(until=9, days=7).candidates(state(at=1))
    assert found.item.tolist() == [2, 1]
    assert found.score.tolist() == [1.0, 0.5], "two baskets between day 2 and day 9"


def test_nothing_from_the_cut_on_counts() -> None:
    assert 3 not in fitted(until=9).candidates(state(at=1)).item
    assert 3 in fitted(until=10).candidates(state(at=1)).item


def test_ties_go_to_the_smaller_index_and_count_cuts() -> None:
    source = fitted(until=10, days=30)
    assert source.candidates(state(at=1)).item.tolist() == [1, 2, 3]
    assert source.candidates(state(at=1), 2).item.tolist() == [1, 2]


def test_a_window_without_events_proposes_nothing() -> None:
    assert len(fitted(until=99).candidates(state(at=1))) == 0


def test_what_was_learnt_can_be_handed_to_the_constructor() -> None:
    source = fitted(until=9)
    again = Popular(**source.settings(), **source.arrays())  # type: ignore[arg-type]
    assert again.candidates(state(at=1)).item.tolist() == [2, 1]
