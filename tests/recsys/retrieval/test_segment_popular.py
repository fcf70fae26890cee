"""Segments of shoppers and what they take, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.event import EventType
from recsys.protocols import Segmentation
from recsys.retrieval.behaviour import Behaviour
from recsys.retrieval.rfm import RFM
from recsys.retrieval.segment_popular import SegmentPopular
from recsys.slate import Reason
from recsys.state import Context, ShopperState
from tests.recsys.by_hand import Row, histories, state

CATEGORY = np.array([0, 1, 1, 2, 2])
BREAD: list[list[Row]] = [[(1, 80), (1, 85), (1, 90)], [(1, 70), (2, 75), (2, 90)]]
MILK: list[list[Row]] = [[(3, 80), (3, 85), (4, 90)], [(3, 2), (3, 3), (3, 4)]]
KINDS = Behaviour(segments=2)


def fitted(**settings: object) -> SegmentPopular:
    source = SegmentPopular(segments=KINDS, **settings)  # type: ignore[arg-type]
    source.fit(histories(*BREAD, *MILK, unit=DAY), items=5, until=100 * DAY, category=CATEGORY)
    return source


def test_a_segment_gets_its_share_of_recent_moments_leaning_on_everybodys() -> None:
    source = fitted(days=25, prior_moments=3.0, usual=0.0)
    found = source.candidates(state((1, 80), (1, 81), (2, 82), at=100, unit=DAY))
    expected = {1: (3 + 3 * 3 / 8) / (5 + 3), 2: (2 + 3 * 2 / 8) / (5 + 3)}
    assert dict(zip(found.item.tolist(), found.score.tolist(), strict=True)) == pytest.approx(expected)


def test_what_everybody_takes_can_be_taken_off() -> None:
    source = fitted(days=25, prior_moments=3.0, usual=1.0)
    found = source.candidates(state((3, 80), (3, 81), (4, 82), at=100, unit=DAY))
    expected = {3: (2 + 3 * 2 / 8) / (3 + 3) - 2 / 8, 4: (1 + 3 * 1 / 8) / (3 + 3) - 1 / 8}
    assert dict(zip(found.item.tolist(), found.score.tolist(), strict=True)) == pytest.approx(expected)
    assert source.reasons(state(at=1), np.array([3])) == [
        Reason("liked by shoppers who are after the same kinds of things")
    ]


def test_who_is_in_no_segment_is_told_nothing() -> None:
    assert len(fitted().candidates(state(at=100, unit=DAY))) == 0
    assert len(fitted().candidates(state((3, 99), (3, 99), at=100, unit=DAY))) == 0
    assert len(SegmentPopular(segments=RFM()).candidates(state((3, 99), at=100, unit=DAY))) == 0


def test_rfm_cuts_each_of_the_three_where_equally_many_shoppers_lie() -> None:
    log: list[list[Row]] = [[(1, 90)], [(1, 80), (1, 95)], [(1, 60)], [(1, 70), (2, 70), (1, 75), (1, 99)]]
    known, rfm = histories(*log, unit=DAY), RFM(classes=2, days=50)
    learnt = rfm.learn(known, until=100 * DAY, category=CATEGORY)
    assert learnt["borders"].tolist() == [[5.0], [1.0], [0.0]], "days since, moments, money; no price is known"
    assert rfm.members(known, learnt, until=100 * DAY).tolist() == [4, 2, 4, 2]
    assert rfm.segment_of(state((1, 1), at=100, unit=DAY), learnt) == -1, "nothing in fifty days"
    assert rfm.segment_of(state((1, 99, EventType.VIEW), at=100, unit=DAY), learnt) == -1, "looking is not buying"


@pytest.mark.parametrize("segments", [RFM(classes=3, days=60), Behaviour(segments=3), Behaviour(segments=2, width=1)])
@given(
    log=st.lists(
        st.lists(
            st.tuples(st.integers(1, 4), st.integers(0, 99), st.sampled_from([EventType.VIEW, EventType.PURCHASE])),
            min_size=1,
            max_size=6,
        ).map(lambda rows: sorted(rows, key=lambda row: row[1])),
        min_size=1,
        max_size=8,
    )
)
def test_a_shopper_is_in_the_same_segment_in_the_log_and_when_asked(
    segments: Segmentation, log: list[list[Row]]
) -> None:
    known = histories(*log, unit=DAY)
    learnt = segments.learn(known, until=100 * DAY, category=CATEGORY)
    asked = [segments.segment_of(ShopperState(history, Context(at=100 * DAY)), learnt) for history in known]
    assert segments.members(known, learnt, until=100 * DAY).tolist() == asked
    assert max(asked) < segments.segments


def test_shoppers_of_the_same_kinds_of_things_are_together() -> None:
    known = histories(*BREAD, *MILK, unit=DAY)
    member = KINDS.members(known, KINDS.learn(known, until=100 * DAY, category=CATEGORY), until=100 * DAY)
    assert member[0] == member[1] != member[2] == member[3]


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="classes=0"):
        RFM(classes=0)
    with pytest.raises(ConfigError, match="segments=0"):
        Behaviour(segments=0)
    with pytest.raises(ConfigError, match="usual is 3"):
        fitted(usual=3)
