"""A log cut in time: what may be learnt from, what is validated on, what is tested on."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.catalogue import Catalogue
from recsys.clock import to_datetime
from recsys.errors import TrainingError
from recsys.event import INTERACTIONS, EventType
from recsys.feature.coding import Vocabulary
from recsys.feature.price import medians
from recsys.feature.spec import FeatureSpec
from recsys.feature.statistics import Statistics
from recsys.intent.labels import Labels
from recsys.log.engine import Engine
from recsys.log.reader import EventLog
from recsys.metric.evaluation import Case, cases_between
from recsys.protocols import CandidateSource, Target
from recsys.sequence.coding import Coding
from recsys.sequence.gather import gather
from recsys.sequence.histories import Histories
from recsys.sequence.stored import stored_stream
from recsys.sequence.stream import TokenStream
from recsys.sequence.survey import Survey
from recsys.split.cut import Cut
from training.provenance import code_digest
from training.recipe import Recipe
from training.start import Start

_LEAF = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the crowd's statistics may be counted from: `histories`, everything strictly before `until`."""

    histories: Histories
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Everything that training reads.

    Attributes:
        log: the event log, without shoppers who do not agree to training.
        key: names the coded log: its content, from when the vocabularies are, and the code that coded it.
        order_only: it holds an order but no times (literature mode).
        catalogue: the items seen before the cut-off; later ones are unknown.
        features: the spec, with the vocabularies from before the cut-off.
        histories: all events of all shoppers, after the cut-off too, as histories of later questions.
        category: leaf category of every index [V].
        cut: where each sequence is cut.
        target: what a question asks for.
        exclude_seen: whether items of the shopper's own history leave every ranking.
        wanted: the event types that are asked for: purchases or, where a log has none, all interactions.
        cutoff: instant at which the test begins, where the split has one for all.
        end: just after the last event.
        start: what the encoder starts from; None where it starts from nothing.
    """

    log: EventLog
    key: str
    order_only: bool
    catalogue: Catalogue
    features: FeatureSpec
    histories: Histories
    category: np.ndarray
    cut: Cut
    target: Target
    exclude_seen: bool
    wanted: tuple[EventType, ...]
    cutoff: int
    end: int
    start: Start | None = None

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        engine: Engine | None = None,
        *,
        start: Start | None = None,
        coding: Coding | None = None,
    ) -> "Dataset":
        """Read the recipe's log and cut it as the recipe's split says; the `engine` builds the sequences, threads of
        this process if it is None. Items and names that are known at the `start` keep their numbers. With a `coding`
        exactly what it knows is known: it is that of a release, for asking it."""
        log, source = EventLog(recipe.log_folder).of_the_willing(recipe.consent.training), recipe.data
        until = recipe.split.vocabulary_until(source.cutoff)
        survey = Survey.of(log, until=until)
        if log.unwilling is not None and not survey.events:
            raise TrainingError("no shopper of the log agrees to training; see consent.default")
        if not len(survey.items):
            raise TrainingError(
                f"no event before data.cutoff={to_datetime(source.cutoff).isoformat()}: the log goes from "
                f"{to_datetime(survey.first).isoformat()} to {to_datetime(survey.last).isoformat()}; cut later"
            )
        fixed = _digest_of(coding) if coding else start.version if start else None
        agreed = [repr(recipe.consent.training)] if log.unwilling is not None else []
        coding = coding or Coding(*_known(log.items(until), survey, start))
        catalogue, channels, devices = coding.catalogue, coding.channels, coding.devices
        lookback = int(recipe.features["memory"])
        key = _digest(log.fingerprint, until, lookback, code_digest(), *([fixed] if fixed else []), *agreed)
        folder = log.cache_folder / f"histories-{key}"
        histories = gather(log, survey, coding, folder, lookback=lookback, engine=engine)
        _insist_unchanged(log, folder)
        catalogue = _with_usual_prices(catalogue, histories, until)
        category = catalogue.categories(_LEAF)[0]
        features = FeatureSpec(
            **recipe.features,
            time_zone=source.time_zone,
            order_only=source.order_only,
            channels=channels,
            devices=devices,
            known_types=tuple(t for t in survey.types if t in INTERACTIONS or t is EventType.SEARCH),
            statistics=Statistics.learn(
                histories.events_once(),
                catalogue=catalogue,
                category=category,
                until=until,
                after=start.codes() if start else None,
            ),
        )
        known_types = tuple(t for t in features.known_types if t in INTERACTIONS)
        return cls(
            log=log,
            key=key,
            order_only=source.order_only,
            catalogue=catalogue,
            features=features,
            histories=histories,
            category=category,
            cut=recipe.split.cut(histories, cutoff=source.cutoff),
            target=recipe.target,
            exclude_seen=recipe.exclude_seen,
            wanted=(EventType.PURCHASE,) if EventType.PURCHASE in known_types else known_types,
            cutoff=source.cutoff,
            end=survey.last + 1,
            start=start,
        )

    def training_stream(self, labels: Labels = Labels(()), *, to_test: bool = False) -> tuple[TokenStream, np.ndarray]:
        """The tokens that the encoder may learn from, in mapped files, with `labels`, and the instant from which each
        sequence [S] is asked; with `to_test` the validation window's too. TrainingError where there is nothing."""
        learn = self.cut.count_until if to_test else self.cut.learn_until
        settings = json.dumps(self.features.to_json(), sort_keys=True, default=str)
        asked = f"{type(self.target).__name__} {sorted(vars(self.target).items())}"
        digest = hashlib.sha256(np.ascontiguousarray(learn).data).hexdigest()
        key = _digest(self.key, settings, asked, digest, *labels.parts)
        folder = self.log.cache_folder / f"stream-{key}"
        until = np.minimum(learn, self.end)
        stream, asked_from = stored_stream(
            self.histories, self.features, self.target, until=until, folder=folder, labels=labels
        )
        _insist_unchanged(self.log, folder)
        if not len(stream.item):
            raise TrainingError(
                "nothing is left to learn from before the validation window; check data.cutoff and validation_days "
                f"against the log, which goes to {to_datetime(self.end - 1).isoformat()}"
            )
        return stream, asked_from

    def learnt_until(self, *, to_test: bool = False) -> int | None:
        """The instant before which the encoder learns; None where a split has no such instant for all."""
        until = self.cut.count_until if to_test else self.cut.learn_until
        return int(until[0]) if len(until) and bool((until == until[0]).all()) else None

    def before_validation(self) -> Known:
        """What was known before any question of the validation."""
        return self._known(self.cut.learn_until)

    def before_test(self) -> Known:
        """What was known before any question of the test."""
        return self._known(self.cut.count_until)

    def to_the_end(self) -> Known:
        """All of the log."""
        return Known(histories=self.histories.as_known_at(self.end), until=self.end)

    def teach(self, source: CandidateSource, known: Known) -> None:
        """Let a source learn from what is `known`, and from what the catalogue says of the items."""
        statistics = self.features.statistics
        source.fit(
            known.histories,
            items=self.catalogue.size,
            until=known.until,
            category=self.category,
            facts=statistics.items if statistics else None,
        )

    def validation(self, limit: int | None, seed: int) -> list[Case]:
        """The validation's moments, all or a sample of `limit` of them."""
        return self._cases(self.cut.validation_from, self.cut.test_from, limit, seed)

    def test(self, limit: int | None, seed: int) -> list[Case]:
        """The test's moments, all or `limit` of them; TrainingError where there are none."""
        cases = self._cases(self.cut.test_from, np.broadcast_to(np.int64(self.end), len(self.histories)), limit, seed)
        if not cases:
            cutoff, end = (to_datetime(instant).isoformat() for instant in (self.cutoff, self.end))
            wanted = " or ".join(self.wanted)
            raise TrainingError(f"no {wanted} from data.cutoff={cutoff} to the log's end, {end}; cut earlier")
        return cases

    def _known(self, until: np.ndarray) -> Known:
        """Events strictly before an instant for all, or each sequence's own where a split has no such instant."""
        if len(until) and (until == until[0]).all():
            return Known(histories=self.histories.as_known_at(int(until[0])), until=int(until[0]))
        earlier = self.histories.where(self.histories.events.time < until[self.histories.owner()])
        return Known(histories=earlier, until=self.end)

    def _cases(self, since: np.ndarray, until: np.ndarray, limit: int | None, seed: int) -> list[Case]:
        return cases_between(
            self.histories,
            since=since,
            until=until,
            target=self.target,
            wanted=self.wanted,
            memory=self.features.memory,
            exclude_seen=self.exclude_seen,
            limit=limit,
            seed=seed,
        )


