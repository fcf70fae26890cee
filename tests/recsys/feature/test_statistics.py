"""What features learn of the shop."""

import numpy as np
import pytest

from recsys.event import EventType
from recsys.feature import statistics
from recsys.feature.item import NEVER
from recsys.feature.statistics import Statistics
from tests.recsys.sequence.random_logs import UNIT, Happening, catalogue, history_of

NAN = float("nan")


def sold(at: int, item: int, price: float, quantity: float = 1.0, kind: EventType = EventType.PURCHASE) -> Happening:
    return Happening(at, item, kind, quantity, price, NAN, 0, 0, -1, (0, 0))


LOG = history_of(
    [sold(1, 1, 4.0), sold(2, 1, 6.0, 2.0), sold(3, 2, 9.0), sold(4, 3, 70.0, kind=EventType.VIEW), sold(9, 1, 99.0)]
)


def learnt(**settings: object) -> Statistics:
    known = catalogue()
    return Statistics.learn(LOG, catalogue=known, category=known.categories(3)[0], until=9 * UNIT, **settings)


def test_prices_spending_and_births_are_those_before_the_cut_off() -> None:
    found = learnt()
    assert found.prices.item[1:4].tolist() == [4.0, 9.0, 70.0], "of an even number the lower middle"
    assert found.prices.item[4] == 1.5, "nobody saw it: the catalogue's price"
    assert found.spending == 9.0, "4, 6 twice and 9; a view is no purchase"
    assert found.items.born.tolist() == [NEVER, UNIT, 3 * UNIT, 4 * UNIT, NEVER, NEVER]


def test_arrays_bring_everything_back() -> None:
    found = learnt()
    again = Statistics.of_arrays(found.arrays())
    assert again.spending == found.spending
    for name, array in found.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)


def test_of_very_many_events_a_spread_part_tells_the_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MOST_EVENTS", 2)
    found = learnt()
    assert found.prices.item[1:4].tolist() == [4.0, 9.0, 1.5], "every second of the four"
    assert found.items.born[3] == 4 * UNIT, "births are from all"


def test_pieces_tell_what_the_whole_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    for most in (1, 2, 3, 99):
        monkeypatch.setattr(statistics, "MOST_EVENTS", most)
        monkeypatch.setattr(statistics, "_PIECE", 4_000_000)
        whole = learnt().arrays()
        for piece in (1, 2, 3):
            monkeypatch.setattr(statistics, "_PIECE", piece)
            for name, array in learnt().arrays().items():
                np.testing.assert_array_equal(array, whole[name], err_msg=name)
