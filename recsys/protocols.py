"""Every seam of the domain on one screen. A part that satisfies one of these can take another's place.

Shapes: B batch, L length, Q queries, P (query, target) pairs, D dim, V catalogue with index 0, N negatives, K top-k.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import torch

    from recsys.data.chunk import SourcePart
    from recsys.feature.item import ItemFacts
    from recsys.feature.spec import FeatureSpec
    from recsys.ranker.facts import Retrieved
    from recsys.retrieval.allowed import Allowed
    from recsys.retrieval.mixing import Mixed
    from recsys.retrieval.repurchase import Repurchase
    from recsys.sampler.negatives import Negatives
    from recsys.sequence.batch import SequenceBatch
    from recsys.sequence.histories import Histories
    from recsys.shoppers import Shoppers
    from recsys.similarity.module import SimilarityModule
    from recsys.slate import Candidates, Choice, Reason
    from recsys.split.cut import Cut
    from recsys.state import ShopperState
    from recsys.tower.module import TowerModule

VectorsOf = Callable[["torch.Tensor | None"], "torch.Tensor"]


class Source(Protocol):
    """Brings somebody's raw data into the canonical schemas (`recsys/event.py`).

    `order_only` says that the data holds an order but no times (literature mode): instants are made up, one second
    apart, and every feature of time is off.
    """

    @property
    def name(self) -> str: ...

    @property
    def licence(self) -> str: ...

    @property
    def time_zone(self) -> str: ...

    @property
    def cutoff(self) -> int: ...

    @property
    def order_only(self) -> bool: ...

    def fingerprint(self) -> str:
        """A digest of the settings that shape the events; with equal parts, equal digests mean equal logs.

        The cut-off is none of them: what is learnt from a log may move, the log stays.
        """
        ...

    def parts(self) -> "Sequence[SourcePart]":
        """The raw data in a fixed order, with digests but not read yet."""
        ...

    def items(self) -> pa.Table:
        """All items, by `ITEM_SCHEMA`: one row each, or one for every change of what was known."""
        ...


class Split(Protocol):
    """Cuts a log into what is learnt from, validated on and tested on."""

    words: str
    needs_times: bool
    needs_prepared: bool

    def vocabulary_until(self, cutoff: int) -> int | None:
        """Vocabularies are made from what is strictly earlier; None for all of the log (literature mode)."""
        ...

    def cut(self, histories: "Histories", *, cutoff: int) -> "Cut":
        """The instants of every sequence."""
        ...


class Target(Protocol):
    """Says what a question asks for; the question of a moment stands the instant before it.

    `span` is how far beyond its own instant it asks, in microseconds.
    """

    words: str
    span: int

    def ends(self, histories: "Histories", first: np.ndarray) -> np.ndarray:
        """Row after the last target of the moments that the rows `first` [M], ascending, lie in; targets are the rows
        from `first` up to it, all of the same sequence; [M]."""
        ...


class Encoder(Protocol):
    """Turns sequences into query vectors that live in the same space as the item vectors."""

    vector_size: int

    def __call__(self, batch: "SequenceBatch") -> "torch.Tensor":
        """Query vectors [Q, D]."""
        ...

    def item_vectors(self, item: "torch.Tensor | None" = None) -> "torch.Tensor":
        """Vectors of `item` [N] as [N, D], or of the whole catalogue [V, D] (row 0 is padding, never retrieved)."""
        ...

    def prime(self, popularity: "torch.Tensor") -> None:
        """Start from what is known before training: how often each item was taken [V]."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Plain constructor arguments besides the catalogue's size and the feature spec, for the bundle."""
        ...


class ItemTower(Protocol):
    """Says where item vectors come from; plain settings, from which the module is built when the data is known."""

    def build(self, *, items: int, dim: int, features: "FeatureSpec") -> "TowerModule":
        """The module for V = `items`."""
        ...


class Similarity(Protocol):
    """Says how queries and items are compared, so that a plain inner-product index gives the whole score."""

    def build(self, *, items: int, dim: int) -> "SimilarityModule":
        """The module for V = `items` and hidden states of size `dim`."""
        ...


class Sampler(Protocol):
    """Draws the negatives that a whole batch shares.

    Made with `popularity=`, how often each index [V] was taken in what is learnt from (index 0: never), and `asked=`,
    how often it is a target in an epoch.
    """

    def draw(self, count: int, *, target: "torch.Tensor", generator: "torch.Generator") -> "Negatives":
        """`count` negatives with the log of their sampling probability; `target` [P] are the batch's own targets. All
        lie on the generator's device."""
        ...


class Loss(Protocol):
    """Tells how wrong the query vectors are about their targets.

    `negatives` is how many it wants drawn; 0 where it reads the whole catalogue.
    """

    negatives: int

    def __call__(
        self,
        query: "torch.Tensor",
        batch: "SequenceBatch",
        vectors_of: "VectorsOf",
        negatives: "Negatives",
    ) -> "torch.Tensor":
        """Mean loss over the P pairs of the batch; a scalar. `query` [Q, D], `vectors_of` items [N] -> [N, D],
        None -> [V, D]."""
        ...


