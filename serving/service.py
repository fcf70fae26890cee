"""Everything one replica holds: recommender, store, clock, and the two lines that run through them."""

import uuid
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from recsys.clock import Clock, to_datetime
from serving.api.health import Readiness
from serving.events import Listening
from serving.exposure import ExposureLog
from serving.items import Stocking
from serving.pipeline import Answering, Recommends, offer_of
from serving.store.protocol import OnlineStore


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


class Service:
    """Answers and listens between `open` and `close`; `async with` does both."""

    def __init__(
        self,
        recommender: Released,
        store: OnlineStore,
        *,
        clock: Clock,
        rng: np.random.Generator,
        history_limit: int = 1_000,
        largest_batch: int = 32,
    ) -> None:
        self._recommender = recommender
        self._store = store
        self._clock = clock
        self._name = uuid.uuid4().hex[:8]
        self._exposures = ExposureLog(store)
        offer = offer_of(recommender)
        self.listening = Listening(store, offer, clock)
        self.stocking = Stocking(store, recommender.catalogue, offer, clock=clock)
        self.answering = Answering(
            recommender,
            store,
            self._exposures,
            clock=clock,
            rng=rng,
            history_limit=history_limit,
            largest_batch=largest_batch,
        )

    async def open(self) -> None:
        """Open the store, take over what was said of items and answer once for practice; raises StoreError if events
        could not be kept there."""
        await self._store.open()
        await self.stocking.open()
        await self.answering.warm_up()

    async def close(self) -> None:
        """Finish the answers on their way, write the exposures, close the store."""
        await self.answering.close()
        await self.stocking.close()
        await self._exposures.close()
        await self._store.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def readiness(self) -> Readiness:
        """What this replica is made of; raises StoreError if the store cannot be read."""
        await self._store.check()
        return Readiness(
            replica=self._name,
            model_version=self._recommender.model_version,
            items=self._recommender.catalogue.size - 1,
            data_end=to_datetime(self._recommender.data_end),
            store=type(self._store).__name__,
            clock=to_datetime(self._clock.now()),
            exposures_lost=self._exposures.lost,
            items_revision=self.stocking.revision,
        )
