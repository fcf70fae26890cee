"""From raw events to features: the log's way and the store's way end in the same numbers, sign-ins and all."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.event import Event, EventType
from recsys.feature.coding import Vocabulary
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from recsys.sequence.coding import Coding
from recsys.sequence.gather import gather
from recsys.sequence.histories import Histories
from recsys.sequence.question import question_stream, remembered
from recsys.sequence.stream import TokenStream, training_stream
from recsys.sequence.survey import Survey
from recsys.state import Context, ShopperState
from serving.store.sqlite import SqliteStore
from tests.recsys.log.by_hand import shop
from tests.recsys.sequence.random_logs import UNIT, catalogue, everything_on

CATALOGUE = catalogue()
SPEC = everything_on(max_length=20, memory=60, channels=Vocabulary(("web",)), devices=Vocabulary())
CODING = Coding(CATALOGUE, SPEC.channels, SPEC.devices)

EVENTS = st.lists(
    st.builds(
        Event,
        event_id=st.just("?"),
        type=st.sampled_from(
            [*(EventType(name) for name in ("purchase", "view", "search", "link", "unlink", "offer"))]
        ),
        occurred_at=st.integers(1, 7).map(lambda at: at * UNIT),
        user_id=st.sampled_from([None, None, "ann", "bob"]),
        anonymous_id=st.sampled_from([None, "v", "w"]),
        item_id=st.sampled_from([None, "a", "b", "c", "unheard of"]),
        quantity=st.sampled_from([1.0, 0.3]),
        price=st.sampled_from([None, 0.1, 2.3]),
        list_price=st.sampled_from([None, 2.5]),
        channel=st.sampled_from([None, "web", "fax"]),
        device=st.sampled_from([None, "phone"]),
        position=st.sampled_from([None, 0, 7]),
        query=st.sampled_from([None, "Red shoes", "ß"]),
    ).filter(lambda event: event.user_id is not None or event.anonymous_id is not None),
    min_size=1,
    max_size=10,
)
COLUMNS = tuple(name for name in Event.__slots__ if name not in ("type", "filters", "consent"))
Token = tuple[bool, int, int, tuple[tuple[str, str], ...]]


def offline(events: list[Event], folder: Path) -> Histories:
    rows = [{**{name: getattr(e, name) for name in COLUMNS}, "type": e.type.value} for e in events]
    write_log(shop(*rows), folder / "log")
    log = EventLog(folder / "log")
    return gather(log, Survey.of(log, until=None), CODING, folder / "cache" / "histories-1", lookback=1_000)


def tokens(stream: TokenStream, rows: range) -> list[Token]:
    """What the encoder is told of each token, in an order that does not depend on storage."""
    told = [
        (
            bool(stream.is_query[row]),
            int(stream.time[row]),
            int(stream.item[row]),
            tuple((name, str(values[row])) for name, values in stream.features.items()),
        )
        for row in rows
    ]
    return sorted(told)


async def online(events: list[Event], path: Path, who: str, context: Context) -> TokenStream:
    store = SqliteStore(path)
    await store.open()
    await store.append(events)
    visitor = who.removeprefix("anonymous:") if who.startswith("anonymous:") else None
    user = None if visitor else who
    known = await store.history(user_id=user, anonymous_id=visitor, limit=SPEC.memory + 1, before=context.at)
    await store.close()
    history = remembered(CODING.of_events(known, before=context.at), SPEC.memory)
    return question_stream([ShopperState(history, context)], SPEC)


def context_of(histories: Histories, sequence: int, at: int) -> Context:
    """As training takes it: from what is shown at the instant of the question."""
    now = histories[sequence]
    now = now[now.time == at]
    shown = now[SPEC.shown(now)]
    channel, device = int(shown.channel.max(initial=0)), int(shown.device.max(initial=0))
    return Context(at=at, channel=(None, "fax", "web")[channel], device=(None, "phone")[device])


def act(kind: str, hour: int, **more: str | None) -> Event:
    return Event(event_id="?", type=EventType(kind), occurred_at=hour * UNIT, **more)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(events=EVENTS)
def test_every_question_is_told_the_same_by_the_log_and_by_the_store(
    events: list[Event], tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Unlinks come a microsecond later than acts: of the tie the test below says what is wrong.
    insist_told_the_same(
        [replace(event, occurred_at=event.occurred_at + int(event.type is EventType.UNLINK)) for event in events],
        tmp_path_factory.mktemp("both"),
    )


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="the store, asked at that instant, does not know it yet")
def test_an_unlink_at_the_very_instant_of_an_act_is_told_the_same(tmp_path: Path) -> None:
    both = {"user_id": "ann", "anonymous_id": "v"}
    bought = act("purchase", 2, anonymous_id="v", item_id="a")
    insist_told_the_same([act("purchase", 1, **both), bought, act("unlink", 2, **both)], tmp_path)


def insist_told_the_same(events: list[Event], folder: Path) -> None:
    """Of every question that training asks: what the encoder is told by the log, and by the store."""
    events = [replace(event, event_id=f"{number:02d}") for number, event in enumerate(events)]
    histories = offline(events, folder)
    stream = training_stream(histories, SPEC)
    for sequence in range(len(histories)):
        begin, end = int(stream.start[sequence]), int(stream.start[sequence + 1])
        asking = [
            r for r in range(begin, end) if stream.is_query[r] and stream.time[r] >= histories.asked_from[sequence]
        ]
        for query in asking:
            at = int(stream.time[query])
            context = context_of(histories, sequence, at)
            shown = [r for r in range(begin, end) if not stream.is_query[r] and stream.time[r] < at]
            path = folder / f"events-{sequence}-{at}.db"
            asked = asyncio.run(online(events, path, histories.shopper[sequence].as_py(), context))
            assert tokens(asked, range(len(asked.item))) == tokens(stream, [*shown, query])  # type: ignore[arg-type]
