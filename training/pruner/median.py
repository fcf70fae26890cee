"""Ends a trial whose best epoch so far is below the median of what finished trials had reached by then.

Golovin et al., "Google Vizier: a service for black-box optimization" (KDD 2017), section 3.2.2, call it the median
stopping rule.
"""

from dataclasses import dataclass

from optuna.pruners import BasePruner, MedianPruner

from recsys.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Median:
    """The median rule, from some finished trials and some epochs on.

    Args:
        after_trials: so many trials finish undisturbed.
        after_epochs: of every trial so many epochs are trained.
    """

    after_trials: int = 5
    after_epochs: int = 2

    def __post_init__(self) -> None:
        if self.after_trials < 1 or self.after_epochs < 1:
            raise ConfigError(
                f"pruner.after_trials={self.after_trials} and pruner.after_epochs={self.after_epochs}; give at least 1 "
                "of each"
            )

    def build(self) -> BasePruner:
        """Optuna's own, which counts epochs as steps."""
        return MedianPruner(n_startup_trials=self.after_trials, n_warmup_steps=self.after_epochs)
