"""The pictures: there where they have something to show, with the card's own numbers in them."""

from collections.abc import Iterable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.card.card import DataCard
from recsys.clock import DAY
from tests.recsys.card.logs import START, act, card
from tests.training.card.cards import rich_card
from training.card.plots.gallery import PLOTS, pictures


@pytest.fixture(scope="module")
def drawn() -> dict[str, Figure]:
    return dict(pictures(rich_card()))


def titles(axes: Iterable[Axes]) -> list[str]:
    return [axis.get_title(loc="left") for axis in axes]


def texts(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.texts]


def test_a_full_log_has_every_picture_and_every_axis_a_title_and_units(drawn: dict[str, Figure]) -> None:
    assert list(drawn) == list(PLOTS)
    for name, picture in drawn.items():
        assert any(titles(picture.axes)), name
        assert picture.get_size_inches()[0] == 9.0


def test_events_are_drawn_by_type_on_one_time_axis_with_the_cut_off(drawn: dict[str, Figure]) -> None:
    axes = drawn["events_by_day"].axes
    assert {title.split(":")[0] for title in titles(axes)} == {"purchase", "view", "search", "impression"}
    assert len({axis.get_xlim() for axis in axes}) == 1
    assert texts(axes[0]) == ["cut-off"]


def test_histograms_add_up_to_a_hundred_percent(drawn: dict[str, Figure]) -> None:
    for axis in drawn["sessions"].axes:
        assert sum(bar.get_height() for bar in axis.patches) == pytest.approx(100)  # type: ignore[attr-defined]


def test_the_popularity_curve_ends_at_all_items_and_names_the_gini(drawn: dict[str, Figure]) -> None:
    curve = drawn["popularity"].axes[0]
    ends = np.asarray(curve.lines[0].get_xydata())
    assert (ends[0].tolist(), ends[-1].tolist()) == ([0.0, 0.0], [100.0, 100.0])
    assert any(text.startswith("Gini") for text in texts(curve))


def test_cells_of_the_coverage_say_their_share(drawn: dict[str, Figure]) -> None:
    cells = texts(drawn["coverage"].axes[0])
    assert "100" in cells
    assert "" in cells


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (card(), set()),
        (card(order_only=True), set()),
        (card([act(0, type="impression")]), {"events_by_day", "coverage"}),
        (card([act(0)]), {"events_by_day", "week", "popularity", "prices", "coverage"}),
        (card([act(0)], cutoff=START), {"events_by_day", "week", "popularity", "newcomers", "prices", "coverage"}),
        (rich_card(order_only=True), {"sessions", "popularity", "prices", "coverage"}),
    ],
)
def test_a_picture_without_anything_to_show_is_not_drawn(of: DataCard, expected: set[str]) -> None:
    assert {name for name, _ in pictures(of)} == expected


def test_a_cut_off_outside_of_the_log_is_not_drawn() -> None:
    rows = [act(day * DAY, f"s{day}", f"i{day}") for day in range(30)]
    for name, picture in pictures(card(rows, cutoff=START + 900 * DAY)):
        assert "cut-off" not in [text for axis in picture.axes for text in texts(axis)], name
        assert all(axis.get_xlim()[1] < START // DAY + 900 for axis in picture.axes)
