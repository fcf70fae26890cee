"""What a shopper is after, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.feature.spec import FeatureSpec
from recsys.intent.binary import BinaryHead
from recsys.intent.category import CategoryHead
from recsys.intent.heads import CATEGORY, CONSIDERING, PURCHASE, WAIT
from recsys.intent.module import IntentModule, head_outputs
from recsys.intent.wait import WaitHead
from recsys.model.encoder import SequenceEncoder
from recsys.protocols import Encoder
from recsys.sequence.question import askable
from recsys.state import ShopperState


class Stage(StrEnum):
    """How far a shopper is, by what is still to come in the running session.

    READY: a purchase. CONSIDERING: none, but an item goes into the cart or on the wish list, or one that was looked at
    earlier in the session is looked at again. BROWSING: nothing of that.
    """

    BROWSING = "browsing"
    CONSIDERING = "considering"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What one shopper is after at one instant; None where the model has no head for it, or has nothing to go by.

    Attributes:
        purchase_probability: chance of a purchase in the running session, a new one if the last has ended, given that
            the shopper goes on now.
        days_to_next_purchase: even odds that it comes within so many days, given how long ago the latest moment is.
        categories: the likeliest categories of the next item with their chances, best first, at most five.
        stage: the likeliest; see `Stage`.
        stage_probabilities: chance of each stage; that of READY is `purchase_probability`.
    """

    purchase_probability: float | None = None
    days_to_next_purchase: float | None = None
    categories: tuple[tuple[str, float], ...] | None = None
    stage: Stage | None = None
    stage_probabilities: tuple[tuple[Stage, float], ...] | None = None


def intents(
    heads: IntentModule | None, encoder: Encoder, states: Sequence[ShopperState], features: FeatureSpec
) -> list[Intent]:
    """The intent of each shopper [B] at its own instant; nothing is told without heads or without anything to read."""
    if heads is None:
        return [Intent()] * len(states)
    if not isinstance(encoder, SequenceEncoder):
        raise ConfigError(f"the encoder {type(encoder).__name__} has no trunk for intent heads; use intent=none")
    asked = [place for place, state in enumerate(states) if askable(state, features)]
    found = [Intent()] * len(states)
    told = _Told(heads, head_outputs(heads, encoder, [states[place] for place in asked], features))
    for row, place in enumerate(asked):
        found[place] = told(row, _elapsed_days(states[place], features))
    return found


class _Told:
    """Outputs of the heads in words."""

    def __init__(self, heads: IntentModule, outputs: dict[str, np.ndarray]) -> None:
        self._wait: tuple[WaitHead, np.ndarray] | None = None
        self._stages: np.ndarray | None = None
        self._categories: list[tuple[tuple[str, float], ...]] | None = None
        parts = dict(heads.items())
        purchase, considering = parts.get(PURCHASE), parts.get(CONSIDERING)
        if isinstance(purchase, BinaryHead) and isinstance(considering, BinaryHead):
            ready = purchase.probability(outputs[PURCHASE])
            considered = (1 - ready) * considering.probability(outputs[CONSIDERING])
            self._stages = np.stack([1 - ready - considered, considered, ready], axis=1)
        if isinstance(wait := parts.get(WAIT), WaitHead):
            self._wait = wait, outputs[WAIT]
        if isinstance(category := parts.get(CATEGORY), CategoryHead):
            self._categories = category.top(outputs[CATEGORY])

    def __call__(self, row: int, elapsed_days: float | None) -> Intent:
        stages = None if self._stages is None else self._stages[row]
        days = None
        if self._wait is not None and elapsed_days is not None:
            head, output = self._wait
            days = float(head.median_days(output[row : row + 1], np.array([elapsed_days]))[0])
        return Intent(
            purchase_probability=None if stages is None else float(stages[-1]),
            days_to_next_purchase=days,
            categories=None if self._categories is None else self._categories[row],
            stage=None if stages is None else list(Stage)[int(stages.argmax())],
            stage_probabilities=None if stages is None else tuple(zip(Stage, stages.tolist(), strict=True)),
        )


def _elapsed_days(state: ShopperState, features: FeatureSpec) -> float | None:
    """Days since the latest moment that the encoder is shown; None without one."""
    time = state.history.time[features.shown(state.history)]
    return (state.context.at - int(time[-1])) / DAY if len(time) else None
