"""Everything one replica holds: recommender, store, clock, and the two lines that run through them."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from recsys.clock import SECOND, Clock, SystemClock, to_datetime
from recsys.consent import Rules
from recsys.errors import BundleError, ConfigError, RecsysError
from serving.api.health import Readiness
from serving.backfill import Backfill
from serving.events import Listening
from serving.experiment import Experiment
from serving.exposure import ExposureLog
from serving.following import Following
from serving.forgetting import Forgetting
from serving.items import Stocking
from serving.pipeline import Answering, ids_in
from serving.recommends import Recommends, offer_of
from serving.store.protocol import OnlineStore
from serving.watching.exports import ExportWatch
from serving.watching.lookout import Lookout

_log = logging.getLogger("attune.service")


class Released(Recommends, Protocol):
    """A recommender that knows which version it is and where its training data ended."""

    @property
    def model_version(self) -> str:
        """The version, as answers name it."""
        ...

    @property
    def data_end(self) -> int:
        """Instant of the last event it was trained on, microseconds UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """A release in memory: where it lies, what answers, how many events of a history it looks at."""

    folder: Path
    recommender: Released
    history_limit: int


class Service:
    """Answers and listens between `open` and `close`; `async with` does both.

    With `load`, which reads a bundle's folder, the wanted release is followed from that in `folder` on.
    """

    def __init__(
        self,
        recommender: Released,
        store: OnlineStore,
        *,
        clock: Clock,
        rng: np.random.Generator,
        history_limit: int = 1_000,
        largest_batch: int = 32,
        deadline_s: float = 2.0,
        store_timeout_s: float = 1.0,
        consent: Rules | None = None,
        experiments: Sequence[Experiment] = (),
        folder: Path = Path(),
        load: Callable[[Path], Loaded] | None = None,
        follow_every_s: float = 1.0,
        lookout: Lookout | None = None,
    ) -> None:
        self.lookout = lookout or Lookout()
        meter = self.lookout.meter
        self._running = Loaded(folder, recommender, history_limit)
        self._previous: Loaded | None = None
        self._load = load
        self._follow_every_s = follow_every_s
        self.exports = ExportWatch(store, meter, SystemClock())
        self.following = Following(store, running=folder, take_over=self.take_over, every_s=follow_every_s)
        self._store = store
        self._clock = clock
        self.consent = consent or Rules()
        self._name = uuid.uuid4().hex[:8]
        self._exposures = ExposureLog(store, meter=meter)
        offer = offer_of(recommender)
        self.listening = Listening(store, offer, clock, meter=meter)
        self.backfill = Backfill(self.listening)
        self.stocking = Stocking(store, recommender.catalogue, offer, clock=clock, meter=meter)
        self.forgetting = Forgetting(
            store, clock=clock, recommenders=self._in_memory, ids_in=ids_in, every_s=follow_every_s / 2
        )
        self.answering = Answering(
            recommender,
            store,
            self._exposures,
            clock=clock,
            rng=rng,
            history_limit=history_limit,
            largest_batch=largest_batch,
            deadline_s=deadline_s,
            store_timeout_s=store_timeout_s,
            consent=self.consent,
            experiments=experiments,
            meter=meter,
        )
        self._began_to_answer()
        meter.follow(items_revision=lambda: self.stocking.revision, refused=lambda: self.following.trouble is not None)

    async def open(self) -> None:
        """Open the store, take over what was said of items and answer once for practice; raises StoreError if events
        could not be kept there."""
        await self._store.open()
        await self.stocking.open()
        await self.answering.warm_up()
        await self.forgetting.open()
        await self.exports.open()
        if self._load is not None:
            await self.following.open()
        self.lookout.open(self._about)
        _log.info("replica %s is ready with release %s", self._name, self._running.recommender.model_version)

    async def close(self) -> None:
        """Finish the answers on their way, write the exposures, close the store."""
        await self.following.close()
        await self.forgetting.close()
        await self.exports.close()
        await self.answering.close()
        await self.stocking.close()
        await self._exposures.close()
        self.lookout.close()
        await self._store.close()

    async def take_over(self, folder: Path) -> None:
        """Answer by the release in a folder from the next question on; it is loaded, brought up to date and tried out
        beside the running one, which stays in memory as the one before.

        Raises:
            RecsysError: it cannot be read or does not answer; the running one goes on.
        """
        if self._load is None:
            raise ConfigError("this service was started to serve one release only; start it with a loader")
        try:
            if self._previous is not None and self._previous.folder == folder:
                loaded = self._previous
            else:
                loaded = await asyncio.to_thread(self._load, folder)
            await self.answering.warm_up(loaded.recommender)
        except RecsysError:
            raise
        except Exception as failure:
            raise BundleError(f"{folder} cannot be read, or does not answer: {failure}") from failure
        offer = offer_of(loaded.recommender)

        def swapped() -> None:
            self.answering.swap(loaded.recommender, history_limit=loaded.history_limit)
            self.listening.swap(offer)
            self._previous, self._running = self._running, loaded
            self._began_to_answer()

        await self.stocking.swap(loaded.recommender.catalogue, offer, swapped)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _in_memory(self) -> list[Released]:
        """The recommender that answers, and the one before."""
        loaded = (self._running, self._previous)
        return [one.recommender for one in loaded if one is not None]

    def _began_to_answer(self) -> None:
        running = self._running.recommender
        self._since = self._clock.now()
        self.lookout.meter.released(
            running.model_version, items=running.catalogue.size - 1, data_end_s=running.data_end / SECOND
        )

    def _about(self) -> dict[str, object]:
        """What this replica tells its siblings."""
        return {
            "name": self._name,
            "model_version": self._running.recommender.model_version,
            "previous_version": self._previous.recommender.model_version if self._previous else None,
            "release_trouble": self.following.trouble,
            "since": f"{to_datetime(self._since):%Y-%m-%d %H:%M:%S} UTC",
        }

    async def agreed(self, *, user_id: str | None, anonymous_id: str | None) -> frozenset[str] | None:
        """The purposes that a shopper agrees to by now; None where nobody said anything."""
        return (await self._store.known(user_id=user_id, anonymous_id=anonymous_id, limit=1)).agreed

    async def readiness(self) -> Readiness:
        """What this replica is made of; raises StoreError if the store cannot be read."""
        await self._store.check()
        recommender, registry = self._running.recommender, await self.following.registry()
        return Readiness(
            replica=self._name,
            model_version=recommender.model_version,
            previous_version=self._previous.recommender.model_version if self._previous else None,
            release_trouble=self.following.trouble,
            registry=None if registry is None else registry.value,
            items=recommender.catalogue.size - 1,
            data_end=to_datetime(recommender.data_end),
            store=type(self._store).__name__,
            clock=to_datetime(self._clock.now()),
            exposures_lost=self._exposures.lost,
            items_revision=self.stocking.revision,
        )
