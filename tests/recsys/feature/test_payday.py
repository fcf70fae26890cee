"""The shopper's own payday: by hand, and against the plain definition."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.feature import payday
from recsys.feature.past import Past
from recsys.feature.payday import FORTNIGHT, MONTH, STRENGTH, amounts, payday_class, rhythms

EPOCH = date(1970, 1, 1)


def days_of(first: date, count: int) -> list[date]:
    return [first + timedelta(days=number) for number in range(count)]


def asked(spent: list[tuple[date, int]], at: date) -> tuple[int, int, int]:
    """Cycle, phase and class at `at` of one shopper who spent so much on each day."""
    day = np.array([(d - EPOCH).days for d, _ in spent], np.int64)
    known = {"day": day, "amount": np.array([a for _, a in spent], np.int64), "start": np.array([0, len(spent)])}
    past, at_day = Past(np.array([0]), np.array([len(spent)])), np.array([(at - EPOCH).days])
    rhythm = rhythms(past, at_day, **known)
    return int(rhythm.cycle[0]), int(rhythm.phase[0]), int(payday_class(past, at_day, **known)[0])


MONTHLY = [(d, 900 if d.day in (25, 26) else 100) for d in days_of(date(2023, 1, 1), 365) if d.weekday() < 6]
"""Something nearly every day, and far more on the 25th and the 26th."""


def test_spending_after_the_same_day_of_every_month_is_a_monthly_rhythm() -> None:
    cycle, phase, _ = asked(MONTHLY, date(2024, 1, 10))
    assert cycle == MONTH
    assert 21 <= phase <= 24, "a window of five days that holds both the 25th and the 26th, phases from 0"


@pytest.mark.parametrize(
    ("at", "days_since", "expected"),
    [
        (date(2024, 1, 31), 0, 1),
        (date(2024, 2, 1), 1, 2),
        (date(2024, 2, 28), 28, 9),
        (date(2024, 2, 29), 0, 1),
        (date(2024, 3, 1), 1, 2),
        (date(2024, 3, 3), 3, 4),
        (date(2024, 4, 29), 29, 9),
        (date(2024, 4, 30), 0, 1),
    ],
)
def test_a_payday_on_the_31st_falls_on_the_last_day_of_short_months(at: date, days_since: int, expected: int) -> None:
    year = days_of(date(2023, 1, 1), 365)
    spent = [(d, 900 if (d + timedelta(days=1)).day == 1 or d.day <= 4 else 100) for d in year]
    cycle, phase, found = asked(spent, at)
    assert (cycle, phase) == (MONTH, 30)
    assert found == expected == 1 + np.searchsorted(payday.SINCE_BORDERS, days_since, side="right")


@pytest.mark.parametrize(
    ("at", "days_since"),
    [(date(2024, 1, 24), 1), (date(2024, 1, 31), 8), (date(2024, 2, 2), 10), (date(2024, 2, 9), 17)],
)
def test_a_payday_of_the_month_before_is_as_long_ago_as_the_calendar_says(at: date, days_since: int) -> None:
    spent = [(d, 900 if 23 <= d.day <= 27 else 100) for d in days_of(date(2023, 1, 1), 365)]
    cycle, phase, found = asked(spent, at)
    assert (cycle, phase) == (MONTH, 22), "the 23rd, phases from 0"
    assert found == 1 + np.searchsorted(payday.SINCE_BORDERS, days_since, side="right")


def test_every_second_friday_is_a_fortnightly_rhythm_and_every_friday_is_none() -> None:
    fridays = [d for d in days_of(date(2024, 1, 5), 180) if d.weekday() == 4]
    every_second = [(d, 500 if number % 2 == 0 else 100) for number, d in enumerate(fridays)]
    cycle, phase, found = asked(every_second, fridays[-1] + timedelta(days=3))
    assert cycle == FORTNIGHT
    assert found > 0
    last = max(d for d, amount in every_second if amount == 500)
    assert ((last - EPOCH).days - phase) % FORTNIGHT in range(3)
    assert asked([(d, 300) for d in fridays], fridays[-1] + timedelta(days=3)) == (0, 0, 0)


def test_two_months_are_too_short_to_tell() -> None:
    assert asked([row for row in MONTHLY if row[0] < date(2023, 3, 1)], date(2023, 3, 1))[0] == 0
    assert asked([row for row in MONTHLY if row[0] < date(2023, 6, 1)], date(2023, 6, 1))[0] == MONTH


def test_one_great_purchase_is_no_rhythm() -> None:
    spent = [(d, 100_000 if d == date(2023, 5, 25) else 100) for d, _ in MONTHLY]
    assert asked(spent, date(2024, 1, 10))[2] == 0


def test_nothing_bought_is_no_rhythm() -> None:
    nothing = np.empty(0, np.int64)
    past = Past(np.zeros(2, np.int64), np.zeros(2, np.int64))
    found = payday_class(past, np.array([5, 6]), day=nothing, amount=nothing, start=np.array([0, 0]))
    assert found.tolist() == [0, 0]


def test_spending_is_counted_in_hundredths_of_the_usual_one_and_unknown_prices_as_usual() -> None:
    price, quantity = np.array([2.0, np.nan, 3.0, 0.0], np.float32), np.array([1, 5, 2, 1], np.float32)
    assert payday.usual_spending(price, quantity) == 4.0
    assert amounts(price, quantity, usual=4.0).tolist() == [50, 100, 150, 0]
    assert payday.usual_spending(price[1:2], quantity[1:2]) == 1.0, "purchases are counted then"


def by_definition(spent: list[tuple[int, int]], at_day: int) -> int:
    """The class from days and amounts of everything that may be looked at."""
    total: dict[int, int] = {}
    for day, amount in spent:
        if day < at_day:
            total[day] = total.get(day, 0) + amount
    if len(total) < payday.SHOPPING_DAYS:
        return 0
    first, found = min(total), []
    lived = [EPOCH + timedelta(days=d) for d in range(first, at_day)]
    for phase in range(MONTH):
        window = {(phase + shift) % MONTH + 1 for shift in range(payday.WINDOW[MONTH])}
        inside = sum(a for d, a in total.items() if (EPOCH + timedelta(days=d)).day in window)
        share = sum(d.day in window for d in lived) / len(lived)
        spread = np.sqrt(sum(a * a for a in total.values()) * share * (1 - share))
        if spread > 0 and at_day - first >= payday.CYCLES[MONTH] * MONTH:
            found.append(((inside - sum(total.values()) * share) / spread / STRENGTH[MONTH], 1, -phase))
    for phase in range(FORTNIGHT):
        here = {(phase + shift) % FORTNIGHT for shift in range(payday.WINDOW[FORTNIGHT])}
        there = {(phase + payday.WEEK) % FORTNIGHT for phase in here}
        lead = sum(a * ((d % FORTNIGHT in here) - (d % FORTNIGHT in there)) for d, a in total.items())
        square = sum(a * a for d, a in total.items() if d % FORTNIGHT in here | there)
        if square and at_day - first >= payday.CYCLES[FORTNIGHT] * FORTNIGHT:
            found.append((lead / np.sqrt(float(square)) / STRENGTH[FORTNIGHT], 0, -phase))
    if not found or max(found)[0] < 1:
        return 0
    _, is_month, phase = max(found)
    at = EPOCH + timedelta(days=at_day)
    for since in range(40):
        then = at - timedelta(days=since)
        length = ((then.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day
        if then.day == min(1 - phase, length) if is_month else (at_day - since) % FORTNIGHT == -phase:
            return 1 + int(np.searchsorted(payday.SINCE_BORDERS, since, side="right"))
    raise AssertionError("no payday within forty days")


SHOPPERS = st.lists(
    st.tuples(st.integers(19_000, 19_060), st.integers(2, 9), st.lists(st.integers(0, 9), min_size=1, max_size=60)),
    min_size=1,
    max_size=3,
)
"""For each shopper: first day, days between purchases, and how much each purchase was."""


@settings(max_examples=60)
@given(shoppers=SHOPPERS, seed=st.integers(0, 2**31), reach=st.sampled_from([20, 30, 1_000]))
def test_every_moment_of_every_shopper_gets_the_class_of_the_plain_definition(
    shoppers: list[tuple[int, int, list[int]]], seed: int, reach: int
) -> None:
    with pytest.MonkeyPatch.context() as gullible:
        gullible.setitem(STRENGTH, MONTH, 1.5)  # so that chance alone makes rhythms to compare
        gullible.setitem(STRENGTH, FORTNIGHT, 1.0)
        gullible.setattr(payday, "SHOPPING_DAYS", 5)
        compare_with_definition(shoppers, seed, reach)


def compare_with_definition(shoppers: list[tuple[int, int, list[int]]], seed: int, reach: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [
        sorted((first + number * step + int(rng.integers(3)), amount**3) for number, amount in enumerate(sizes))
        for first, step, sizes in shoppers
    ]
    start = np.cumsum([0, *map(len, rows)])
    day = np.array([day for one in rows for day, _ in one], np.int64)
    amount = np.array([amount for one in rows for _, amount in one], np.int64)
    high = np.arange(len(day))
    begins = np.repeat(start[:-1], np.diff(start))
    past = Past(np.maximum(begins, high - reach), high)
    at_day = day + rng.integers(0, 3, len(day))
    found = payday_class(past, at_day, day=day, amount=amount, start=start)
    expected = [
        by_definition(list(zip(day[low:row].tolist(), amount[low:row].tolist(), strict=True)), int(at))
        for low, row, at in zip(past.low, past.high, at_day, strict=True)
    ]
    assert found.tolist() == expected


def test_long_logs_are_worked_through_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    day = np.repeat(np.array([(d - EPOCH).days for d, _ in MONTHLY]), 2)
    amount = np.repeat(np.array([a for _, a in MONTHLY]), 2)
    past = Past(np.zeros(len(day), np.int64), np.arange(len(day)))
    known = {"day": day, "amount": amount, "start": np.array([0, len(day)])}
    whole = payday_class(past, day, **known)
    monkeypatch.setattr(payday, "_CHUNK", 7)
    assert payday_class(past, day, **known).tolist() == whole.tolist()
    assert whole.max() > 1
