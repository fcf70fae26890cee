"""Gives many trials few epochs and the best of them more, in brackets that are patient to different degrees.

Li et al., "Hyperband: a novel bandit-based approach to hyperparameter optimization" (JMLR 2018).
"""

from dataclasses import dataclass

from optuna.pruners import BasePruner, HyperbandPruner

from recsys.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperband:
    """Successive halving in several brackets; meant for sweeps of many epochs and some dozens of trials.

    Args:
        least_epochs: no trial ends earlier.
        factor: of the trials that reach a rung, about one in so many goes on to the next.
    """

    least_epochs: int = 1
    factor: int = 3

    def __post_init__(self) -> None:
        if self.least_epochs < 1 or self.factor < 2:
            raise ConfigError(
                f"pruner.least_epochs={self.least_epochs} and pruner.factor={self.factor}; give at least 1 and 2"
            )

    def build(self) -> BasePruner:
        """Optuna's own; the most epochs are learnt from the first trial that finishes."""
        return HyperbandPruner(min_resource=self.least_epochs, max_resource="auto", reduction_factor=self.factor)
