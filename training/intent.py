"""Intent heads in a run: fitted beside the encoder, calibrated on the validation window, judged on the test."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table
from torch import Tensor

from recsys.clock import DAY
from recsys.errors import ConfigError
from recsys.intent.head import Figures, Head, Truth
from recsys.intent.joint import JointEncoder, JointLoss
from recsys.intent.labels import Labels
from recsys.intent.module import IntentModule, head_outputs
from recsys.model.encoder import SequenceEncoder
from recsys.protocols import Encoder, Loss
from recsys.recommender import Recommender
from recsys.registry import insist_registered
from recsys.sequence.loader import Loader
from recsys.sequence.question import askable, remembered
from recsys.state import Context, ShopperState
from training.dataset import Dataset
from training.recipe import Recipe

_QUESTIONS = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Moments of a window [M]: the shoppers the instant before and the instant after, and what came."""

    before: list[ShopperState]
    after: list[ShopperState]
    truth: Truth

    def outputs(self, heads: IntentModule, encoder: SequenceEncoder, dataset: Dataset) -> dict[str, np.ndarray]:
        """What each head says: of the instant before or, where it looks back, of the moment once it is past."""
        features = dataset.features
        found = head_outputs(heads, encoder, self.before, features)
        if any(head.looks_back for _, head in heads.items()):
            later = head_outputs(heads, encoder, self.after, features)
            found = {name: (later if head.looks_back else found)[name] for name, head in heads.items()}
        return found


def with_heads(
    encoder: Encoder, recipe: Recipe, dataset: Dataset, loader: Loader, popularity: Tensor
) -> tuple[Encoder, Loss]:
    """What the trainer shall fit, and by what loss: the encoder and its own, with the heads that the recipe has."""
    insist_registered(recipe.intent)
    dim = encoder.settings().get("dim", encoder.vector_size)
    heads = recipe.intent.build(dim=dim, features=dataset.features, catalogue=dataset.catalogue)
    if heads is None:
        return encoder, recipe.loss
    if not isinstance(encoder, SequenceEncoder):
        raise ConfigError(f"the encoder {type(encoder).__name__} has no trunk for intent heads; use intent=none")
    asks = loader.tokens.is_query
    heads.prime({name: values[asks] for name, values in loader.tokens.labels.items()}, popularity)
    return JointEncoder(encoder, heads), JointLoss(recipe.loss, heads)


def apart(fitted: Encoder) -> tuple[Encoder, IntentModule | None]:
    """The encoder and its heads, if it was fitted with any."""
    return (fitted.encoder, fitted.heads) if isinstance(fitted, JointEncoder) else (fitted, None)


def calibrate(recommender: Recommender, recipe: Recipe, dataset: Dataset) -> None:
    """Calibrate the recommender's heads, in place, on the validation window.

    A sample of all moments is asked, not only of purchases: whether there will be one is what is to be foreseen.
    """
    window = _asked_of(recommender, recipe, dataset, since=dataset.cut.validation_from, until=dataset.cut.test_from)
    for head, output, truth in window:
        head.calibrate(output, truth)


def judged(recommender: Recommender, recipe: Recipe, dataset: Dataset) -> dict[str, Figures]:
    """How the recommender's heads do on the test, without calibration and with it."""
    end = np.broadcast_to(np.int64(dataset.end), len(dataset.histories))
    test = _asked_of(recommender, recipe, dataset, since=dataset.cut.test_from, until=end)
    names = [name for name, _ in recommender.heads.items()] if recommender.heads is not None else []
    return {name: head.judge(output, truth) for name, (head, output, truth) in zip(names, test, strict=False)}


def calibrated_like(heads: IntentModule | None, other: IntentModule | None) -> IntentModule | None:
    """The heads with the calibration of others, which had a window to be calibrated on."""
    if heads is not None and other is not None:
        for (_, head), (_, theirs) in zip(heads.items(), other.items(), strict=True):
            head.set_calibration(float(theirs.scale), float(theirs.shift))
    return heads


