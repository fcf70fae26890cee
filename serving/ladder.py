"""The rungs an answer can stand on: the best one that holds, in time and without failing, and why no better one did.

Full, then without the ranker, then without the model (the wisdom of crowds), then what is popular now whoever asks,
then a list prepared beforehand, which needs nothing at all. A rung that raises is left for the next one; one that is
known to take longer than there is time for is not tried. Whatever breaks, the shopper gets an answer.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from recsys.slate import Slate, SlateItem
from recsys.state import History, Knowledge, ShopperState
from serving.recommends import Recommends
from serving.watching.request import within

_log = logging.getLogger("attune.ladder")
_PREPARED = 200
_MEMORY = 0.9
_MARGIN = 1.5
_FAILURES = 5
_REST_S = 2.0


class Rung(IntEnum):
    """What an answer was made with, the best first."""

    FULL = 0
    WITHOUT_RANKER = 1
    WITHOUT_MODEL = 2
    TRENDING = 3
    STATIC = 4


_WITHOUT = {
    Rung.FULL: None,
    Rung.WITHOUT_RANKER: "ordered without the ranker",
    Rung.WITHOUT_MODEL: "answered without the model: this is the wisdom of crowds",
    Rung.TRENDING: "this is what is popular now, whoever asks",
    Rung.STATIC: "this is a list prepared beforehand",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who shall answer, about whom, how many items, until when (`time.perf_counter`, seconds), in which request, and
    whether the ranker may order them."""

    recommender: Recommends
    state: ShopperState
    count: int
    due: float
    request: str | None = None
    with_ranker: bool = True


@dataclass(frozen=True, slots=True)
class Answered:
    """A slate and the rung it stands on."""

    slate: Slate
    rung: Rung


class Pace:
    """How long an answer took lately on each rung: a mean that forgets, and that halves in every second in which the
    rung was not tried. So one long stall keeps no rung from being tried for good."""

    def __init__(self, *, ticks: Callable[[], float] = time.perf_counter) -> None:
        self._ticks = ticks
        self._each_s = dict.fromkeys(Rung, 0.0)
        self._noted = dict.fromkeys(Rung, 0.0)

    def note(self, rung: Rung, answers: int, took_s: float) -> None:
        """So many answers took so long together."""
        each = took_s / answers
        known = self._known_s(rung)
        self._each_s[rung] = _MEMORY * known + (1 - _MEMORY) * each if known else each
        self._noted[rung] = self._ticks()

    def expected_s(self, rung: Rung, answers: int) -> float:
        """What so many answers will take, with a margin; nothing is expected of a rung that was never tried."""
        return _MARGIN * answers * self._known_s(rung)

    def _known_s(self, rung: Rung) -> float:
        return self._each_s[rung] * float(0.5 ** (self._ticks() - self._noted[rung]))


class Trust:
    """Which rungs are worth a try: one that failed several times with no success in between rests for a while, so that
    what is broken does not cost every answer its time."""

    def __init__(self) -> None:
        self._failures = dict.fromkeys(Rung, 0)
        self._rests_until = dict.fromkeys(Rung, 0.0)

    def note(self, rung: Rung, *, held: bool) -> None:
        """It held, or it failed."""
        self._failures[rung] = 0 if held else self._failures[rung] + 1
        if self._failures[rung] >= _FAILURES:
            self._rests_until[rung], self._failures[rung] = time.perf_counter() + _REST_S, _FAILURES - 1

    def rests(self, rung: Rung) -> bool:
        """Whether it is left alone for now."""
        return self._rests_until[rung] > time.perf_counter()


