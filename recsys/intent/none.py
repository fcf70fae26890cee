"""No heads: nothing is labelled, trained or told, and nothing costs anything."""

from dataclasses import dataclass

from recsys.catalogue import Catalogue
from recsys.feature.spec import FeatureSpec
from recsys.intent.labels import Labels
from recsys.registry import registered


@registered
@dataclass(frozen=True, slots=True)
class NoIntent:
    """Only the next item is learnt."""

    def build(self, *, dim: int, features: FeatureSpec, catalogue: Catalogue) -> None:
        """None."""
        return

    def labels(self, features: FeatureSpec) -> Labels:
        """None of them."""
        return Labels(())
