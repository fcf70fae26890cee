"""Answering: request -> shopper state now -> recommender -> slate -> exposure log -> response, as plain async Python.

The recommender holds features, encoder, retrieval, blending and policy; it is called with everything that queued while
it was busy. Whatever is missing or late makes the answer poorer, never absent (`serving/ladder.py`); `degraded` then
says what was missing.

Of a shopper who does not agree to personalisation (`recsys/consent.py`) only the request itself is used: the item the
page is about and the context, what it excludes and filters by; no history, no basket, and who asks is not told to
anything further on. `consent` says so. Who does not agree to that, or to training, is not named in the exposure log.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from recsys.catalogue import Item
from recsys.clock import SECOND, Clock
from recsys.consent import Default, Rules
from recsys.errors import OverloadError, RecsysError
from recsys.event import Event, EventColumns, EventType
from recsys.log.erasures import Kind
from recsys.retrieval.assortment import Assortment
from recsys.retrieval.filter.expression import Filter
from recsys.sequence.question import remembered
from recsys.slate import SlateItem
from recsys.state import Context, Knowledge, ShopperState
from serving.batching import Batching
from serving.experiment import Experiment, Treatment, treatment
from serving.exposure import ExposureLog
from serving.ladder import Answered, Asked, Ladder, Rung
from serving.recommends import Recommends, offer_of
from serving.store.protocol import ExposedItem, Exposure, Known, OnlineStore
from serving.watching.meter import Meter, Stage
from serving.watching.request import CURRENT, within

_log = logging.getLogger("attune.pipeline")
_LEAVING_S = 0.002
"""What an answer still needs once it is made."""
_REMOVED = EventType.REMOVE_FROM_CART.code
_HANDLED = {EventType.ADD_TO_CART.code, _REMOVED, EventType.PURCHASE.code}


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
    """The slate with everything needed to show it; `items` pairs what to show with why, in order. `consent` is whether
    the shopper agrees to personalisation, None where that could not be read; `experiments` names the arm of each that
    the shopper is in."""

    recommendation_id: str
    model_version: str
    items: tuple[tuple[Item, SlateItem], ...]
    knowledge: Knowledge
    degraded: str | None
    rung: Rung
    took_ms: float
    consent: Default | None = "granted"
    experiments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Read:
    """A question with what was read for it: who shall answer, when it was asked (`at`, microseconds UTC), what the
    shopper did until then, and until when an answer is of use (`due`, `time.perf_counter` seconds)."""

    question: Question
    recommender: Recommends
    history_limit: int
    at: int
    events: EventColumns
    due: float
    request: str | None
    with_ranker: bool = True

    def asked(self) -> Asked:
        """As the recommender reads it; a history that cannot be read is none."""
        try:
            state = _state(self.question, self.events, self.at, self.recommender, limit=self.history_limit)
        except Exception as failure:  # noqa: BLE001 - whatever is stored there, the shopper shall get an answer
            with within(self.request):
                _log.warning("a history cannot be read, answering without it", exc_info=failure)
            state = _state(self.question, EventColumns(), self.at, self.recommender, limit=self.history_limit)
        return Asked(self.recommender, state, self.question.count, self.due, self.request, self.with_ranker)


@dataclass(frozen=True, slots=True, kw_only=True)
class _May:
    """What an answer may use and keep: the question and the history that the recommender is told, the question that the
    exposure log is told, whether the shopper agrees to personalisation (None: unknown), and what could not be read."""

    asked: Question
    recorded: Question
    events: EventColumns
    consent: Default | None
    trouble: str | None = None


class Answering:
    """The line from a question to an answer; one per replica.

    Args:
        store_timeout_s: how long the shopper's history is waited for, at most.
        deadline_s: how long a question may take that does not say so itself.
        consent: what shoppers must agree to.
        experiments: by which shoppers are answered in different ways.
    """

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
        deadline_s: float = 2.0,
        largest_batch: int = 32,
        consent: Rules | None = None,
        experiments: Sequence[Experiment] = (),
        meter: Meter | None = None,
    ) -> None:
        self._consent = consent or Rules()
        self._experiments = experiments
        self._current = (recommender, offer_of(recommender), history_limit)
        self._meter = meter or Meter()
        self._store = store
        self._exposures = exposures
        self._clock = clock
        self._store_timeout_s = store_timeout_s
        self._deadline_s = deadline_s
        self._ladder = Ladder(rng, failed=self._meter.rung_failed)
        self._batch = Batching(
            self._answers, name="recommender", largest=largest_batch, waiting=1024, observe=self._meter.batch
        )

    async def answer(self, question: Question, *, deadline_s: float | None = None) -> Answer:
        """The slate for `question` as of now, within the deadline; OverloadError if so many are waiting already that
        there could be none in time."""
        laps = self._meter.laps()
        due = laps.started + (deadline_s or self._deadline_s) - _LEAVING_S
        self._refuse_if_hopeless(due - laps.started)
        at = self._clock.now()
        recommender, offer, history_limit = self._current  # the same for all of this answer, whatever is swapped in
        may = await self._may_use(question, at, limit=history_limit, due=due)
        laps.lap(Stage.STORE)
        treated = treatment(self._experiments, user_id=may.asked.user_id, anonymous_id=may.asked.anonymous_id)
        read = _Read(may.asked, recommender, history_limit, at, may.events, due, CURRENT.get(), treated.with_ranker)
        answered = await self._in_time(read)
        slate, rung = answered.slate, answered.rung.name.lower()
        degraded = "; ".join(part for part in (may.trouble, slate.degraded) if part) or None
        recommendation_id = str(uuid.uuid4())
        self._exposures.record(_exposure(recommendation_id, at, may.recorded, answered, degraded, treated))
        self._meter.answered(
            rung if may.trouble is None else "without_history",
            item_ids=[item.item_id for item in slate.items],
            top_score=slate.items[0].score if slate.items else 0.0,
            newest_s=(at - may.events.occurred_at[-1]) / SECOND if may.events and may.consent == "granted" else None,
        )
        return Answer(
            recommendation_id=recommendation_id,
            model_version=slate.model_version,
            items=tuple([(offer.item(item.index), item) for item in slate.items]),
            knowledge=slate.knowledge,
            degraded=degraded,
            rung=answered.rung,
            took_ms=laps.whole() * 1_000,
            consent=may.consent,
            experiments=treated.arms,
        )

    async def warm_up(self, recommender: Recommends | None = None) -> None:
        """Prepare what is answered when all else fails, and answer twice for practice, unrecorded, so that no shopper
        pays for first-time costs; by the recommender that answers, or by one that shall.

        Raises whatever that one raises: no failure is covered up here.
        """
        current, _, limit = self._current
        practised = recommender or current
        await asyncio.to_thread(self._practise, practised, current, self._clock.now(), limit)

    def swap(self, recommender: Recommends, *, history_limit: int) -> None:
        """Questions that begin after this are answered by another recommender; those under way are not disturbed."""
        self._current = (recommender, offer_of(recommender), history_limit)

    async def close(self) -> None:
        """Answer what is queued."""
        await self._batch.close()

    def _practise(self, recommender: Recommends, running: Recommends, at: int, limit: int) -> None:
        seen = _view(recommender.catalogue.id_of(1), at - SECOND)
        stranger, visitor = (
            _state(Question(), events, at, recommender, limit=limit) for events in (EventColumns(), seen)
        )
        self._ladder.prepare(recommender, stranger, running=running)
        for state in (stranger, visitor):
            recommender.answer([state], counts=[10], rng=np.random.default_rng(0))

    def _refuse_if_hopeless(self, spare_s: float) -> None:
        """Who cannot be answered in time had better hear so at once than wait and be of no use to anyone."""
        waiting = self._batch.waiting
        if waiting and self._ladder.pace.expected_s(Rung.FULL, waiting) > spare_s / 2:
            raise OverloadError(f"{waiting} questions are waiting already; ask again in a second")

    async def _in_time(self, read: _Read) -> Answered:
        try:
            return await self._batch(read, within_s=read.due - time.perf_counter())
        except TimeoutError:
            return self._ladder.static(read.asked(), "the answer was not ready in time")

    def _answers(self, reads: Sequence[_Read]) -> Sequence[Answered]:
        began = time.perf_counter()
        asked = [read.asked() for read in reads]
        each_s = (time.perf_counter() - began) / len(asked)
        for _ in asked:
            self._meter.stage(Stage.STATE, each_s)
        return self._ladder.answers(asked)

    async def _may_use(self, question: Question, at: int, *, limit: int, due: float) -> _May:
        """What is known of the shopper as far as they agree to its use; where it cannot be read, nothing is."""
        try:
            known = await self._known(question, at, limit=limit, due=due)
        except (RecsysError, TimeoutError):
            self._meter.store_failed("history")
            trouble = "the shopper's history could not be read; answered from the request alone"
            return _May(
                asked=question, recorded=_unnamed(question), events=EventColumns(), consent=None, trouble=trouble
            )
        if not self._consent.personalisation.allows(known.agreed):
            unnamed = _unnamed(question)
            return _May(asked=unnamed, recorded=unnamed, events=_on_the_page(question, at), consent="denied")
        is_recorded = self._consent.training.allows(known.agreed)
        recorded = question if is_recorded else _unnamed(question)
        return _May(asked=question, recorded=recorded, events=known.events, consent="granted")

    async def _known(self, question: Question, at: int, *, limit: int, due: float) -> Known:
        """What the shopper did and agrees to; at most half of the time that is left is spent on it."""
        if question.user_id is None and question.anonymous_id is None:
            return Known()
        async with asyncio.timeout(min(self._store_timeout_s, (due - time.perf_counter()) / 2)):
            return await self._store.known(
                user_id=question.user_id,
                anonymous_id=question.anonymous_id,
                limit=limit + 1,
                before=at,
            )


def _unnamed(question: Question) -> Question:
    """The same, asked by nobody."""
    return replace(question, user_id=None, anonymous_id=None, session_id=None)


def _on_the_page(question: Question, at: int) -> EventColumns:
    """The item that the page is about, as if it had just been looked at: it is part of the question."""
    if question.item_id is None:
        return EventColumns()
    return _view(question.item_id, at - 1, channel=question.channel, device=question.device)


def _view(item_id: str, at: int, *, channel: str | None = None, device: str | None = None) -> EventColumns:
    looked_at = Event(event_id="", type=EventType.VIEW, occurred_at=at, item_id=item_id, channel=channel, device=device)
    return EventColumns.of([looked_at])


def _state(question: Question, events: EventColumns, at: int, recommender: Recommends, *, limit: int) -> ShopperState:
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
    coded = recommender.coding.of_columns(events, before=at)
    history = remembered(coded, limit)
    exclude = frozenset(offer.index_of(item_id) for item_id in question.exclude)
    seen = frozenset(history.interactions().item.tolist()) if question.exclude_seen else frozenset()
    hidden = exclude | seen
    if not coded.item.all():  # something that the model does not know
        hidden |= _in_hand(events, offer)
    return ShopperState(history, context, hidden, question.wanted, shopper=name_of(question))


def name_of(question: Question) -> str | None:
    """One name for whoever asks; None for somebody unknown."""
    if question.user_id is None and question.anonymous_id is None:
        return None
    return f"{len(question.user_id or '')}:{question.user_id}:{question.anonymous_id}"


def ids_in(shopper: str) -> list[tuple[Kind, str]]:
    """The user and the visitor that such a name stands for."""
    size, _, rest = shopper.partition(":")
    user = rest[: int(size)]
    return [("user", user), ("anonymous", rest[len(user or str(None)) + 1 :])]


def _in_hand(events: EventColumns, offer: Assortment) -> frozenset[int]:
    """Of items that came after the training, those in the basket and those bought: the model cannot tell them from
    others, so they are not offered again before it has learnt of them."""
    later: dict[int, bool] = {}
    for kind, item_id in zip(events.type, events.item_id or (), strict=False):
        if kind in _HANDLED and (index := offer.index_of(item_id)) >= offer.known:
            later[index] = kind != _REMOVED
    return frozenset(index for index, in_hand in later.items() if in_hand)


def _exposure(
    recommendation_id: str,
    at: int,
    question: Question,
    answered: Answered,
    degraded: str | None,
    treated: Treatment,
) -> Exposure:
    slate = answered.slate
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
        rung=answered.rung.name.lower(),
        candidates=slate.candidates,
        experiments=tuple(treated.arms.items()),
        items=tuple(
            [
                ExposedItem(item.item_id, position, item.propensity, item.score, item.source)
                for position, item in enumerate(slate.items)
            ]
        ),
    )
