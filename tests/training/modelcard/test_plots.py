"""The pictures: there where they have something to show, with the card's own numbers in them."""

import numpy as np
from matplotlib.axes import Axes

from tests.training.modelcard.cards import card, metrics, row
from training.comparison import ANSWER_ROW
from training.modelcard.plots import comparison, learning, pictures, sliced


def points(axis: Axes) -> list[list[list[float]]]:
    """The data of every line."""
    return [np.asarray(line.get_xydata()).tolist() for line in axis.lines]


def test_loss_and_validation_are_drawn_with_the_kept_epoch_marked() -> None:
    loss, validation = dict(pictures(card()))["learning"].axes
    assert points(loss) == [[[1.0, 5.0], [2.0, 4.0]], [[1.0, 5.0]]]
    assert points(validation) == [[[1.0, 0.12], [2.0, 0.11]], [[1.0, 0.12]]]
    assert validation.get_title(loc="left") == "NDCG@10 on the validation window"


def test_a_model_that_was_not_trained_has_no_curves() -> None:
    assert learning(card(curves={"the_answer/ndcg10": [(0, 0.1)]})) is None


def test_rows_are_drawn_from_the_best_down_with_their_intervals() -> None:
    figure = comparison(card())
    assert figure is not None
    (axis,) = figure.axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["Popular-7d", "buy-again, frequency", "encoder alone", "the answer"]
    np.testing.assert_allclose(points(axis)[-2], [[0.19, 3], [0.21, 3]])
    assert "0.2000" in [text.get_text() for text in axis.texts]


def test_rows_without_a_hit_are_drawn_too() -> None:
    nothing = row(0.0, ndcg10_interval=[0.0, 0.0])
    assert comparison(card(metrics=metrics(rows={ANSWER_ROW: nothing}))) is not None


def test_only_pictures_with_something_to_show_are_handed_out() -> None:
    bare = card(metrics=metrics(rows={}), curves={})
    assert dict(pictures(bare)) == {}
    assert list(dict(pictures(card()))) == ["learning", "comparison", "by_popularity", "by_history", "by_hour"]


def test_parts_are_drawn_in_the_order_of_their_numbers_with_a_line_for_each_row() -> None:
    figure = sliced("history")(card())
    assert figure is not None
    counts, values = figure.axes
    assert [label.get_text() for label in values.get_xticklabels()] == ["0", "1-4", "5-9", "10-19"]
    assert [bar.get_height() for bar in counts.patches] == [400, 300, 1_100, 200]  # type: ignore[attr-defined]
    answer, _, encoder, _, baseline, few = points(values)
    assert few == []
    np.testing.assert_allclose(answer, [[0, 0.1], [1, 0.2], [2, 0.3], [3, 0.4]])
    np.testing.assert_allclose([y for _, y in encoder], [0.075, 0.15, 0.225, 0.3])
    np.testing.assert_allclose([y for _, y in baseline], [0.05, 0.1, 0.15, 0.2])


def test_parts_of_few_questions_are_open_dots_that_no_line_goes_through() -> None:
    found = metrics()["rows"][ANSWER_ROW]
    found["slices"]["history/1-4/queries"] = 19.0
    figure = sliced("history")(card(metrics=metrics(rows={ANSWER_ROW: found})))
    assert figure is not None
    joined, apart = figure.axes[1].lines
    assert [x for x, _ in np.asarray(joined.get_xydata()).tolist()] == [0, 2, 3]
    assert [x for x, _ in np.asarray(apart.get_xydata()).tolist()] == [1]
    assert apart.get_markerfacecolor() == "white"
