"""Stops a training whose loss or gradient is no number or whose loss runs away, with the batch that did it kept."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from recsys.errors import TrainingError
from recsys.sampler.negatives import Negatives
from recsys.sequence.batch import SequenceBatch
from training.trainer.learner import Learner


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Looks at every loss and gradient before weights move by it.

    Args:
        folder: where a batch is kept.
        explosion: how many times the median of the recent losses is too much; None lets everything finite pass.
    """

    folder: Path
    explosion: float | None

    def check(
        self,
        loss: float,
        *,
        gradient: float,
        learner: Learner,
        windows: np.ndarray,
        batch: SequenceBatch,
        negatives: Negatives,
    ) -> None:
        """TrainingError, naming the kept batch, where no training comes back from `loss` or its `gradient`'s length.

        `windows` [B] are the loader's numbers of the batch; the learner has not taken the step yet.
        """
        progress, usual = learner.progress, learner.progress.usual_loss
        runs_away = None not in (self.explosion, usual) and loss > (self.explosion or 0.0) * (usual or 0.0) > 0
        if math.isfinite(loss) and math.isfinite(gradient) and not runs_away:
            return
        epoch, number = progress.epoch + 1, progress.taken + 1
        facts = {
            "epoch": epoch,
            "batch": number,
            "loss": repr(loss),
            "gradient": repr(gradient),
            "recent_losses": progress.recent,
            "learning_rate": learner.rate,
            "weights_not_finite": [n for n, w in learner.module.named_parameters() if not bool(w.isfinite().all())],
            "windows": windows.tolist(),
        }
        kept = self._keep(f"batch-epoch{epoch}-step{number}", facts, batch, negatives)
        much = f", over trainer.explosion={self.explosion:g} times the usual {usual:.4g}" if runs_away else ""
        what = f"the loss became {loss:.4g}"
        if math.isfinite(loss) and not runs_away:
            what = f"the gradient became {gradient:.4g} under a loss of {loss:.4g}"
        raise TrainingError(
            f"{what} in epoch {epoch}, batch {number}{much}; {kept}; "
            f"lower optimizer.learning_rate (it was {learner.rate:.3g} there)"
        )

    def _keep(self, name: str, facts: Mapping[str, Any], batch: SequenceBatch, negatives: Negatives) -> str:
        """Where the batch was written, or why it was not."""
        path = self.folder / f"{name}.safetensors"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(_tensors(batch, negatives), path)
            path.with_suffix(".json").write_text(json.dumps(facts, indent=1))
        except (OSError, SafetensorError) as error:
            return f"the batch could not be kept ({error})"
        return f"the batch is kept in {path}, what it is beside it in .json"


def _tensors(batch: SequenceBatch, negatives: Negatives) -> dict[str, Tensor]:
    """Every tensor of the batch by name; copies, for some share memory."""
    plain = {field.name: getattr(batch, field.name) for field in fields(batch)}
    groups = {name: held for name, held in plain.items() if isinstance(held, Mapping)}
    columns = {f"{name}.{own}": values for name, held in groups.items() for own, values in held.items()}
    drawn = {f"negatives.{field.name}": getattr(negatives, field.name) for field in fields(negatives)}
    named = {**plain, **columns, **drawn}
    return {name: value.detach().cpu().clone() for name, value in named.items() if isinstance(value, Tensor)}
