"""Every trial is trained to its end."""

from dataclasses import dataclass

from optuna.pruners import BasePruner, NopPruner


@dataclass(frozen=True, slots=True)
class Never:
    """For sweeps whose trials shall all be comparable, however bad they begin."""

    def build(self) -> BasePruner:
        """Optuna's own."""
        return NopPruner()
