"""Answers for some of many shoppers at one instant: the step that any engine runs.

Histories, the list of who is asked about and the parts of the answer lie in files that all workers see; a task is a
range of the list. Tasks are the same whoever runs them and every shopper has a random generator of their own, so the
answers do not depend on the engine.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from recsys.recommender import Recommender
from recsys.retrieval.filter.expression import Filter
from recsys.retrieval.filter.parse import parse
from recsys.sequence.gather import read_histories
from recsys.sequence.histories import Histories
from recsys.sequence.question import remembered
from recsys.state import Context, History, ShopperState
from training.scoring.answers_file import Scored, write_part
from training.scoring.shoppers import read_asked
from training.scoring.stock import read_in_hand, stocked

_BATCH = 64
_loading = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What is asked about every shopper.

    Attributes:
        bundle: the release that answers.
        histories: what `gather` wrote.
        stock: the folder of what is on offer at the instant, as `Stock.write` wrote it.
        at: the instant of the question, microseconds UTC; what happened then or later is not known.
        count: how many items.
        exclude_seen: items that the shopper acted on before are left out.
        wanted: the filter that every item matches, as JSON; None for none.
        active_since: only about shoppers who did something from this instant on, before `at`; None: about all.
        named: the list was given: a shopper without a history is answered too.
        channel, device: of the question, where they are known.
        seed: of the shoppers' random generators.
        generated_at: when this is asked, microseconds UTC.
    """

    bundle: Path
    histories: Path
    stock: Path
    at: int
    count: int
    exclude_seen: bool
    wanted: str | None
    active_since: int | None
    named: bool
    channel: str | None
    device: str | None
    seed: int
    generated_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTask:
    """The shoppers [begin, end) of the list `asked`, whose answers go to the file `part`."""

    asking: Asking
    asked: Path
    begin: int
    end: int
    part: Path


def score(task: ScoreTask) -> Scored:
    """Answer for the shoppers of a task and write the part, whole or not at all; one that is there already stays."""
    if task.part.exists():
        return Scored.of(task.part)
    asking = task.asking
    recommender, in_hand = _on_offer(asking.bundle, asking.stock)
    wanted = None if asking.wanted is None else parse(json.loads(asking.wanted))
    histories = _histories(asking.histories)
    told = [
        (shopper, state)
        for shopper, first, last in read_asked(task.asked, task.begin, task.end)
        if (state := _state(recommender, histories.sequences(first, last), asking, wanted)) is not None
    ]
    told = [(shopper, state.excluding(in_hand.get(shopper, ()))) for shopper, state in told]
    shoppers, states = [shopper for shopper, _ in told], [state for _, state in told]
    slates = [
        slate
        for at in range(0, len(states), _BATCH)
        for slate in recommender.answer(
            states[at : at + _BATCH],
            counts=[asking.count] * len(states[at : at + _BATCH]),
            rng=[_generator(shopper, asking.seed) for shopper in shoppers[at : at + _BATCH]],
        )
    ]
    write_part(task.part, shoppers, slates, generated_at=asking.generated_at)
    return Scored.of(task.part)


def released(bundle: Path) -> Recommender:
    """The recommender of a bundle; threads of one process share it."""
    with _loading:
        return _recommender(bundle)


@lru_cache(maxsize=1)
def _recommender(bundle: Path) -> Recommender:
    # One thread, because tasks run beside each other; and sums come out the same everywhere.
    return Recommender.load(bundle, threads=1)


def _on_offer(bundle: Path, stock: Path) -> tuple[Recommender, Mapping[str, frozenset[int]]]:
    with _loading:
        return _stocked(bundle, stock)


@lru_cache(maxsize=1)
def _stocked(bundle: Path, stock: Path) -> tuple[Recommender, Mapping[str, frozenset[int]]]:
    """The recommender with what is on offer, and the later items that each shopper has in hand."""
    live = stocked(_recommender(bundle), stock)
    index_of = (live.offer or live.catalogue).index_of
    return live, {shopper: frozenset(map(index_of, items)) for shopper, items in read_in_hand(stock).items()}


@lru_cache(maxsize=1)
def _histories(folder: Path) -> Histories:
    return read_histories(folder)


def _state(
    recommender: Recommender, sequences: Histories, asking: Asking, wanted: Filter | None
) -> ShopperState | None:
    """The shopper at the instant, as serving sees them; None who need no answer."""
    known = sequences.as_known_at(asking.at)
    history = remembered(known[0] if len(known) else History.empty(), recommender.features.memory)
    if not asking.named and not len(history):
        return None
    if asking.active_since is not None and (not len(history) or history.time[-1] < asking.active_since):
        return None
    seen = frozenset(history.interactions().item.tolist()) if asking.exclude_seen else frozenset()
    return ShopperState(history, Context(at=asking.at, channel=asking.channel, device=asking.device), seen, wanted)


def _generator(shopper: str, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}:{shopper}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
