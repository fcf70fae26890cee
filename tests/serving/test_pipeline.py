"""Answering when parts of it are slow or broken, and the exposure log behind it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from recsys.clock import SECOND, ManualClock
from recsys.errors import StoreError
from recsys.event import Event, EventType
from recsys.slate import Slate
from recsys.state import ShopperState
from serving.exposure import ExposureLog
from serving.pipeline import Answering, Question
from serving.store.protocol import Exposure, Known
from serving.store.sqlite import SqliteStore
from tests.serving.shop import NOW, CategoryCounter


class SlowStore(SqliteStore):
    """A store whose disk takes its time to read."""

    async def known(
        self, *, user_id: str | None, anonymous_id: str | None, limit: int, before: int | None = None
    ) -> Known:
        await asyncio.sleep(10)
        return await super().known(user_id=user_id, anonymous_id=anonymous_id, limit=limit, before=before)


class Notebook:
    """An exposure store that can be closed for writing, or made to wait."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.works = True
        self.gate = asyncio.Event()
        self.gate.set()

    async def record_exposures(self, exposures: Sequence[Exposure]) -> None:
        await self.gate.wait()
        if not self.works:
            raise StoreError("the disk is full")
        self.written += [exposure.recommendation_id for exposure in exposures]


class Squeamish(CategoryCounter):
    """A recommender whose encoder cannot bear one particular history, alone or in company."""

    def answer(
        self,
        states: Sequence[ShopperState],
        *,
        counts: Sequence[int],
        rng: np.random.Generator,
        with_encoder: bool = True,
        with_ranker: bool = True,
    ) -> list[Slate]:
        if with_encoder and any(len(state.history) == 2 for state in states):
            raise ValueError("cannot bear two events")
        return super().answer(states, counts=counts, rng=rng, with_encoder=with_encoder)


def exposure(name: str) -> Exposure:
    return Exposure(
        recommendation_id=name, at=0, placement="home", policy="p", model_version="1", knowledge="cold", items=()
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "events.db")
    await store.open()
    yield store
    await store.close()


def answering(store: SqliteStore, recommender: CategoryCounter, *, store_timeout_s: float = 5) -> Answering:
    return Answering(
        recommender,
        store,
        ExposureLog(store),
        clock=ManualClock(NOW),
        rng=np.random.default_rng(0),
        store_timeout_s=store_timeout_s,
    )


async def test_a_store_that_takes_too_long_is_not_waited_for(tmp_path: Path) -> None:
    store = SlowStore(tmp_path / "events.db")
    await store.open()
    line = answering(store, CategoryCounter(), store_timeout_s=0.05)
    answer = await asyncio.wait_for(line.answer(Question(user_id="u")), timeout=2)
    assert answer.degraded is not None
    assert "history could not be read" in answer.degraded
    assert len(answer.items) == 10
    await line.close()
    await store.close()


async def test_one_strange_history_does_not_spoil_the_answers_of_others(store: SqliteStore) -> None:
    def view(number: int, user: str) -> Event:
        return Event(
            event_id=f"{user}{number}",
            type=EventType.VIEW,
            occurred_at=NOW - SECOND,
            user_id=user,
            item_id="item-025",
        )

    await store.append([view(1, "odd"), view(2, "odd"), view(1, "plain")])
    line = answering(store, Squeamish())
    odd, plain, nobody = await asyncio.gather(
        line.answer(Question(user_id="odd")), line.answer(Question(user_id="plain")), line.answer(Question())
    )
    assert odd.degraded == "the model failed; answered without the model: this is the wisdom of crowds"
    assert (plain.degraded, nobody.degraded) == (None, None)
    assert [answer.items[0][0].item_id for answer in (odd, plain, nobody)] == ["item-020", "item-020", "item-000"]
    await line.close()


async def test_the_page_and_the_offset_reach_the_recommender(store: SqliteStore) -> None:
    seen: list[ShopperState] = []

    class Witness(CategoryCounter):
        def answer(self, states: Sequence[ShopperState], **how: object) -> list[Slate]:
            seen.extend(states)
            return super().answer(states, **how)

    line = answering(store, Witness())
    await line.answer(Question(item_id="item-003", utc_offset_s=7_200, device="phone", placement="item page"))
    [state] = seen
    assert (state.context.at, state.context.utc_offset_s, state.context.item) == (NOW, 7_200, 4)
    assert (state.context.device, state.context.placement) == ("phone", "item page")
    await line.close()


async def test_exposures_are_written_in_order_and_all_of_them_before_closing() -> None:
    notebook = Notebook()
    log = ExposureLog(notebook, largest=2)
    for name in "abcde":
        log.record(exposure(name))
    await log.close()
    assert notebook.written == list("abcde")
    assert (log.written, log.lost) == (5, 0)


async def test_exposures_that_cannot_be_written_are_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    notebook = Notebook()
    notebook.works = False
    log = ExposureLog(notebook)
    with caplog.at_level(logging.WARNING):
        log.record(exposure("a"))
        await log.close()
    assert log.lost == 1
    assert "the disk is full" in caplog.text
    notebook.works = True
    log.record(exposure("b"))
    await log.close()
    assert notebook.written == ["b"]


async def test_when_too_many_exposures_wait_the_newest_are_dropped_and_counted() -> None:
    notebook = Notebook()
    notebook.gate.clear()
    log = ExposureLog(notebook, waiting=2, largest=1)
    for name in "abcd":
        log.record(exposure(name))
    notebook.gate.set()
    await log.close()
    assert notebook.written == ["a", "b"]
    assert log.lost == 2