def _asked_of(
    recommender: Recommender, recipe: Recipe, dataset: Dataset, *, since: np.ndarray, until: np.ndarray
) -> list[tuple[Head, np.ndarray, Truth]]:
    """What each head says of a sample of the window's moments, and what came; nothing without heads or moments."""
    heads, encoder = recommender.heads, recommender.encoder
    if heads is None or not isinstance(encoder, SequenceEncoder):
        return []
    sample = asked(dataset, heads.made_by.labels(dataset.features), since=since, until=until, seed=recipe.seed)
    if sample is None:
        return []
    said = sample.outputs(heads, encoder, dataset)
    return [(head, said[name], sample.truth) for name, head in heads.items()]


def asked(
    dataset: Dataset,
    labels: Labels,
    *,
    since: np.ndarray,
    until: np.ndarray,
    seed: int,
    limit: int = _QUESTIONS,
) -> Asked | None:
    """A sample of the moments in [since, until) [S] at which the encoder is asked; None where there are none.

    What came is read up to `until`: nothing later is known.
    """
    histories, features = dataset.histories, dataset.features
    owner, first = histories.owner(), histories.moments()
    shown = np.add.reduceat(histories.is_interaction(), first) > 0 if len(first) else np.empty(0, bool)
    at, sequence = histories.events.time[first], owner[first]
    inside = (at >= np.maximum(since, histories.asked_from)[sequence]) & (at < until[sequence])
    chosen = np.flatnonzero(shown & inside)
    if len(chosen) > limit:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, limit, replace=False))
    states = [_state(dataset, int(sequence[m]), int(at[m])) for m in chosen]
    kept = [place for place, state in enumerate(states) if askable(state, features)]
    if not kept:
        return None
    chosen = chosen[kept]
    rows = first[chosen]
    ends = np.minimum(dataset.target.ends(histories, rows), histories.start[sequence[chosen] + 1])
    pair_query = np.repeat(np.arange(len(rows)), ends - rows)
    target = np.arange(len(pair_query)) - np.repeat(np.cumsum(ends - rows) - (ends - rows), ends - rows)
    target += np.repeat(rows, ends - rows)
    known = (histories.events.time[target] < until[sequence[chosen]][pair_query]) & histories.is_interaction()[target]
    early = histories.events.time < until[owner]
    present = np.unique(owner[early])
    truth = Truth(
        labels=labels.of(
            histories.where(early),
            sequence=np.searchsorted(present, sequence[chosen]),
            at=at[chosen],
            until=until[present],
        )
        if labels.parts
        else {},
        known_days=(until[sequence[chosen]] - at[chosen]) / DAY,
        pair_query=pair_query[known],
        pair_target=histories.events.item[target[known]].astype(np.int64),
    )
    after = [_state(dataset, int(sequence[m]), int(at[m]) + 1) for m in chosen]
    return Asked(before=[states[place] for place in kept], after=after, truth=truth)


def _state(dataset: Dataset, sequence: int, at: int) -> ShopperState:
    """What was known of the shopper of a sequence strictly before an instant."""
    return ShopperState(remembered(dataset.histories[sequence].before(at), dataset.features.memory), Context(at=at))


def print_figures(figures: Mapping[str, Figures], console: Console) -> None:
    """One line for each head; nothing without any."""
    if not figures:
        return
    table = Table(
        title="intent heads on the test, calibrated on the validation window",
        title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="dim",
    )  # fmt: skip
    for heading in ("", "questions", "AUC", "ECE before", "ECE after", "more"):
        table.add_column(heading, justify="right" if heading not in ("", "more") else "left", no_wrap=True)
    for name, of in figures.items():
        more = [f"{key} {of[key]:.4g}" for key in ("rate", "horizon_days", "top1", "top5") if key in of]
        cells = [f"{of[key]:.4f}" for key in ("auc", "ece_before", "ece_after")]
        table.add_row(name, f"{of['questions']:,.0f}", *cells, ", ".join(more))
    console.print(table)


def figures_json(figures: Mapping[str, Figures]) -> dict[str, dict[str, dict[str, float | None]]]:
    """For the bundle, under "intent"; what could not be measured is null. Nothing without heads."""
    found = {name: {key: _finite(value) for key, value in of.items()} for name, of in figures.items()}
    return {"intent": found} if found else {}


def tracked_figures(figures: Mapping[str, Figures]) -> dict[str, float]:
    """For the tracker, named intent/head_figure; what could not be measured is left out."""
    return {
        f"intent/{name}_{key}": value
        for name, of in figures.items()
        for key, value in of.items()
        if math.isfinite(value)
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
