"""Pictures made of characters."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.card.bars import bar, sparkline


def test_a_sparkline_has_eight_heights_and_a_blank_for_nothing() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8]) == " ▁▂▃▄▅▆▇█"
    assert sparkline([0, 1, 1_000_000]) == " ▁█", "a little is not nothing"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""


def test_a_long_series_is_drawn_by_the_means_of_neighbours() -> None:
    assert sparkline([8, 0, 2, 2, 8, 8], width=3) == "▄▂█"


def test_a_bar_is_as_long_as_its_share() -> None:
    assert [bar(share, width=4) for share in (0.0, 0.5, 1.0)] == ["    ", "██  ", "████"]
    assert bar(0.125, width=1) == "▏"
    assert bar(1e-9, width=4) == "▏   "


@given(values=st.lists(st.floats(0, 1e9), max_size=50), width=st.integers(1, 20))
def test_a_sparkline_is_never_wider_than_asked(values: list[float], width: int) -> None:
    drawn = sparkline(np.array(values), width=width)
    assert len(drawn) == min(len(values), width)
    assert not values or max(values) == 0 or "█" in drawn
