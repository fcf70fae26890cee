"""No ranker: the blend's weights order what was retrieved."""

from collections.abc import Mapping, Sequence

import numpy as np

from recsys.errors import ConfigError
from recsys.ranker.facts import Retrieved
from recsys.registry import registered
from recsys.sequence.histories import Histories
from recsys.slate import Candidates
from recsys.state import ShopperState


@registered
class NoRanker:
    """Learns nothing and is never ready."""

    ready = False
    depth = 0

    def count(self, histories: Histories, *, items: int, until: int, category: np.ndarray) -> None:
        """Nothing to count."""

    def fit(self, questions: Sequence[Retrieved]) -> None:
        """Nothing to learn."""

    def chances(self, state: ShopperState, item: np.ndarray, gathered: Mapping[str, Candidates]) -> np.ndarray:
        """Nobody asks one that is not ready."""
        raise ConfigError("ranker=none has no chances to tell; ask a ranker only while it is ready")

    def settings(self) -> dict[str, object]:
        """No settings."""
        return {}

    def arrays(self) -> dict[str, np.ndarray]:
        """Nothing learnt."""
        return {}
