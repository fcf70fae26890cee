"""Every rung of the ladder, forced by what can break or be late, with a really trained recommender."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.clock import DAY, ManualClock
from recsys.event import Event, EventType
from recsys.recommender import Recommender
from recsys.slate import Slate
from recsys.state import ShopperState
from serving.exposure import ExposureLog
from serving.ladder import Pace, Rung
from serving.pipeline import Answer, Answering, Question
from serving.store.sqlite import SqliteStore


class Broken:
    """Takes the place of a part and fails whatever it is asked."""

    ready = True
    depth = 200

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"{name}: an illegal memory access was encountered")

    def __call__(self, *_: object) -> Any:
        raise RuntimeError("an illegal memory access was encountered")


class Slow:
    """A recommender whose ranker takes its time."""

    def __init__(self, recommender: Recommender, takes_s: float) -> None:
        self._recommender = recommender
        self.takes_s = takes_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recommender, name)

    def answer(self, states: Sequence[ShopperState], *, with_ranker: bool = True, **how: Any) -> list[Slate]:
        time.sleep(self.takes_s if with_ranker else 0.0)
        return self._recommender.answer(states, with_ranker=with_ranker, **how)


@dataclass(slots=True)
class Line:
    """A recommender in service, and a shopper who came on two days."""

    recommender: Recommender
    store: SqliteStore
    clock: ManualClock

    def of(self, recommender: Any) -> Answering:
        """The line with that recommender in it."""
        exposures, rng = ExposureLog(self.store), np.random.default_rng(0)
        return Answering(recommender, self.store, exposures, clock=self.clock, rng=rng)

    async def asked(self, recommender: Any, *, count: int = 5, deadline_s: float | None = None) -> Answer:
        """What the shopper is shown by it; what it prepared was prepared while it was whole."""
        line = self.of(self.recommender)
        await line.warm_up()
        line.swap(recommender, history_limit=100)
        line._ladder._prepared[id(recommender)] = line._ladder._prepared[id(self.recommender)]
        try:
            return await line.answer(Question(user_id="u", count=count), deadline_s=deadline_s)
        finally:
            await line.close()


@pytest.fixture
async def line(tiny_bundle: Path, tmp_path: Path) -> AsyncIterator[Line]:
    recommender = Recommender.load(tiny_bundle).on_offer()
    store, now = SqliteStore(tmp_path / "events.db"), recommender.data_end
    await store.open()
    bought = [
        Event(
            event_id=f"{days}-{number}",
            type=EventType.PURCHASE if days else EventType.VIEW,
            occurred_at=now - days * DAY - number,
            user_id="u",
            item_id=recommender.catalogue.id_of(number),
        )
        for days in (0, 20)
        for number in (1, 2, 3)
    ]
    await store.append(bought)
    yield Line(recommender, store, ManualClock(now + 1))
    await store.close()


def ids(answer: Answer) -> list[str]:
    return [item.item_id for item, _ in answer.items]


async def test_when_all_is_well_nothing_is_said(line: Line) -> None:
    answer = await line.asked(line.recommender)
    assert (answer.rung, answer.degraded, len(answer.items)) == (Rung.FULL, None, 5)


async def test_without_the_ranker_the_blend_orders(line: Line) -> None:
    answer = await line.asked(replace(line.recommender, ranker=Broken()))
    assert answer.rung is Rung.WITHOUT_RANKER
    assert answer.degraded == "the ranker failed; ordered without the ranker"
    assert ids(answer) == ids(await line.asked(replace(line.recommender, ranker=None)))


@pytest.mark.parametrize("part", ["encoder", "index"])
async def test_without_the_model_the_crowd_answers(line: Line, part: str) -> None:
    broken = replace(line.recommender, **{part: Broken()})
    answer = await line.asked(broken.on_offer() if part == "index" else broken)
    assert answer.rung is Rung.WITHOUT_MODEL
    assert "the model failed" in str(answer.degraded)
    assert "wisdom of crowds" in str(answer.degraded)
    assert len(answer.items) == 5
    assert "encoder" not in {chosen.source for _, chosen in answer.items}


async def test_where_the_crowd_knows_nothing_of_the_shopper_what_is_popular_is_shown(line: Line) -> None:
    class Forgetful:
        def __getattr__(self, name: str) -> Any:
            return getattr(line.recommender, name)

        def answer(self, states: Sequence[ShopperState], **how: Any) -> list[Slate]:
            if any(len(state.history) for state in states):
                raise RuntimeError("the co-visitation table is damaged")
            return line.recommender.answer(states, **how)

    answer = await line.asked(Forgetful())
    assert answer.rung is Rung.TRENDING
    assert "popular now" in str(answer.degraded)
    assert answer.knowledge == "known", "whatever was left out of the answer"
    assert len(answer.items) == 5
    handled = {line.recommender.catalogue.id_of(number) for number in (1, 2, 3)}
    assert not handled & set(ids(answer)), "nobody can say when it is wanted again"


async def test_when_everything_fails_a_prepared_list_is_shown(line: Line) -> None:
    class Dead:
        catalogue, coding, offer = line.recommender.catalogue, line.recommender.coding, line.recommender.offer

        def answer(self, states: Sequence[ShopperState], **how: Any) -> list[Slate]:
            raise RuntimeError("nothing works")

    answer = await line.asked(Dead())
    assert answer.rung is Rung.STATIC
    assert "prepared beforehand" in str(answer.degraded)
    assert len(answer.items) == 5
    handled = {line.recommender.catalogue.id_of(number) for number in (1, 2, 3)}
    assert not handled & set(ids(answer))


async def test_an_answer_that_is_late_is_the_prepared_list_in_time(line: Line) -> None:
    began = time.perf_counter()
    answer = await line.asked(Slow(line.recommender, 0.6), deadline_s=0.15)
    assert answer.rung is Rung.STATIC
    assert "not ready in time" in str(answer.degraded)
    assert answer.took_ms < 400
    assert time.perf_counter() - began < 5


async def test_what_is_known_to_take_too_long_is_not_tried(line: Line) -> None:
    slow = Slow(line.recommender, 0.3)
    answering = line.of(slow)
    await answering.warm_up(line.recommender)
    answering._ladder._prepared[id(slow)] = answering._ladder._prepared[id(line.recommender)]
    question = Question(user_id="u", count=5)
    assert (await answering.answer(question)).rung is Rung.FULL
    hurried = await answering.answer(question, deadline_s=0.2)
    assert hurried.rung is Rung.WITHOUT_RANKER
    assert hurried.degraded == "there was no time for more; ordered without the ranker"
    assert hurried.took_ms < 200
    await answering.close()


async def test_what_fails_again_and_again_rests(line: Line) -> None:
    class Counted(Broken):
        calls = 0

        def chances(self, *_: object) -> Any:
            Counted.calls += 1
            raise RuntimeError("no facts")

    answering = line.of(replace(line.recommender, ranker=Counted()))
    await answering.warm_up()
    answers = [await answering.answer(Question(user_id="u")) for _ in range(12)]
    assert {answer.rung for answer in answers} == {Rung.WITHOUT_RANKER}
    assert Counted.calls == 5, "after that it rests for a while"
    await answering.close()


async def test_who_cannot_be_answered_in_time_is_told_so_at_once(line: Line) -> None:
    from recsys.errors import OverloadError

    slow = Slow(line.recommender, 0.05)
    answering = Answering(
        slow, line.store, ExposureLog(line.store), clock=line.clock, rng=np.random.default_rng(0), largest_batch=1
    )
    question = Question(count=3)
    await answering.answer(Question(user_id="u"))
    asked = [asyncio.create_task(answering.answer(Question(user_id="u"), deadline_s=5)) for _ in range(10)]
    await asyncio.sleep(0.02)
    began = time.perf_counter()
    with pytest.raises(OverloadError, match="ask again in a second"):
        await answering.answer(question, deadline_s=0.2)
    assert time.perf_counter() - began < 0.05
    assert {answer.rung for answer in await asyncio.gather(*asked)} == {Rung.FULL}
    await answering.close()


def test_a_rung_that_once_took_far_too_long_is_tried_again_before_long() -> None:
    now = [100.0]
    pace = Pace(ticks=lambda: now[0])
    pace.note(Rung.FULL, 1, 13.0)
    assert pace.expected_s(Rung.FULL, 1) == pytest.approx(1.5 * 13.0)
    now[0] += 4.0
    assert pace.expected_s(Rung.FULL, 1) == pytest.approx(1.5 * 13.0 / 16)
    pace.note(Rung.FULL, 2, 0.01)
    assert pace.expected_s(Rung.FULL, 1) == pytest.approx(1.5 * (0.9 * 13.0 / 16 + 0.1 * 0.005))
