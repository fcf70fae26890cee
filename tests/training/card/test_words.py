"""Figures as people read them."""

import pytest

from training.card.words import duration, figure, percent, ratio, size_labels


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.00001, "<0.01%"),
        (0.0012, "0.12%"),
        (0.0123, "1.2%"),
        (0.5, "50%"),
        (0.9961, "99.61%"),
        (0.99999, "99.99%"),
    ],
)
def test_a_share_is_nothing_or_all_only_where_it_is(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_ratio_of_nothing_is_nothing() -> None:
    assert (ratio(1, 4), ratio(1, 0), ratio(3, 2, plain=True)) == ("25%", "0%", "1.5")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (0.05, "0.05 s"), (59.0, "59 s"), (90.0, "1.5 min"), (3_600.0, "1 h"), (200_000.0, "2.31 d")],
)
def test_a_duration_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.0002, "1"), (1_234.5, "1,234"), (12.04, "12"), (12.34, "12.3"), (0, "0")]
)
def test_a_figure_has_no_more_digits_than_it_needs(value: float, text: str) -> None:
    assert figure(value) == text


def test_bars_of_whole_numbers_are_named_by_what_they_hold() -> None:
    assert size_labels((0.5, 1.5, 2.5, 5.5, 1_000.5, 1e9)) == ["1", "2", "3–5", "6–1,000", "> 1,000"]
