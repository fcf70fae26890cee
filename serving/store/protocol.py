"""The seam between serving and whatever keeps events: append durably, read back at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from recsys.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposedItem:
    """One item of a slate that was shown; `position` counts from 0."""

    item_id: str
    position: int
    propensity: float
    score: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One slate that was handed out, with everything off-policy evaluation needs later; `at` in microseconds UTC."""

    recommendation_id: str
    at: int
    placement: str
    policy: str
    model_version: str
    knowledge: str
    items: tuple[ExposedItem, ...]
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    device: str | None = None
    channel: str | None = None
    store: str | None = None
    degraded: str | None = None


class OnlineStore(Protocol):
    """Keeps events and exposures; every failure is a StoreError that names the place and the remedy."""

    async def open(self) -> None:
        """Make ready: connect, create or migrate the schema, refuse damaged data."""
        ...

    async def append(self, events: Sequence[Event]) -> list[bool]:
        """True for each event that is new, False for a known event id; returns only once all of it is durable.

        An event with both a user id and an anonymous id links the two from then on.
        """
        ...

    async def history(self, *, user_id: str | None, anonymous_id: str | None, limit: int) -> list[Event]:
        """The shopper's `limit` latest events, oldest first, by `occurred_at` and then event id.

        These are the events of the user, of the anonymous id, and of every anonymous id that is linked to the user;
        events that another user left under a shared anonymous id are not among them.
        """
        ...

    async def record_exposures(self, exposures: Sequence[Exposure]) -> None:
        """Keep the slates that were handed out; durable on return."""
        ...

    async def exposure(self, recommendation_id: str) -> Exposure | None:
        """A slate that was handed out, or None if no such recommendation was recorded."""
        ...

    async def check(self) -> None:
        """Return if the store can be read at this moment; raise StoreError otherwise."""
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of files and connections."""
        ...
