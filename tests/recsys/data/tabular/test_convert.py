"""Texts that mean numbers and instants; what cannot be read is null and takes nothing else along."""

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import SECOND, parse_instant, to_datetime
from recsys.data.tabular.convert import as_number, as_text, as_whole, cleaned, joined, listed, scaled
from recsys.data.tabular.instants import as_instant, by_row_zone
from recsys.errors import SourceError


def numbers(*texts: str | None, **style: object) -> list[float | None]:
    return as_number(pa.array(texts, pa.string()), **style).to_pylist()  # type: ignore[arg-type]


def instants(*texts: str | None, form: str = "iso", zone: str = "UTC") -> list[str | None]:
    read = as_instant(pa.array(texts, pa.string()), form, zone).to_pylist()
    return [None if one is None else one.isoformat().removesuffix("+00:00") for one in read]


def test_numbers_are_read_beside_what_is_none() -> None:
    assert numbers("1.5", "-2", ".5", "1e3", None) == [1.5, -2.0, 0.5, 1000.0, None]
    assert numbers("1.5", "free", "0x1", "1,5", "5-", None, "7") == [1.5, None, None, None, None, None, 7.0]
    assert numbers("inf", "x") == [float("inf"), None]


def test_a_decimal_comma_and_thousands_are_read_only_where_they_stand_right() -> None:
    german = {"decimal": ",", "thousands": "."}
    assert numbers("1.234,50", "12,5", "1.234.567", "-1.000", **german) == [1234.5, 12.5, 1234567.0, -1000.0]
    assert numbers("12.34,5", "1.5", "1,234.5", "1.2345,0", **german) == [None, None, None, None]
    assert numbers("1,234.5", "1,5", thousands=",") == [1234.5, None]
    assert numbers("1,5", "1.5", decimal=",") == [1.5, None]


def test_signs_of_currency_are_taken_off_where_they_are_named() -> None:
    assert numbers("€ 12.50", "12.50 €", "-€3", "EUR 7", "7EUR", "5 $", strip=["€", "EUR"]) == [
        12.5, 12.5, -3.0, 7.0, 7.0, None,
    ]  # fmt: skip


def test_typed_numbers_pass_whatever_the_style_of_texts_is() -> None:
    assert as_number(pa.array([Decimal("1.50"), None]), decimal=",").to_pylist() == [1.5, None]
    assert as_number(pa.array([True, False])).to_pylist() == [1.0, 0.0]
    assert as_number(pa.array([[1.0]])).to_pylist() == [None]


def test_cents_become_euros_to_the_last_digit() -> None:
    cents = pa.array([1999.0, 110.0, 7.0])
    assert scaled(cents, 0.01).to_pylist() == [19.99, 1.1, 0.07]
    assert scaled(cents, 1000).to_pylist() == [1_999_000.0, 110_000.0, 7_000.0]
    assert scaled(pa.array([2.0]), -1).to_pylist() == [-2.0]


def test_whole_numbers_may_be_written_with_a_point() -> None:
    assert as_whole(pa.array([3.0, 3.5, 1e12, None])).to_pylist() == [3, None, None, None]


def test_texts_of_typed_values() -> None:
    assert as_text(pa.array([123.0, 0.5, float("nan")])).to_pylist() == ["123", "0.5", None]
    assert as_text(pa.array([True])).to_pylist() == ["true"]
    assert as_text(pa.array([datetime.date(2024, 1, 2)])).to_pylist() == ["2024-01-02"]


def test_blanks_and_words_for_nothing_are_nothing_in_lists_too() -> None:
    words = pa.array(["NULL", "\\N"])
    assert cleaned(pa.array([" a ", "  ", "NULL", "\\N", None]), words).to_pylist() == ["a", None, None, None, None]
    assert cleaned(pa.array([[" a ", "NULL"], None, []]), words).to_pylist() == [["a", None], None, []]


