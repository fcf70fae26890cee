"""Intent heads in a training run: calibrated on the validation window, judged on the test."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from recsys.clock import DAY
from recsys.intent.head import Figures, Truth
from recsys.intent.labels import Labels
from recsys.intent.module import IntentModule, head_outputs
from recsys.model.encoder import SequenceEncoder
from recsys.sequence.question import askable, remembered
from recsys.state import Context, ShopperState
from training.dataset import Dataset

_QUESTIONS = 5_000


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


def calibrated(
    heads: IntentModule, encoder: SequenceEncoder, dataset: Dataset, labels: Labels, *, seed: int
) -> dict[str, Figures]:
    """Calibrate the heads in place on the validation window; how they do on the test, without that and with it.

    A sample of all moments is asked, not only of purchases: to be sold something is what the heads are to foresee.
    """
    cut = dataset.cut
    window = asked(dataset, labels, since=cut.validation_from, until=cut.test_from, seed=seed)
    if window is not None:
        said = window.outputs(heads, encoder, dataset)
        for name, head in heads.items():
            head.calibrate(said[name], window.truth)
    end = np.broadcast_to(np.int64(dataset.end), len(dataset.histories))
    test = asked(dataset, labels, since=cut.test_from, until=end, seed=seed)
    if test is None:
        return {}
    said = test.outputs(heads, encoder, dataset)
    return {name: head.judge(said[name], test.truth) for name, head in heads.items()}


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
    """One line for each head."""
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


def figures_json(figures: Mapping[str, Figures]) -> dict[str, dict[str, float | None]]:
    """For the bundle; what could not be measured is null."""
    return {name: {key: _finite(value) for key, value in of.items()} for name, of in figures.items()}


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
