"""No ranker: the blend's weights order what was retrieved."""

from collections.abc import Sequence

import numpy as np

from recsys.errors import ConfigError
from recsys.ranker.facts import Retrieved
from recsys.registry import registered
from recsys.retrieval.mixing import Mixed
from recsys.sequence.histories import Histories
from recsys.shoppers import Shoppers


@registered
class NoRanker:
    """Learns nothing and is never ready."""

    ready = False
    depth = 0

    def count(self, histories: Histories, *, items: int, until: int, category: np.ndarray) -> None:
        """Nothing to count."""

    def fit(self, questions: Sequence[Retrieved]) -> None:
        """Nothing to learn."""

    def chances(self, shoppers: Shoppers, mixed: Mixed) -> np.ndarray:
        """Nobody asks one that is not ready."""
        raise ConfigError("ranker=none has no chances to tell; ask a ranker only while it is ready")

    def settings(self) -> dict[str, object]:
        """No settings."""
        return {}

    def arrays(self) -> dict[str, np.ndarray]:
        """Nothing learnt."""
        return {}
