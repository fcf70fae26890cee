"""The seam between serving and whatever keeps events: append durably, read back at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from recsys.event import Event, EventColumns
from recsys.log.erase import Named
from recsys.log.erasures import Erasures, Kind
from serving.store.item import ItemChange, ItemOutcome, StoredItem


class ExposedItem(NamedTuple):
    """One item of a slate that was shown; `position` counts from 0. Every answer makes some twenty of them, and a
    dataclass takes five times as long."""

    item_id: str
    position: int
    propensity: float
    score: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One slate that was handed out, with everything off-policy evaluation needs later; `at` in microseconds UTC.

    Attributes:
        rung: what the answer was made with; None where nobody wrote it down, as in `candidates`.
        candidates: digest of what the policy chose from (`recsys/fingerprint.py`), best first; None where it did not.
        experiments: names of experiments and the arms that the shopper is in.
    """

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
    rung: str | None = None
    candidates: str | None = None
    experiments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A slate and its number in the order of recording, from 1."""

    number: int
    exposure: Exposure


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event and its number in the order of arrival, from 1."""

    number: int
    event: Event


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of whoever asks: what an answer needs of their history, and the purposes they agreed to; None where
    they never said anything."""

    events: EventColumns = field(default_factory=EventColumns)
    agreed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something told to everybody at one store; `told_at` in microseconds UTC."""

    value: str
    told_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """The receipt of an erasure: what went from where. It names nobody.

    Attributes:
        digest: the HMAC of the id that was asked for, by which the store knows it again.
        kind: "user" or "anonymous".
        at: when, microseconds UTC.
        visitors: how many visitors were erased with the user.
        events: events that were removed, with what histories and de-duplication knew of them.
        events_blanked: events of others that lost an erased visitor's id.
        links: changes of who a visitor was.
        exposures: slates that were removed.
        exposures_blanked: slates of others that lost an erased visitor's id.
        remains: places of the store that may hold the ids still because it could not get at them, each with the reason.
    """

    digest: str
    kind: Kind
    at: int
    visitors: int
    events: int
    events_blanked: int
    links: int
    exposures: int
    exposures_blanked: int
    remains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a store, by the store's own name, from which an erasure took `removed` records and in which `blanked`
    records of others lost a visitor's id; None where records are not counted."""

    name: str
    removed: int | None = None
    blanked: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A page of what a store holds of a shopper: events by number, slates and the changes of who their visitors were.

    Attributes:
        visitors: the visitors that any event, link or slate names together with the user; the visitor who was asked
            about is among them.
        events: those that an erasure would remove or blank, in the order of arrival.
        exposures: likewise, by instant; with the first page only.
        links: visitor, instant and user (None: nobody) of each change; with the first page only.
    """

    visitors: tuple[str, ...]
    events: tuple[Arrival, ...]
    exposures: tuple[Exposure, ...] = ()
    links: tuple[tuple[str, int, str | None], ...] = ()


class OnlineStore(Protocol):
    """Keeps events and exposures; every failure is a StoreError that names the place and the remedy."""

    async def open(self) -> None:
        """Make ready: connect, create or migrate the schema, refuse damaged data."""
        ...

    async def append(self, events: Sequence[Event]) -> list[bool]:
        """True for each event that is new, False for a known event id and for a late event of an erased shopper, which
        is not kept (`serving/store/erasure.py`); returns only once all of it is durable.

        An event with both a user id and an anonymous id links the two from its instant on; an unlink ends that.
        """
        ...

    async def history(
        self, *, user_id: str | None, anonymous_id: str | None, limit: int, before: int | None = None
    ) -> list[Event]:
        """The `limit` latest things (`recsys.event.ACTS`) that the shopper did strictly before an instant (None: all),
        oldest first, by `occurred_at` and then event id, as was known then.

        Whose the events of a visitor are is told in `recsys/log/identity.py`, offline as here. Asked with the anonymous
        id alone, a visitor who is linked is the user. Asked with both ids, what the visitor did as nobody is among the
        user's: the question itself says who they are, even before any event does.
        """
        ...

    async def known(
        self, *, user_id: str | None, anonymous_id: str | None, limit: int, before: int | None = None
    ) -> Known:
        """The columns of the history, as above, and what the shopper agrees to by now (`recsys/consent.py`), whatever
        `before` is, read at once. Asked with both ids the two count as linked from now on. Every answer asks this."""
        ...

    async def arrived(self, *, after: int, limit: int) -> list[Arrival]:
        """The next `limit` events after a number, in the order in which they became durable.

        Numbers only grow, and none is given later to an event that became durable earlier: whoever has read up to a
        number has everything up to it. Numbers of erased events are passed over and not given again.
        """
        ...

    async def last_number(self) -> int:
        """The highest number ever given to an event; 0 before the first."""
        ...

    async def origin(self) -> str | None:
        """Twelve hexadecimal digits that tell this store from others: the beginning of the SHA-256 of the id of the
        first event that ever arrived, kept when that is erased; None before it."""
        ...

    async def forget(self, shopper: Named, *, at: int) -> Forgotten:
        """Erase a shopper at instant `at`, by the rules of `serving/store/erasure.py`. On return no file and no key of
        the store holds their ids. A repeat gives the first receipt; after a failure it goes on.
        """
        ...

    def places(self, forgotten: Forgotten) -> Sequence[Place]:
        """Everywhere that the store had something of an erased shopper, and what went from there."""
        ...

    async def erasures(self) -> Erasures:
        """Everybody who was ever erased, without their ids."""
        ...

    async def held(self, shopper: Named, *, after: int, limit: int) -> Held:
        """What is known of a shopper: the next `limit` events after a number and, after 0, everything else."""
        ...

    async def record_exposures(self, exposures: Sequence[Exposure]) -> None:
        """Keep the slates that were handed out; durable on return."""
        ...

    async def exposure(self, recommendation_id: str) -> Exposure | None:
        """A slate that was handed out, or None if no such recommendation was recorded."""
        ...

    async def shown(self, *, after: int, limit: int) -> list[Shown]:
        """The next `limit` slates after a number, in the order in which they became durable; numbers as in `arrived`.
        Slates that were erased or have expired are passed over."""
        ...

    async def last_shown(self) -> int:
        """The highest number ever given to a slate; 0 before the first."""
        ...

    async def change_items(self, changes: Sequence[ItemChange], *, at: int) -> list[ItemOutcome]:
        """Make changes of items, told at instant `at`, in order and all or none of them; what came of each.

        Durable on return. What a change means beside what is stored already is told in `serving/store/item.py`.
        """
        ...

    async def items_since(self, revision: int, *, limit: int) -> list[StoredItem]:
        """The `limit` items that changed first after a revision (0: from the beginning), as they are now, in the order
        of their last change."""
        ...

    async def write_note(self, name: str, note: Note) -> None:
        """Everybody reads this under that name from now on; durable on return."""
        ...

    async def note(self, name: str) -> Note | None:
        """What was written last under a name, or None."""
        ...

    async def check(self) -> None:
        """Return if the store can be read at this moment; raise StoreError otherwise."""
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of files and connections."""
        ...
