"""Everything that a model card says, as plain values; how it looks is the neighbours' matter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from recsys.log.summary import LogSummary
from recsys.protocols import Index
from recsys.recommender import Recommender
from training.comparison import ANSWER_ROW, ENCODER_ROW
from training.modelcard.diary import Curve

Row = Mapping[str, Any]
"""One row of the evaluation table, as the bundle's metrics.json holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFacts:
    """The index that a model's item vectors are searched with.

    Attributes:
        kind: its class and settings, in words.
        items: how many it holds.
        size_bytes: what it holds in memory beside the encoder's own vectors.
        measured: a row for each kind that was tried; none where the kind was given.
    """

    kind: str
    items: int
    size_bytes: int
    measured: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, index: Index) -> "IndexFacts":
        """What is to be told of a built index."""
        settings = index.settings()
        chosen = settings.get("chosen") or index
        told = ", ".join(f"{name} {value}" for name, value in chosen.settings().items() if value is not None)
        return cls(
            kind=f"{type(chosen).__name__}({told})",
            items=len(index),
            size_bytes=index.nbytes(),
            measured=tuple(settings.get("measured", ())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a model is, what it learnt from, how good it was, and what is not known of it.

    Attributes:
        name: the data set's name.
        model: what it is made of, by name.
        log: what became of the raw rows.
        metrics: the bundle's metrics.json: protocol, rows, training.
        curves: what was measured while it trained, by name.
        facts: settings, library versions, origin, machine; as in the bundle's spec.json.
        index: what the item vectors are searched with.
    """

    name: str
    model: Mapping[str, str]
    log: LogSummary
    metrics: Mapping[str, Any]
    curves: Mapping[str, Curve]
    facts: Mapping[str, Any]
    index: IndexFacts

    @classmethod
    def of(
        cls, recommender: Recommender, *, log: LogSummary, metrics: Mapping[str, Any], curves: Mapping[str, Curve]
    ) -> "ModelCard":
        """The card of a recommender that was trained on `log` and scored as `metrics` say."""
        return cls(
            name=str(recommender.facts["data"]),
            model=_parts(recommender),
            log=log,
            metrics=metrics,
            curves={name: list(curve) for name, curve in curves.items()},
            facts=recommender.facts,
            index=IndexFacts.of(recommender.index),
        )

    @property
    def rows(self) -> Mapping[str, Row]:
        """The evaluation table."""
        found: Mapping[str, Row] = self.metrics["rows"]
        return found

    @property
    def best_baseline(self) -> str | None:
        """The row with the highest NDCG@10 among those that are not ours."""
        rivals = [name for name in self.rows if name not in (ANSWER_ROW, ENCODER_ROW)]
        return max(rivals, key=lambda name: float(self.rows[name]["ndcg10"]), default=None)

    def setting(self, name: str) -> str:
        """A setting of the run by its dotted name; empty if there is none."""
        return str(self.facts["settings"].get(name, ""))

    def shown_rows(self) -> Sequence[str]:
        """Names of the rows that pictures compare: the answer, the encoder, the best baseline."""
        wanted = (ANSWER_ROW, ENCODER_ROW, self.best_baseline)
        return [name for name in wanted if name is not None and name in self.rows]


def _parts(recommender: Recommender) -> dict[str, str]:
    """What the recommender is made of."""
    encoder = recommender.encoder
    parts = {"encoder": type(encoder).__name__}
    if isinstance(encoder, nn.Module):
        size = sum(parameter.numel() for parameter in encoder.parameters())
        parts["parameters"] = f"{size:,}"
    described = {name: value for name, value in encoder.settings().items() if isinstance(value, int | float | str)}
    parts["encoder settings"] = ", ".join(f"{name} {value}" for name, value in described.items())
    named = {name: type(value).__name__ for name, value in encoder.settings().items() if name not in described}
    parts |= {name: f"{kind}" for name, kind in named.items() if name in ("tower", "similarity")}
    parts["vector size"] = str(encoder.vector_size)
    parts["items"] = f"{recommender.catalogue.size - 1:,}"
    parts["features"] = ", ".join(recommender.features.names)
    parts["index"] = type(recommender.index).__name__
    parts["sources beside the encoder"] = ", ".join(source.name for source in recommender.blend.sources)
    return {name: value for name, value in parts.items() if value}