class Ladder:
    """Answers batches; one per replica. Blocks, and never raises.

    Args:
        rng: of exploration.
        failed: is told the name of a rung that failed.
    """

    def __init__(self, rng: np.random.Generator, *, failed: Callable[[str], None] = lambda _: None) -> None:
        self._rng = rng
        self._failed = failed
        self._prepared: dict[int, tuple[Recommends, Slate]] = {}
        self.pace = Pace()
        self._trust = Trust()

    def prepare(self, recommender: Recommends, stranger: ShopperState, *, running: Recommends) -> None:
        """Make the list that needs nothing, before the recommender is asked by shoppers; that of the one that answers
        now stays prepared, too, however many others are tried out and refused."""
        [slate] = recommender.answer([stranger], counts=[_PREPARED], rng=self._rng, with_encoder=False)
        kept = {name: known for name, known in self._prepared.items() if name == id(running)}
        self._prepared = kept | {id(recommender): (recommender, slate)}

    def answers(self, asked: Sequence[Asked]) -> list[Answered]:
        """One answer for each that is asked, each by its own recommender: two, at the most, while one takes over from
        another."""
        found: dict[int, Answered] = {}
        by_rung: dict[tuple[int, Rung, bool], list[int]] = {}
        now = time.perf_counter()
        for place, one in enumerate(asked):
            rung = self._in_time(one, now, len(asked))
            by_rung.setdefault((id(one.recommender), rung, one.with_ranker), []).append(place)
        for (_, rung, _), places in sorted(by_rung.items(), key=lambda item: -item[0][1]):  # the quick ones first
            reason = "there was no time for more" if rung else None
            found |= zip(places, self._standing_on(rung, [asked[p] for p in places], reason), strict=True)
        return [found[place] for place in range(len(asked))]

    def static(self, one: Asked, reason: str) -> Answered:
        """The prepared list, at once, whatever else is under way."""
        _, slate = self._prepared.get(id(one.recommender), (None, _NOTHING))
        items = _shown(slate.items, one, _may_be_shown(one))
        if not items:
            items = _shown(slate.items, one, lambda _: True) if one.state.wanted is None else ()
        degraded = f"{reason}; {_WITHOUT[Rung.STATIC]}"
        made = replace(slate, items=items, knowledge=one.state.knowledge, degraded=degraded, candidates=None)
        return Answered(made, Rung.STATIC)

    def _in_time(self, one: Asked, now: float, answers: int) -> Rung:
        for rung in Rung:
            if rung is Rung.STATIC or self.pace.expected_s(rung, answers) <= one.due - now:
                return rung
        return Rung.STATIC

    def _standing_on(self, rung: Rung, asked: Sequence[Asked], reason: str | None) -> list[Answered]:
        """On that rung or, where it fails, on the next that holds. If a batch fails, each is answered alone, so that
        one strange history cannot spoil the others' answers."""
        while rung is not Rung.STATIC:
            if not self._trust.rests(rung):
                slates = self._tried(rung, asked)
                if slates is not None:
                    degraded = "; ".join(part for part in (reason, _WITHOUT[rung]) if part) or None
                    return [Answered(_degraded(slate, degraded), rung) for slate in slates]
                if len(asked) > 1:
                    return [answered for one in asked for answered in self._standing_on(rung, [one], reason)]
                self._trust.note(rung, held=False)
            reason, rung = f"{_NAMES[rung]} failed", Rung(rung + 1)
        return [self.static(one, reason or "") for one in asked]

    def _tried(self, rung: Rung, asked: Sequence[Asked]) -> list[Slate] | None:
        """The slates of that rung; None where it failed."""
        began = time.perf_counter()
        try:
            slates = _STEPS[rung](asked[0].recommender, asked, self._rng)
        except Exception as failure:  # noqa: BLE001 - whatever broke, the shopper shall get an answer
            self._failed(rung.name.lower())
            with within(asked[0].request if len(asked) == 1 else None):
                _log.warning("rung %s failed, answering with less", rung.name.lower(), exc_info=failure)
            return None
        self.pace.note(rung, len(asked), time.perf_counter() - began)
        self._trust.note(rung, held=True)
        return slates


def _degraded(slate: Slate, why: str | None) -> Slate:
    return slate if slate.degraded == why else replace(slate, degraded=why)


_NOTHING = Slate(items=(), knowledge=Knowledge.COLD, policy="none", model_version="none")
"""What there is before anything was prepared."""

Step = Callable[[Recommends, Sequence[Asked], np.random.Generator], list[Slate]]


def _full(recommender: Recommends, asked: Sequence[Asked], rng: np.random.Generator) -> list[Slate]:
    states, counts = [one.state for one in asked], [one.count for one in asked]
    return recommender.answer(states, counts=counts, rng=rng, with_ranker=asked[0].with_ranker)


def _without_ranker(recommender: Recommends, asked: Sequence[Asked], rng: np.random.Generator) -> list[Slate]:
    states, counts = [one.state for one in asked], [one.count for one in asked]
    return recommender.answer(states, counts=counts, rng=rng, with_ranker=False)


def _without_model(recommender: Recommends, asked: Sequence[Asked], rng: np.random.Generator) -> list[Slate]:
    states, counts = [one.state for one in asked], [one.count for one in asked]
    return recommender.answer(states, counts=counts, rng=rng, with_encoder=False, with_ranker=False)


def _trending(recommender: Recommends, asked: Sequence[Asked], rng: np.random.Generator) -> list[Slate]:
    """As to strangers, less what the shopper has in the basket or bought."""
    strangers = [
        replace(one.state, history=History.empty(), exclude=one.state.exclude | _in_hand(one.state)) for one in asked
    ]
    slates = recommender.answer(
        strangers, counts=[one.count for one in asked], rng=rng, with_encoder=False, with_ranker=False
    )
    return [replace(slate, knowledge=one.state.knowledge) for slate, one in zip(slates, asked, strict=True)]


_STEPS: dict[Rung, Step] = {
    Rung.FULL: _full,
    Rung.WITHOUT_RANKER: _without_ranker,
    Rung.WITHOUT_MODEL: _without_model,
    Rung.TRENDING: _trending,
}
_NAMES = {
    Rung.FULL: "the ranker",
    Rung.WITHOUT_RANKER: "the model",
    Rung.WITHOUT_MODEL: "what the crowd says of this shopper",
    Rung.TRENDING: "what is popular now",
}


def _in_hand(state: ShopperState) -> frozenset[int]:
    """What is in the basket, and what was bought: without anything learnt nobody can say when it is wanted again."""
    return state.basket | frozenset(state.history.purchases().item.tolist())


def _may_be_shown(one: Asked) -> Callable[[int], bool]:
    """Which items may be shown to the shopper; if that cannot be told, only what they excluded may not."""
    offer = one.recommender.offer
    if offer is None:
        return lambda _: True
    try:
        mask = offer.allowed(one.state.wanted, place=one.state.context.store).mask
    except Exception as failure:  # noqa: BLE001 - the last rung holds whatever breaks
        _log.warning("what is on offer could not be told", exc_info=failure)
        return lambda _: one.state.wanted is None
    return lambda index: bool(mask[index])


def _shown(items: Sequence[SlateItem], one: Asked, may_be_shown: Callable[[int], bool]) -> tuple[SlateItem, ...]:
    hidden = one.state.exclude | _in_hand(one.state)
    return tuple(item for item in items if item.index not in hidden and may_be_shown(item.index))[: one.count]
