"""Incremental training: a run that starts from what an earlier one learnt, with new days and new items.

Items, channels, devices, brands and categories that the champion knows keep their numbers, new ones come after them;
so every vector of the champion is still what it was before the first step. Learnt from are the moments that it has not
seen and, so that it does not forget (McCloskey & Cohen, "Catastrophic interference in connectionist networks", 1989),
all moments of a share of the shoppers: experience replay, as Rolnick et al. (NeurIPS 2019) found it to suffice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from torch import nn

from recsys.bundle import read_bundle
from recsys.catalogue import Catalogue
from recsys.clock import to_datetime
from recsys.errors import BundleError, ConfigError, ReleaseError
from recsys.feature.coding import Vocabulary
from recsys.feature.item import ItemCodes
from recsys.feature.spec import FeatureSpec
from recsys.model.growth import Newcomers, grow
from recsys.protocols import Encoder
from recsys.recommender import Recommender
from recsys.registry import described
from training.protocols import Tracker

CHAMPION = "champion"
LEARNT_UNTIL = "learnt_until"
"""Fact of a bundle: the instant before which its encoder learnt."""
_MAY_DIFFER = ("dropout",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a run starts from.

    Attributes:
        recommender: what was learnt.
        replay: share of the shoppers of whom all is learnt again, 0 to 1; of the others only what is new is.
    """

    recommender: Recommender
    replay: float = 0.0

    @classmethod
    def of(cls, name: str | None, tracker: Tracker, *, replay: float) -> "Start | None":
        """From "champion" or the folder of a bundle; None where `name` is None.

        Raises:
            ReleaseError: there is no champion yet.
            BundleError: there is no bundle in the folder, or an altered one.
        """
        if name is None:
            return None
        champion = tracker.champion() if name == CHAMPION else None
        if name == CHAMPION and champion is None:
            raise ReleaseError(
                "start_from=champion, but the registry has none yet; train one first, or name a bundle's folder"
            )
        return cls(recommender=read_bundle(champion.bundle if champion else Path(name)), replay=replay)

    @property
    def version(self) -> str:
        """Digest of the bundle."""
        return self.recommender.model_version

    @property
    def learnt_until(self) -> int:
        """Instant before which its encoder learnt; BundleError where it does not say."""
        until = self.recommender.facts.get(LEARNT_UNTIL)
        if not isinstance(until, int):
            raise BundleError(
                f"bundle {self.version} does not say up to when it learnt, so what is new cannot be told; train once "
                "from scratch (start_from=null) with this release and split=temporal"
            )
        return until

    def catalogue(self, items: pa.Table, known: list[str]) -> Catalogue:
        """The items of `known`, those of before first."""
        return Catalogue.of_table(items, known, after=self.recommender.catalogue)

    def vocabularies(self, channels: Vocabulary, devices: Vocabulary) -> tuple[Vocabulary, Vocabulary]:
        """Channels and devices, those of before first."""
        features = self.recommender.features
        return features.channels.grown(channels), features.devices.grown(devices)

    def codes(self) -> ItemCodes:
        """Codes of what was known of items."""
        learnt = self.recommender.features.learnt()
        return ItemCodes.of(self.recommender.catalogue.items, learnt.items, learnt.prices.item)

    def asked_from(self, asked_from: np.ndarray, *, until: int | None, seed: int) -> np.ndarray:
        """From when each sequence [S] is asked, given from when it could be; [S].

        Raises:
            ConfigError: nothing is new before the instant `until` which may be learnt.
        """
        since = self.learnt_until
        if until is None or until <= since:
            raise ConfigError(
                f"start_from: bundle {self.version} has learnt up to {to_datetime(since).isoformat()} already, and "
                f"this run may learn up to {to_datetime(until or 0).isoformat()}: nothing is new; raise data.cutoff"
            )
        again = np.random.default_rng((seed, since)).random(len(asked_from)) < self.replay
        return np.where(again, asked_from, np.maximum(asked_from, since))

    def grow(self, encoder: Encoder, features: FeatureSpec) -> None:
        """Give an encoder, made for the longer catalogue and primed, the weights of before.

        Raises:
            ConfigError: model, tower, similarity or features are not those of before.
        """
        _insist_same(_spec(features), _spec(self.recommender.features), "features")
        _insist_same(_made(encoder), _made(self.recommender.encoder), "model")
        old = self.recommender.encoder
        if not isinstance(encoder, nn.Module) or not isinstance(old, nn.Module):
            raise ConfigError(f"start_from: the encoder {type(encoder).__name__} is no torch module and cannot go on")
        grow(encoder, old, Newcomers.of(features.learnt().items, self.recommender.catalogue.size))


def _spec(features: FeatureSpec) -> Mapping[str, Any]:
    names = ("max_length", "query", "token", "time_zone", "order_only")
    return {name: getattr(features, name) for name in names}


def _made(encoder: Encoder) -> Mapping[str, Any]:
    plain = described(encoder)
    return {"class": plain["class"], **{k: v for k, v in plain["settings"].items() if k not in _MAY_DIFFER}}


def _insist_same(ours: Mapping[str, Any], theirs: Mapping[str, Any], what: str) -> None:
    differing = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    if differing:
        said = ", ".join(f"{name} was {theirs.get(name)!r} and is {ours.get(name)!r}" for name in differing)
        raise ConfigError(f"start_from: not the {what} of before ({said}); keep it, or train from scratch")
