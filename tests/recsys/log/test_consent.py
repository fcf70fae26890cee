"""Events of shoppers who do not agree to training are not learnt from, by the rule that answers keep to."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.consent import Rule
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.event import QUARANTINE_SCHEMA, Event, EventType, events_table
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from tests.made_up_shop import MadeUpShop

TRAINING = Rule(frozenset({"training"}))
Said = tuple[int, str | None, str | None, str, tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class Told(MadeUpShop):
    """A source of exactly these events."""

    events: tuple[Event, ...] = ()

    def _chunks(self) -> Iterator[SourceChunk]:
        table = events_table(self.events)
        empty = QUARANTINE_SCHEMA.empty_table()
        yield SourceChunk(rows_in=table.num_rows, events=table, quarantine=empty)

    def parts(self) -> list[SourcePart]:
        return [SourcePart(name="all", digest="d", chunks=self._chunks)]


def event_of(number: int, said: Said) -> Event:
    at, user, visitor, kind, consent = said
    return Event(
        event_id=f"{number:02d}",
        type=EventType(kind),
        occurred_at=at * 3_600_000_000,
        user_id=user,
        anonymous_id=visitor,
        item_id="item-001",
        consent=consent,
    )


def learnt(facts: list[Said], rule: Rule = TRAINING) -> set[int]:
    """Numbers of the events that may be learnt from."""
    with TemporaryDirectory() as folder:
        write_log(Told(events=tuple(event_of(*one) for one in enumerate(facts))), Path(folder, "log"))
        log = EventLog(Path(folder, "log")).of_the_willing(rule)
        return {int(one) for piece in log.days(("event_id",)) for one in piece["event_id"].to_pylist()}


def test_whoever_said_no_last_is_left_out_with_all_they_did_before() -> None:
    facts: list[Said] = [
        (1, "ann", None, "view", ("training",)),
        (2, "ann", None, "view", None),
        (3, "ann", None, "consent", ("personalisation",)),
        (1, "bob", None, "view", ()),
        (2, "bob", None, "view", ("training", "ads")),
        (1, "eve", None, "view", None),
        (1, None, "v", "view", ()),
        (2, None, "w", "view", None),
    ]
    assert learnt(facts) == {3, 4, 5, 7}
    assert learnt(facts, Rule(frozenset({"training"}), "denied")) == {3, 4}


def test_of_a_visitor_and_a_user_the_stricter_wins_until_the_user_says_something() -> None:
    facts: list[Said] = [
        (1, None, "v", "view", ()),
        (1, "ann", None, "view", ("training",)),
        (3, "ann", "v", "link", None),
        (4, None, "v", "view", None),
    ]
    assert learnt(facts) == set()
    assert learnt([*facts, (5, "ann", None, "consent", ("training",))]) == {0, 1, 2, 3, 4}
    assert learnt([*facts, (5, None, "v", "consent", ("training",))]) == {0, 1, 2, 3, 4}


def test_what_a_visitor_left_who_was_several_people_needs_everybody_to_agree() -> None:
    facts: list[Said] = [
        (1, None, "tablet", "view", None),
        (2, "ann", "tablet", "link", None),
        (3, "bob", "tablet", "link", None),
        (4, None, "tablet", "view", None),
        (5, "ann", None, "consent", ()),
        (6, "bob", None, "view", None),
    ]
    assert learnt(facts) == {2, 5}


def test_a_log_in_which_nobody_said_anything_is_read_as_it_is() -> None:
    with TemporaryDirectory() as folder:
        write_log(Told(events=(event_of(0, (1, "ann", None, "view", None)),)), Path(folder))
        log = EventLog(Path(folder))
        assert log.of_the_willing(TRAINING) is log


FACTS = st.lists(
    st.tuples(
        st.integers(1, 9),
        st.sampled_from([None, "ann", "bob"]),
        st.sampled_from([None, "v", "w"]),
        st.sampled_from(["view", "link", "unlink", "consent"]),
        st.sampled_from([None, (), ("training",), ("ads", "training")]),
    ).filter(lambda said: said[1] is not None or said[2] is not None),
    min_size=1,
    max_size=8,
    unique_by=lambda said: (said[0], said[2]),
)


@settings(max_examples=40, deadline=None)
@given(facts=FACTS, default=st.sampled_from(["granted", "denied"]))
def test_nothing_is_learnt_of_whoever_the_service_says_does_not_agree(facts: list[Said], default: str) -> None:
    rule = Rule(frozenset({"training"}), default)  # type: ignore[arg-type]
    kept = learnt(facts, rule)
    agreed = asyncio.run(_agreed([event_of(*one) for one in enumerate(facts)]))
    for number, (_, user, visitor, *_) in enumerate(facts):
        if user is not None:
            assert (number in kept) == rule.allows(agreed[user]), "of users exactly as the service says"
        elif number in kept:
            assert rule.allows(agreed[visitor]), "of visitors never more than it says"


async def _agreed(events: list[Event]) -> dict[str | None, frozenset[str] | None]:
    from serving.store.memory import MemoryStore

    store = MemoryStore()
    await store.open()
    await store.append(events)
    found = {who: (await store.known(user_id=who, anonymous_id=None, limit=1)).agreed for who in ("ann", "bob")}
    found |= {who: (await store.known(user_id=None, anonymous_id=who, limit=1)).agreed for who in ("v", "w")}
    await store.close()
    return found