class Index(Protocol):
    """Finds the nearest item vectors by inner product."""

    def build(self, vectors: np.ndarray, queries: np.ndarray | None = None) -> None:
        """Index `vectors` [V, D] float32; row 0 is left out. `queries` [Q, D] are like those to come, for indexes that
        measure how much of themselves must be read."""
        ...

    def __len__(self) -> int:
        """How many items it holds."""
        ...

    def search(self, query: np.ndarray, count: int, allowed: "Allowed | None" = None) -> tuple[np.ndarray, np.ndarray]:
        """Scores [B, K] float32 and catalogue indices [B, K] int64 of `query` [B, D], best first, out of what is
        `allowed` (everything if None); K is `count` or as many as there are."""
        ...

    def nbytes(self) -> int:
        """Memory in bytes, without the encoder's own vectors."""
        ...

    def renewed(self, vectors: np.ndarray, *, changed: np.ndarray, gone: np.ndarray) -> "Index":
        """A new index of `vectors` [V, D], of which the rows `changed` [N] differ from this one's or came, and those
        `gone` [M] are not held any more; this one stays as it is."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Plain constructor arguments, for the bundle."""
        ...

    def save(self, path: Path) -> None:
        """Write to one file."""
        ...

    def load(self, path: Path, vectors: np.ndarray | None = None) -> None:
        """Read what `save` wrote; `vectors` [V, D] are those that it was built of, for indexes that compare again."""
        ...


class CandidateSource(Protocol):
    """Proposes items without a trained encoder: crowds, co-visitation, habit. Usable alone and blended.

    Scores are on the scale of a chance (the share of moments in which the item would be taken), so that sources can
    be added up with weights of one size. `timed` says that they reckon with when the shopper last took the item.
    """

    name: str
    timed: bool

    def fit(
        self, histories: "Histories", *, items: int, until: int, category: np.ndarray, facts: "ItemFacts | None" = None
    ) -> None:
        """Learn from the events before `until`; `items` is V, `category` the category of every index [V], `facts` what
        the catalogue says of the items, if that is known."""
        ...

    def candidates(self, state: "ShopperState", count: int | None = None) -> "Candidates":
        """The `count` best items (all with a score if None); none where the source has nothing to say."""
        ...

    def reasons(self, state: "ShopperState", item: np.ndarray) -> "list[Reason]":
        """Why each of `item` [K], which this source proposed."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Plain constructor arguments, for the bundle."""
        ...

    def arrays(self) -> Mapping[str, np.ndarray]:
        """What `fit` learnt, as constructor arguments, for the bundle."""
        ...


class Segmentation(Protocol):
    """Tells segments of shoppers apart. Plain settings; what it learns is kept by the source that it is made for.

    `segments` is how many there are at most, `words` says who else is in a shopper's own.
    """

    name: str
    words: str
    segments: int

    def learn(self, known: "Histories", *, until: int, category: np.ndarray) -> Mapping[str, np.ndarray]:
        """What tells them apart, from the interactions `known`, all before `until`."""
        ...

    def members(self, known: "Histories", learnt: Mapping[str, np.ndarray], *, until: int) -> np.ndarray:
        """The segment of each sequence at `until`, -1 for none [S] int64."""
        ...

    def segment_of(self, state: "ShopperState", learnt: Mapping[str, np.ndarray]) -> int:
        """The segment of one shopper now; -1 if too little is known."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Plain constructor arguments, for the bundle."""
        ...


class Ranker(Protocol):
    """Orders everything that was retrieved for a known shopper by one learnt chance; until it is `ready` the blend's
    weights do.

    `depth` is how many candidates it is asked about, the blend's best of those that may be shown.
    """

    ready: bool
    depth: int

    def count(self, histories: "Histories", *, items: int, until: int, category: np.ndarray) -> None:
        """Facts of the crowd from the events before `until`; `items` is V, `category` that of every index [V]."""
        ...

    def fit(self, questions: "Sequence[Retrieved]") -> None:
        """Learn the order from questions after what was counted."""
        ...

    def chances(self, shoppers: "Shoppers", mixed: "Mixed") -> np.ndarray:
        """Of each candidate of B shoppers the chance to be taken next [R] float32."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Plain constructor arguments, for the bundle."""
        ...

    def arrays(self) -> Mapping[str, np.ndarray]:
        """What was counted and learnt, as constructor arguments, for the bundle."""
        ...


class Policy(Protocol):
    """Chooses the slate from scored candidates; may explore, and then says with what propensity.

    Made with `repurchase=`, what was learnt about taking things again; None before anything was.
    """

    name: str
    repurchase: "Repurchase | None"

    def choices(
        self, shoppers: "Shoppers", mixed: "Mixed", *, counts: Sequence[int], rng: Sequence[np.random.Generator]
    ) -> "list[Choice]":
        """Which of the candidates of each of B shoppers are shown, in order; at most so many of `counts` [B], chosen by
        each one's own `rng` [B]."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Plain constructor arguments, for the bundle."""
        ...
