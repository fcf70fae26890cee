"""A log cut in time: what may be learnt from, what is validated on, what is tested on."""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from recsys.catalogue import Catalogue
from recsys.clock import to_datetime
from recsys.errors import TrainingError
from recsys.event import INTERACTIONS
from recsys.feature.spec import FeatureSpec
from recsys.log.reader import EventLog
from recsys.metric.evaluation import Case, next_moment_cases
from recsys.sequence.histories import Histories
from training.recipe import Recipe

_LEAF = 3
_VALIDATION_CASES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Everything that training reads.

    Attributes:
        catalogue: the items seen before the cut-off; later ones are unknown.
        features: the spec, with the types that occurred before the cut-off.
        histories: all events of all shoppers, after the cut-off too, as histories of later questions.
        category: leaf category of every index [V].
        since: instant at which the validation window begins; the encoder learns from what is strictly earlier.
        cutoff: instant at which the test begins.
        end: just after the last event.
    """

    catalogue: Catalogue
    features: FeatureSpec
    histories: Histories
    category: np.ndarray
    since: int
    cutoff: int
    end: int

    @classmethod
    def of(cls, recipe: Recipe) -> "Dataset":
        """Read the recipe's log and cut it at the recipe's instants."""
        log, source = EventLog(recipe.log_folder), recipe.data
        events = log.events()
        early = events.filter(pc.less(pc.cast(events["occurred_at"], "int64"), source.cutoff))
        catalogue = Catalogue.of_table(log.items(), pc.drop_null(pc.unique(early["item_id"])).to_pylist())
        known_types = tuple(sorted(t for t in pc.unique(early["type"]).to_pylist() if t in INTERACTIONS))
        histories = Histories.of_table(events, catalogue)
        return cls(
            catalogue=catalogue,
            features=FeatureSpec(**recipe.features, time_zone=source.time_zone, known_types=known_types),
            histories=histories,
            category=catalogue.categories(_LEAF)[0],
            since=recipe.validation_since,
            cutoff=source.cutoff,
            end=int(histories.events.time.max()) + 1,
        )

    def learnable(self) -> Histories:
        """What the encoder may learn from; TrainingError where there is nothing."""
        histories = self.histories.before(self.since).interactions()
        if not len(histories):
            raise TrainingError(
                f"no event before {to_datetime(self.since).isoformat()}, where the validation window begins, to learn "
                "from; check data.cutoff and validation_days against the log's dates"
            )
        return histories

    def validation(self, seed: int) -> list[Case]:
        """A sample of the validation window's moments."""
        return self._cases(self.since, self.cutoff, _VALIDATION_CASES, seed)

    def test(self, limit: int | None, seed: int) -> list[Case]:
        """The test window's moments, all or `limit` of them; a window without any raises TrainingError."""
        cases = self._cases(self.cutoff, self.end, limit, seed)
        if not cases:
            cutoff, end = (to_datetime(instant).isoformat() for instant in (self.cutoff, self.end))
            raise TrainingError(f"no purchase from data.cutoff={cutoff} to the log's end, {end}; cut earlier")
        return cases

    def _cases(self, since: int, until: int, limit: int | None, seed: int) -> list[Case]:
        memory = self.features.memory
        return next_moment_cases(self.histories, since=since, until=until, memory=memory, limit=limit, seed=seed)
