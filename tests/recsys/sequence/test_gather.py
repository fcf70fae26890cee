"""From the log to histories: everybody's events, as they were known at each question."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recsys.catalogue import Catalogue
from recsys.errors import RecsysError
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from recsys.sequence.coding import Coding
from recsys.sequence.gather import gather, read_histories
from recsys.sequence.histories import ALWAYS, Histories
from recsys.sequence.survey import Survey
from tests.recsys.by_hand import items_table
from tests.recsys.log.by_hand import shop

Fact = tuple[int, str | None, str | None, str]
"""(instant, user, visitor, type); the event's price is its number."""


def log_of(folder: Path, facts: list[Fact]) -> EventLog:
    rows = [
        {
            "event_id": f"{number:03d}",
            "occurred_at": at,
            "user_id": user,
            "anonymous_id": visitor,
            "type": kind,
            "item_id": "a" if number % 2 else "b",
            "price": float(number),
            "channel": "web" if number % 3 else None,
            "position": number if number % 4 else None,
        }
        for number, (at, user, visitor, kind) in enumerate(facts)
    ]
    write_log(shop(*rows), folder)
    return EventLog(folder)


def gathered(folder: Path, facts: list[Fact], *, range_events: int = 1_000, lookback: int = 50) -> Histories:
    log = log_of(folder / "log", facts)
    survey = Survey.of(log, until=None)
    coding = Coding(Catalogue.of_table(items_table(["a", "b"]), survey.items.to_pylist()), survey.channels)
    return gather(log, survey, coding, folder / "cache" / "histories-1", range_events=range_events, lookback=lookback)


def asked(found: Histories) -> dict[tuple[str, int], tuple[list[int], list[int]]]:
    """(shopper, instant) -> the events of the moment, and those known before it, for every question there is."""
    questions: dict[tuple[str, int], tuple[list[int], list[int]]] = {}
    for number in range(len(found)):
        events, shopper = found[number], found.shopper[number].as_py()
        for at in np.unique(events.time[events.time >= found.asked_from[number]]).tolist():
            moment, before = (events.price[rows].astype(int).tolist() for rows in (events.time == at, events.time < at))
            assert (shopper, at) not in questions, "every moment is asked about once"
            questions[shopper, at] = (sorted(moment), sorted(before))
    return questions


def plainly(facts: list[Fact]) -> dict[tuple[str, int], tuple[list[int], list[int]]]:
    """The same from the words of `recsys/log/identity.py`, event by event and question by question."""
    questions: dict[tuple[str, int], tuple[list[int], list[int]]] = {}
    for at, user, visitor, _ in facts:
        who = user or linked_to(facts, visitor, at + 1) or f"anonymous:{visitor}"
        mine = [n for n, fact in enumerate(facts) if fact[0] == at and shopper_then(facts, fact) == who]
        before = [n for n, fact in enumerate(facts) if fact[0] < at and who == shopper_known(facts, fact, at)]
        questions[who, at] = (sorted(mine), sorted(before))
    return questions


def changes(facts: list[Fact], visitor: str | None, before: int) -> list[tuple[int, str | None]]:
    """Who a visitor was: (instant, user or nobody) of each change strictly before an instant."""
    found: list[tuple[int, str | None]] = []
    ordered = sorted(enumerate(facts), key=lambda pair: (pair[1][0], pair[1][1] or f"anonymous:{pair[1][2]}", pair[0]))
    for _, (at, user, seen, kind) in ordered:
        if seen != visitor or visitor is None or user is None or at >= before:
            continue
        current = found[-1][1] if found else None
        becomes = (None if current == user else current) if kind == "unlink" else user
        if becomes != current:
            found.append((at, becomes))
    return found


def linked_to(facts: list[Fact], visitor: str | None, before: int) -> str | None:
    found = changes(facts, visitor, before)
    return found[-1][1] if found else None


def shopper_then(facts: list[Fact], fact: Fact) -> str:
    """Whose an event was at its own instant."""
    at, user, visitor, _ = fact
    return user or linked_to(facts, visitor, at + 1) or f"anonymous:{visitor}"


def shopper_known(facts: list[Fact], fact: Fact, at: int) -> str:
    """To whose history an event belongs at a question at `at`: its own shopper's, or who adopted it by then."""
    when, user, visitor, _ = fact
    own = shopper_then(facts, fact)
    if user is not None or own != f"anonymous:{visitor}":
        return own
    later = [change for change in changes(facts, visitor, at) if change[0] > when]
    if later and not (len(later) > 1 and later[1][1] is None):
        return str(later[0][1])
    return own


ANN_SIGNS_IN: list[Fact] = [
    (1, "ann", None, "view"),
    (2, None, "v", "view"),
    (3, "ann", None, "purchase"),
    (4, "ann", "v", "view"),
    (5, None, "v", "view"),
    (6, "ann", None, "view"),
]


def test_what_a_visitor_did_is_known_of_the_user_only_after_the_sign_in(tmp_path: Path) -> None:
    found = asked(gathered(tmp_path, ANN_SIGNS_IN))
    assert found["anonymous:v", 2] == ([1], [])
    assert found["ann", 3] == ([2], [0]), "on another device, before the sign-in"
    assert found["ann", 4] == ([3], [0, 2]), "the sign-in itself is not known yet"
    assert found["ann", 5] == ([4], [0, 1, 2, 3]), "the visitor is ann, where only the anonymous id is given too"
    assert found["ann", 6] == ([5], [0, 1, 2, 3, 4])
    assert len(found) == 6