def test_texts_side_by_side_are_joined_or_listed() -> None:
    left, right = pa.array(["a", None, None]), pa.array(["b", "c", None])
    assert joined([left, right], ", ").to_pylist() == ["a, b", "c", None]
    assert listed([left, right]).to_pylist() == [["a", "b"], ["c"], []]
    assert listed([left, right], np.array([False, False, True])).to_pylist() == [["a", "b"], ["c"], None]


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("iso", "2024-01-02T03:04:05.123456789Z", "2024-01-02T03:04:05.123456"),
        ("iso", "2024-01-02 03:04:05 +02:00", "2024-01-02T01:04:05"),
        ("%d.%m.%Y %H:%M", "2.1.2024 3:04", "2024-01-02T03:04:00"),
        ("%d.%m.%Y", "29.02.2024", "2024-02-29T00:00:00"),
        ("%d.%m.%Y", "31.02.2024", None),
        ("%d.%m.%Y", "31.04.2024", None),
        ("%m/%d/%Y %I:%M %p", "02/30/2024 01:00 PM", None),
        ("%m/%d/%Y %I:%M %p", "01/02/2024 03:04 PM", "2024-01-02T15:04:00"),
        ("%d.%m.%Y %H:%M:%S.%f", "02.01.2024 03:04:05.5", "2024-01-02T03:04:05.500000"),
        ("%d.%m.%Y %H:%M:%S,%f", "02.01.2024 03:04:05,123456789", "2024-01-02T03:04:05.123456"),
        ("%d.%m.%Y %H:%M:%S.%f", "02.01.2024 03:04:05", "2024-01-02T03:04:05"),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-01-02T03:04:05+0200", "2024-01-02T01:04:05"),
        ("%d %B %Y", "2 January 2024", "2024-01-02T00:00:00"),
    ],
)
def test_instants_are_read_in_their_format_and_days_that_never_were_are_not(
    form: str, text: str, expected: str | None
) -> None:
    assert instants(text, None, form=form) == [expected, None]


def test_foreign_texts_beside_good_ones_are_null_alone() -> None:
    texts = ("2024-01-02", "yesterday", "2024-01-02T03:04:05Z", "2024-13-01", "31.12.2024")
    assert instants(*texts) == ["2024-01-02T00:00:00", None, "2024-01-02T03:04:05", None, None]


def test_each_row_may_have_a_zone_of_its_own() -> None:
    zones = ["Europe/Berlin", "+02:00", "UTC-3", "-0530", "Z", "Mars/Base", None]
    stamps = pa.array(["2024-07-01 12:00:00"] * 6 + ["2024-07-01 12:00:00"])
    read = by_row_zone(stamps, "iso", pa.array(zones)).to_pylist()
    assert [None if one is None else one.strftime("%H:%M") for one in read] == [
        "10:00", "10:00", "15:00", "17:30", "12:00", None, None,
    ]  # fmt: skip


def test_days_written_as_numbers_are_read_by_a_pattern() -> None:
    read = as_instant(pa.array([20240131, 20240230]), "%Y%m%d", "UTC").to_pylist()
    assert read == [to_datetime(parse_instant("2024-01-31")), None]
    with pytest.raises(SourceError, match="holds int64, which time_format 'iso' cannot read"):
        as_instant(pa.array([20240131]), "iso", "UTC")


@given(st.lists(st.integers(parse_instant("1990-01-01"), parse_instant("2030-01-01")), min_size=1, max_size=8))
def test_every_day_that_was_is_read_back_from_a_pattern(at: list[int]) -> None:
    moments = [to_datetime(one // SECOND * SECOND) for one in at]
    texts = [moment.strftime("%d.%m.%Y %H:%M:%S") for moment in moments]
    expected = [moment.isoformat().removesuffix("+00:00") for moment in moments]
    assert instants(*texts, form="%d.%m.%Y %H:%M:%S") == expected
