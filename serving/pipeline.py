"""Answering: request -> shopper state now -> recommender -> slate -> exposure log -> response, as plain async Python.

The recommender holds features, encoder, retrieval, blending and policy; it is called with everything that queued while
it was busy. Whatever is missing makes the answer poorer, never absent: `degraded` then says what was missing.
"""

import asyncio
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from recsys.catalogue import Catalogue, Item
from recsys.clock import SECOND, Clock
from recsys.errors import ConfigError, RecsysError
from recsys.event import Event, EventType
from recsys.retrieval.assortment import Assortment
from recsys.retrieval.filter.expression import Filter
from recsys.sequence.coding import Coding
from recsys.sequence.question import remembered
from recsys.slate import Slate, SlateItem
from recsys.state import Context, Knowledge, ShopperState
from serving.batching import Batching
from serving.exposure import ExposureLog
from serving.store.protocol import ExposedItem, Exposure, OnlineStore
from serving.watching.meter import FULL, Meter, Stage
from serving.watching.request import CURRENT, within

_log = logging.getLogger("attune.pipeline")
_HANDLED = {EventType.ADD_TO_CART, EventType.REMOVE_FROM_CART, EventType.PURCHASE}


class Recommends(Protocol):
    """What serving needs of `recsys.recommender.Recommender`."""

    @property
    def catalogue(self) -> Catalogue:
        """The items it knows."""
        ...

    @property
    def coding(self) -> Coding:
        """How it reads events."""
        ...

    @property
    def offer(self) -> Assortment | None:
        """What is on offer now; serving needs one (`Recommender.on_offer`)."""
        ...

    def answer(
        self,
        states: Sequence[ShopperState],
        *,
        counts: Sequence[int],
        rng: np.random.Generator,
        with_encoder: bool = True,
    ) -> list[Slate]:
        """One slate per state; blocks until the CPU work is done."""
        ...


def offer_of(recommender: Recommends) -> Assortment:
    """What it has on offer; a recommender without that cannot be served and raises ConfigError."""
    if recommender.offer is None:
        raise ConfigError("the recommender has no live assortment; serve recommender.on_offer()")
    return recommender.offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked; `exclude` and `item_id` are item ids, `utc_offset_s` the shopper's own; `exclude_seen`
    leaves out what the shopper acted on before; `wanted` is what alone may be shown."""

    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    placement: str = "home"
    utc_offset_s: int | None = None
    device: str | None = None
    channel: str | None = None
    store: str | None = None
    item_id: str | None = None
    count: int = 10
    exclude: tuple[str, ...] = ()
    exclude_seen: bool = False
    wanted: Filter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The slate with everything needed to show it; `items` pairs what to show with why, in order."""

    recommendation_id: str
    model_version: str
    items: tuple[tuple[Item, SlateItem], ...]
    knowledge: Knowledge
    degraded: str | None
    took_ms: float


Asked = tuple[Recommends, ShopperState, int, str | None]
"""Who shall answer, about whom, how many items, in which request."""