def test_an_unlink_takes_out_again_what_was_adopted(tmp_path: Path) -> None:
    facts = [*ANN_SIGNS_IN, (7, "ann", "v", "unlink"), (8, None, "v", "view"), (9, "ann", None, "view")]
    found = asked(gathered(tmp_path, facts))
    assert found["ann", 7] == ([6], [0, 1, 2, 3, 4, 5])
    assert found["ann", 9] == ([8], [0, 2, 3, 4, 5, 6]), "without 1, from before the sign-in"
    assert found["anonymous:v", 8] == ([7], [1]), "and the visitor has it back"


def test_everybody_once_as_known_at_an_instant(tmp_path: Path) -> None:
    log = gathered(tmp_path, ANN_SIGNS_IN)
    before, after = log.as_known_at(4), log.as_known_at(5)
    assert dict(zip(before.shopper.to_pylist(), [h.price.tolist() for h in before], strict=True)) == {
        "ann": [0, 2], "anonymous:v": [1]
    }  # fmt: skip
    assert dict(zip(after.shopper.to_pylist(), [h.price.tolist() for h in after], strict=True)) == {"ann": [0, 1, 2, 3]}


def test_an_unlink_to_come_changes_nothing_of_what_is_known_before_it(tmp_path: Path) -> None:
    now = gathered(tmp_path / "1", ANN_SIGNS_IN).as_known_at(6)
    later = gathered(tmp_path / "2", [*ANN_SIGNS_IN, (9, "ann", "v", "unlink")]).as_known_at(6)
    assert now.shopper.to_pylist() == later.shopper.to_pylist() == ["ann"]
    assert now.events.price.tolist() == later.events.price.tolist()


def test_a_user_who_signs_in_often_does_not_multiply(tmp_path: Path) -> None:
    visits: list[Fact] = []
    for n in range(40):
        at = 10 * n
        visits += [(at + 1, None, f"v{n}", "view"), (at + 2, "ann", f"v{n}", "view"), (at + 3, "ann", None, "view")]
    found = gathered(tmp_path, visits, lookback=5)
    assert len(found.events) < 40 * (1 + 6 + 2) + 3 * 40 + 10, "five events and what is asked, for every sign-in"
    assert len(found.as_known_at(10_000).events) == 120


FACTS = st.lists(
    st.tuples(
        st.integers(1, 9),
        st.sampled_from([None, None, "ann", "bob"]),
        st.sampled_from([None, "v", "w"]),
        st.sampled_from(["view", "view", "purchase", "link", "unlink"]),
    ).filter(lambda fact: fact[1] is not None or fact[2] is not None),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=FACTS, range_events=st.sampled_from([1, 3, 1_000]))
def test_every_question_knows_what_the_plain_definition_says(
    facts: list[Fact], range_events: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    assert asked(gathered(folder, facts, range_events=range_events)) == plainly(facts)


SIGN_IN_AND_OUT_AT_ONE_INSTANT: list[Fact] = [
    (1, None, "w", "view"),
    (2, "ann", "w", "view"),
    (2, "ann", "w", "unlink"),
    (3, "ann", None, "view"),
]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=FACTS, at=st.integers(0, 11))
@example(facts=SIGN_IN_AND_OUT_AT_ONE_INSTANT, at=4)
def test_everybody_as_known_at_an_instant_is_what_the_plain_definition_says(
    facts: list[Fact], at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = gathered(tmp_path_factory.mktemp("log"), facts)
    found = log.as_known_at(at)
    known = dict(zip(found.shopper.to_pylist(), [sorted(h.price.astype(int).tolist()) for h in found], strict=True))
    wanted: dict[str, list[int]] = {}
    for number, fact in enumerate(facts):
        if fact[0] < at:
            wanted.setdefault(shopper_known(facts, fact, at), []).append(number)
    assert known == wanted
    number = log.shopper_number()
    edges = np.searchsorted(number, np.arange(number[-1] + 2)).tolist()
    alone = [log.sequences(first, last).as_known_at(at) for first, last in pairwise(edges)]
    assert {one.shopper[0].as_py(): sorted(one[0].price.astype(int).tolist()) for one in alone if len(one)} == wanted, (
        "one shopper's sequences alone say the same"
    )
    assert sorted(log.events_once().price.astype(int).tolist()) == list(range(len(facts)))


def test_histories_read_from_the_files_are_those_that_were_written(tmp_path: Path) -> None:
    log = gathered(tmp_path, ANN_SIGNS_IN)
    again = read_histories(tmp_path / "cache" / "histories-1")
    assert again.shopper.to_pylist() == log.shopper.to_pylist() == ["ann", "ann", "anonymous:v", "anonymous:v"]
    assert again.asked_from.tolist() == [ALWAYS, 5, ALWAYS, 5]
    assert np.diff(again.start).tolist()[-1] == 0, "after the sign-in the visitor has nothing of their own"
    assert again.events.price[again.adoption.copied].tolist() == [1]
    assert again.adoption.adopted_at.tolist().count(4) == 2, "the visitor's event, and the user's copy of it"
    assert log.events.channel.tolist() == [0, 2, 0, 0, 2, 2, 0, 2, 2, 2]
    assert log.events.position.tolist()[:3] == [-1, 2, 3]
    assert log.events.query.shape == (10, 4)
    assert log.events.quantity.strides == (0,), "what is the same everywhere takes no room"


def test_nothing_is_left_of_a_gathering_that_failed(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", ANN_SIGNS_IN)
    survey = Survey.of(log, until=None)
    coding = Coding(Catalogue(items_table(["a", "b"])))
    for file in (tmp_path / "log" / "events").rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises((pa.ArrowInvalid, RecsysError)):
        gather(log, survey, coding, tmp_path / "cache" / "histories-1", lookback=50)
    assert not list((tmp_path / "cache").iterdir())