def _known(items: pa.Table, survey: Survey, start: Start | None) -> tuple[Catalogue, Vocabulary, Vocabulary]:
    """Items, channels and devices from before the cut-off. An item without a row is unknown until it gets one: a shop
    sends events of items before it describes them."""
    described = items["item_id"].combine_chunks()
    if start is not None:
        described = pa.concat_arrays([described, start.recommender.catalogue.items["item_id"].combine_chunks()])
    known = survey.items.filter(pc.is_in(survey.items, described)).to_pylist()
    if start is None:
        return Catalogue.of_table(items, known), survey.channels, survey.devices
    return start.catalogue(items, known), *start.vocabularies(survey.channels, survey.devices)


def _digest_of(coding: Coding) -> str:
    """Digest of the names and their numbers."""
    return _digest(*coding.catalogue.items["item_id"].to_pylist(), coding.channels.names, coding.devices.names)


def _digest(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def _insist_unchanged(log: EventLog, folder: Path) -> None:
    """Remove what was derived from a log that was altered meanwhile: a shopper may have been erased."""
    if EventLog(log.folder).fingerprint != log.fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
        raise TrainingError(f"{log.folder} was altered while it was read (new rows, or an erasure); start again")


def _with_usual_prices(catalogue: Catalogue, histories: Histories, until: int | None) -> Catalogue:
    """The catalogue with the median list price of the events before `until` where the shop gives no price."""
    given = catalogue.items["price"]
    if given.null_count == 0:
        return catalogue
    events = histories.events_once()
    events = events if until is None else events[events.time < until]
    seen = np.where(np.isnan(events.list_price), events.price, events.list_price)
    usable = (events.item > 0) & (seen > 0)
    usual = medians(events.item[usable], seen[usable], catalogue.size)[1:].astype(np.float64).round(2)
    filled = pa.array(np.where(np.isnan(given.to_numpy()), usual, given.to_numpy()), from_pandas=True)
    place = catalogue.items.schema.get_field_index("price")
    return Catalogue(catalogue.items.set_column(place, catalogue.items.schema.field(place), filled))