class Answering:
    """The line from a question to an answer; one per replica."""

    def __init__(
        self,
        recommender: Recommends,
        store: OnlineStore,
        exposures: ExposureLog,
        *,
        clock: Clock,
        rng: np.random.Generator,
        history_limit: int = 1_000,
        store_timeout_s: float = 1.0,
        largest_batch: int = 32,
        meter: Meter | None = None,
    ) -> None:
        self._current = (recommender, offer_of(recommender), history_limit)
        self._meter = meter or Meter()
        self._store = store
        self._exposures = exposures
        self._clock = clock
        self._rng = rng
        self._store_timeout_s = store_timeout_s
        self._slate = Batching(
            self._slates, name="recommender", largest=largest_batch, waiting=1024, observe=self._meter.batch
        )

    async def answer(self, question: Question) -> Answer:
        """The slate for `question` as of now; raises RecsysError only if there is no answer at all."""
        laps = self._meter.laps()
        at = self._clock.now()
        recommender, offer, history_limit = self._current  # the same for all of this answer, whatever is swapped in
        events, trouble = await self._history(question, at, limit=history_limit)
        laps.lap(Stage.STORE)
        state = _state(question, events, at, recommender, limit=history_limit)
        laps.lap(Stage.STATE)
        slate = await self._slate((recommender, state, question.count, CURRENT.get()))
        degraded = "; ".join(part for part in (trouble, slate.degraded) if part) or None
        recommendation_id = str(uuid.uuid4())
        self._exposures.record(_exposure(recommendation_id, at, question, slate, degraded))
        self._meter.answered(
            FULL if degraded is None else "degraded",
            item_ids=[item.item_id for item in slate.items],
            top_score=slate.items[0].score if slate.items else 0.0,
            newest_s=(at - events[-1].occurred_at) / SECOND if events else None,
        )
        return Answer(
            recommendation_id=recommendation_id,
            model_version=slate.model_version,
            items=tuple((offer.item(item.index), item) for item in slate.items),
            knowledge=slate.knowledge,
            degraded=degraded,
            took_ms=laps.whole() * 1_000,
        )

    async def warm_up(self, recommender: Recommends | None = None) -> None:
        """Answer twice for practice, unrecorded, so that no shopper pays for first-time costs; by the recommender that
        answers, or by one that shall."""
        at = self._clock.now()
        current, _, limit = self._current
        practised = recommender or current
        first = practised.catalogue.id_of(1)
        seen = Event(event_id="", type=EventType.VIEW, occurred_at=at - SECOND, item_id=first)
        for events in ((), (seen,)):
            await self._slate((practised, _state(Question(), events, at, practised, limit=limit), 10, None))

    def swap(self, recommender: Recommends, *, history_limit: int) -> None:
        """Questions that begin after this are answered by another recommender; those under way are not disturbed."""
        self._current = (recommender, offer_of(recommender), history_limit)

    async def close(self) -> None:
        """Answer what is queued."""
        await self._slate.close()

    async def _history(self, question: Question, at: int, *, limit: int) -> tuple[list[Event], str | None]:
        if question.user_id is None and question.anonymous_id is None:
            return [], None
        try:
            async with asyncio.timeout(self._store_timeout_s):
                return await self._store.history(
                    user_id=question.user_id,
                    anonymous_id=question.anonymous_id,
                    limit=limit + 1,
                    before=at,
                ), None
        except (RecsysError, TimeoutError):
            self._meter.store_failed("history")
            return [], "the shopper's history could not be read; answered from the request alone"

    def _slates(self, asked: Sequence[Asked]) -> Sequence[Slate | Exception]:
        """Answer a batch, each by its own recommender: two, at the most, while one takes over from another."""
        slates: dict[int, Slate | Exception] = {}
        for recommender in {id(one): one for one, *_ in asked}.values():
            places = [place for place, (one, *_) in enumerate(asked) if one is recommender]
            slates |= zip(places, self._slates_of(recommender, [asked[place] for place in places]), strict=True)
        return [slates[place] for place in range(len(asked))]

    def _slates_of(self, recommender: Recommends, asked: Sequence[Asked]) -> Sequence[Slate | Exception]:
        """If a batch fails, each is answered alone, so that one strange history cannot spoil the others' answers."""
        answer = partial(recommender.answer, rng=self._rng)
        try:
            return answer([state for _, state, *_ in asked], counts=[count for _, _, count, _ in asked])
        except Exception as failure:  # noqa: BLE001 - whatever broke, the shopper shall get an answer
            if len(asked) > 1:
                return [slate for one in asked for slate in self._slates_of(recommender, [one])]
            with within(asked[0][-1]):
                return [self._without_encoder(*asked[0][:-1], failure)]

    def _without_encoder(
        self, recommender: Recommends, state: ShopperState, count: int, failure: Exception
    ) -> Slate | Exception:
        _log.warning("the encoder failed, answering without it", exc_info=failure)
        self._meter.encoder_failed()
        try:
            [slate] = recommender.answer([state], counts=[count], rng=self._rng, with_encoder=False)
        except Exception as second:  # noqa: BLE001 - it is raised again, to whoever asked
            return second
        return replace(slate, degraded=slate.degraded or "the encoder failed; answered from the other sources")


def _state(
    question: Question, events: Sequence[Event], at: int, recommender: Recommends, *, limit: int
) -> ShopperState:
    """What is known of the shopper now, in the recommender's own numbers."""
    offer = offer_of(recommender)
    context = Context(
        at=at,
        utc_offset_s=question.utc_offset_s,
        placement=question.placement,
        device=question.device,
        channel=question.channel,
        store=question.store,
        item=recommender.catalogue.index_of(question.item_id),
    )
    history = remembered(recommender.coding.of_events(events, before=at), limit)
    exclude = frozenset(offer.index_of(item_id) for item_id in question.exclude)
    seen = frozenset(history.interactions().item.tolist()) if question.exclude_seen else frozenset()
    return ShopperState(history, context, exclude | seen | _in_hand(events, offer), question.wanted)


def _in_hand(events: Sequence[Event], offer: Assortment) -> frozenset[int]:
    """Of items that came after the training, those in the basket and those bought: the model cannot tell them from
    others, so they are not offered again before it has learnt of them."""
    later: dict[int, bool] = {}
    for event in events:
        if event.type in _HANDLED and (index := offer.index_of(event.item_id)) >= offer.known:
            later[index] = event.type is not EventType.REMOVE_FROM_CART
    return frozenset(index for index, in_hand in later.items() if in_hand)


def _exposure(recommendation_id: str, at: int, question: Question, slate: Slate, degraded: str | None) -> Exposure:
    return Exposure(
        recommendation_id=recommendation_id,
        at=at,
        placement=question.placement,
        policy=slate.policy,
        model_version=slate.model_version,
        knowledge=slate.knowledge.value,
        user_id=question.user_id,
        anonymous_id=question.anonymous_id,
        session_id=question.session_id,
        device=question.device,
        channel=question.channel,
        store=question.store,
        degraded=degraded,
        items=tuple(
            ExposedItem(
                item_id=item.item_id,
                position=position,
                propensity=item.propensity,
                score=item.score,
                source=item.source,
            )
            for position, item in enumerate(slate.items)
        ),
    )
