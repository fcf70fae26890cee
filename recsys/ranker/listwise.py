"""One learnt order of everything that was retrieved: what comes again and what is new, by the same chance."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from recsys.errors import ConfigError
from recsys.ranker.examination import Examination, positions_seen
from recsys.ranker.facts import CrowdFacts, Retrieved, facts_of, width
from recsys.ranker.fitting import Lists, Networks, calibration, fitted
from recsys.registry import registered
from recsys.retrieval.mixing import Gathered, Mixed
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers

_CROWD = "crowd_"
_LAYERS = 3


@registered
class Listwise:
    """A few small networks over the facts of (shopper, candidate, instant), their mean calibrated to chances.

    Args:
        networks: how many; M.
        hidden: width of both layers.
        epochs: how often it sees every question.
        rate: the first step size; it falls to nothing.
        explore: weight of the order among what is new to the shopper, beside the order of all.
        kept: share of the candidates not taken that it is fitted to.
        depth: how many candidates it is asked about.
        seed: of the networks' start, the order of the questions and the candidates kept.
        sources: the sources whose scores it reads, in order.
        learnt: facts of the crowd (`CrowdFacts`, names begin with crowd_), look [P] (`Examination`), and the networks:
            mean and scale [F], weight0 [M, F, hidden], bias0 [M, 1, hidden] and so on.
    """

    name = "listwise"

    def __init__(
        self,
        *,
        networks: int = 4,
        hidden: int = 32,
        epochs: int = 6,
        rate: float = 3e-3,
        explore: float = 0.5,
        kept: float = 0.25,
        depth: int = 200,
        seed: int = 0,
        sources: Sequence[str] = (),
        **learnt: np.ndarray,
    ) -> None:
        least = {"networks": networks, "hidden": hidden, "epochs": epochs, "depth": depth}
        for setting, value in least.items():
            if value < 1:
                raise ConfigError(f"ranker.{setting} is {value}; give at least 1")
        if not 0 < kept <= 1 or rate <= 0 or explore < 0:
            raise ConfigError(
                f"ranker.kept={kept}, ranker.rate={rate}, ranker.explore={explore}; give a share above 0 and up to 1, "
                "a number above 0, and 0 or more"
            )
        self.networks = networks
        self.hidden = hidden
        self.epochs = epochs
        self.rate = rate
        self.explore = explore
        self.kept = kept
        self.depth = depth
        self.seed = seed
        self.sources = tuple(sources)
        self._crowd: CrowdFacts | None = None
        self.examination = Examination(np.empty(0, np.float32))
        self._network: Networks | None = None
        if learnt:
            self._restore(learnt)

    @property
    def ready(self) -> bool:
        """Whether it was fitted; before that it has nothing to say."""
        return self._crowd is not None and self._network is not None

    def count(self, histories: Histories, *, items: int, until: int, category: np.ndarray) -> None:
        """Facts of the crowd from the events before `until`, and how positions are looked at; `items` is V."""
        self._crowd = CrowdFacts.of(histories, items=items, until=until, category=category)
        self.examination = Examination.of(histories, until=until)

    def fit(self, questions: Sequence[Retrieved]) -> None:
        """Learn the order; the crowd must have been counted from before the first question.

        What was taken from a position that is seldom looked at counts for more (`Examination`), where the log says.
        Without a question in which some but not all candidates were taken it stays as it is, not ready.
        """
        self.sources = tuple(sorted({name for question in questions for name in question.gathered}))
        lists = self._lists(questions)
        if not len(lists):
            return
        generator = torch.Generator().manual_seed(self.seed)
        network = fitted(
            lists, networks=self.networks, hidden=self.hidden, epochs=self.epochs, rate=self.rate, explore=self.explore,
            generator=generator,
        )  # fmt: skip
        score = torch.from_numpy(network(lists.facts))
        taken = torch.from_numpy(lists.taken > 0).float()
        slope, shift = calibration(score, taken, torch.from_numpy(lists.weight()))
        shift += float(np.log(self.kept))  # of the others only so many were looked at
        weight, bias = list(network.weight), list(network.bias)
        weight[-1], bias[-1] = slope * weight[-1], (slope * bias[-1] + shift).astype(np.float32)
        self._network = Networks(network.mean, network.scale, tuple(weight), tuple(bias))

    def chances(self, shoppers: Shoppers, mixed: Mixed) -> np.ndarray:
        """Of each candidate of B shoppers the chance to be taken in the next moment [R] float32."""
        if self._crowd is None or self._network is None:
            raise RuntimeError("the ranker was not fitted; call count and fit first")
        facts, _ = facts_of(shoppers, mixed, sources=self.sources, crowd=self._crowd)
        chance: np.ndarray = 1 / (1 + np.exp(-np.clip(self._network(facts), -30, 30)))
        return chance.astype(np.float32)

    def settings(self) -> dict[str, object]:
        """Constructor arguments, for the bundle."""
        return {
            "networks": self.networks,
            "hidden": self.hidden,
            "epochs": self.epochs,
            "rate": self.rate,
            "explore": self.explore,
            "kept": self.kept,
            "depth": self.depth,
            "seed": self.seed,
            "sources": list(self.sources),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """What was counted and learnt."""
        found = {f"{_CROWD}{name}": values for name, values in (self._crowd.arrays() if self._crowd else {}).items()}
        found |= {"look": self.examination.look} if len(self.examination.look) else {}
        if self._network is not None:
            found |= {"mean": self._network.mean, "scale": self._network.scale}
            for number in range(_LAYERS):
                found |= {f"weight{number}": self._network.weight[number], f"bias{number}": self._network.bias[number]}
        return found

    def _restore(self, learnt: Mapping[str, np.ndarray]) -> None:
        crowd = {name.removeprefix(_CROWD): values for name, values in learnt.items() if name.startswith(_CROWD)}
        layers = [f"{part}{number}" for part in ("weight", "bias") for number in range(_LAYERS)]
        if strange := {name for name in learnt if not name.startswith(_CROWD)} - {"look", "mean", "scale", *layers}:
            raise TypeError(
                f"Listwise does not know {sorted(strange)}; it takes look, mean, scale, {', '.join(layers)}"
            )
        self._crowd = CrowdFacts(**crowd)
        self.examination = Examination(learnt.get("look", self.examination.look))
        if "mean" in learnt:
            self._network = Networks(
                learnt["mean"],
                learnt["scale"],
                tuple(learnt[f"weight{number}"] for number in range(_LAYERS)),
                tuple(learnt[f"bias{number}"] for number in range(_LAYERS)),
            )

    def _lists(self, questions: Sequence[Retrieved]) -> Lists:
        """The questions that tell something, with all that was taken and some of what was not."""
        if self._crowd is None:
            raise RuntimeError("the ranker knows no crowd yet; call count first")
        rng = np.random.default_rng(self.seed)
        facts, new = [np.empty((0, width(self.sources)), np.float32)], [np.empty(0, bool)]
        counts = [np.empty(0, np.float32)]
        for question in questions:
            every = Mixed.by(Gathered.of_one(question.gathered), dict.fromkeys(question.gathered, 1.0), ()).one(0)
            shown = every[~np.isin(every.candidates.item, list(question.state.exclude))]
            item = shown.candidates.item
            was_taken = np.isin(item, question.target)
            kept = np.flatnonzero(was_taken | (rng.random(len(item)) < self.kept))
            if not was_taken.any() or was_taken[kept].all():
                continue
            mixed = Mixed.of([shown])
            told, never = facts_of(Shoppers([question.state]), mixed, sources=self.sources, crowd=self._crowd)
            facts.append(told[kept])
            weight = self.examination.weight(positions_seen(question.state, item[kept]))
            counts.append(np.where(was_taken[kept], weight, 0).astype(np.float32))
            new.append(never[kept])
        start = np.cumsum([0, *(len(rows) for rows in counts[1:])]).astype(np.int64)
        return Lists(np.concatenate(facts), np.concatenate(counts), np.concatenate(new), start)
