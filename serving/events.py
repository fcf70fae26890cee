"""Listening: event -> validate -> de-duplicate -> durable append; the very next answer sees it.

Decisions worth knowing:

- An event is acknowledged only after the store has it durably. Sent again, it is a `duplicate`, a success too.
- An item the catalogue does not know is accepted, with a note: catalogues lag behind shops, and the event becomes
  useful with the next training run. Until then it cannot influence an answer.
- An unknown event type is rejected: nothing downstream could ever know what it means.
- Client clocks are wrong. Up to five minutes ahead counts as now (otherwise the next answer, which looks strictly
  backwards, would not see the event); further ahead, or before 1990, is rejected as a mistake.
"""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import ValidationError

from recsys.clock import MINUTE, SECOND, Clock, parse_instant, to_datetime, to_instant
from recsys.event import Event, EventType
from serving.api.event import EventIn, Receipt, Receipts
from serving.api.problem import TOO_MANY, errors_of, words
from serving.store.protocol import OnlineStore
from serving.watching.meter import Meter

FUTURE_TOLERANCE = 5 * MINUTE


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms events are taken in: the first instant they may be from, what each of them must say, and whether
    they count as what shoppers do now."""

    earliest: int
    needed: tuple[str, ...] = ()
    is_live: bool = True


LIVE = Terms(parse_instant("1990-01-01"))
"""Earlier is a clock that nobody set."""
PAST = Terms(parse_instant("1970-01-02"), ("event_id", "occurred_at"), is_live=False)
"""Somebody else's records of years: each names itself, so that it can be sent again, and its instant. The first day of
1970 is what columns of times say that hold nothing."""
_NEEDS = {
    EventType.SEARCH: ("query",),
    EventType.OFFER: ("offer_id",),
    EventType.REDEEM: ("offer_id",),
    EventType.LINK: ("user_id", "anonymous_id"),
    EventType.UNLINK: ("user_id", "anonymous_id"),
    EventType.CONSENT: ("consent",),
}
"""What an event of each type must say; of every other type, which item."""


class Numbered(Protocol):
    """Who says whether an item is known."""

    def unknown(self, item_id: str) -> str | None:
        """Who does not know the item: "the catalogue", or "the model" where it came later; None where both do."""
        ...


class Listening:
    """Takes events in; holds no state of its own, so any number of replicas may listen at once."""

    def __init__(self, store: OnlineStore, offer: Numbered, clock: Clock, *, meter: Meter | None = None) -> None:
        self._store = store
        self._meter = meter or Meter()
        self._offer = offer
        self._clock = clock

    def swap(self, offer: Numbered) -> None:
        """Another assortment says from now on what is known."""
        self._offer = offer

    async def hear(self, offered: Sequence[object], terms: Terms = LIVE, *, attempt: str | None = None) -> Receipts:
        """A receipt for each offered JSON value, in order; raises StoreError if nothing could be made durable.

        Events without an id get one that follows from `attempt` and their place, where it is given: then a request that
        a proxy repeats, because the replica died before it answered, is recognised.
        """
        now = self._clock.now()
        receipts: list[Receipt] = []
        events: list[Event] = []
        for place, value in enumerate(offered):
            try:
                event, note = self._understood(value, now, terms, made_up=_name(attempt, place))
            except ValueError as refusal:
                receipts.append(Receipt(event_id=_id_in(value), status="rejected", reason=_reason(refusal)))
            else:
                events.append(event)
                receipts.append(Receipt(event_id=event.event_id, status="accepted", note=note))
        started = time.perf_counter()
        fresh = iter(await self._store.append(events) if events else ())
        took_s = time.perf_counter() - started
        results = [
            receipt if receipt.status == "rejected" or next(fresh) else _duplicate(receipt) for receipt in receipts
        ]
        counts: Counter[str] = Counter(receipt.status for receipt in results)
        if terms.is_live:
            self._meter.heard(counts, took_s)
        else:
            self._meter.backfilled(counts)
        return Receipts(
            accepted=counts["accepted"], duplicate=counts["duplicate"], rejected=counts["rejected"], results=results
        )

    def _understood(
        self, value: object, now: int, terms: Terms, *, made_up: Callable[[], str]
    ) -> tuple[Event, str | None]:
        offered = EventIn.model_validate(value)
        if offered.user_id is None and offered.anonymous_id is None:
            raise ValueError("user_id or anonymous_id is needed to know whose event this is")
        for name in (*_NEEDS.get(offered.type, ("item_id",)), *terms.needed):
            if getattr(offered, name) is None:
                raise ValueError(f"{_an(offered.type)} event needs {_an(name)}")
        occurred_at, notes = now, []
        if offered.occurred_at is not None:
            occurred_at = min(to_instant(offered.occurred_at), now)
            notes += _judge_time(to_instant(offered.occurred_at), now, terms)
        if offered.item_id is not None and (unknown := self._offer.unknown(offered.item_id)):
            notes.append(f"{unknown} does not know {offered.item_id!r} yet; until it does, answers ignore it")
        return _event(offered, occurred_at, made_up), "; ".join(notes) or None


def _name(attempt: str | None, place: int) -> Callable[[], str]:
    """What makes up the id of the event at that place of a request."""
    if attempt is None:
        return lambda: str(uuid.uuid4())
    return lambda: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{attempt} {place}"))


def _an(name: str) -> str:
    """The name with its article, by sound: a user, an unlink."""
    return f"{'an' if name[0] in 'aeio' or name.startswith('un') else 'a'} {name}"


def _judge_time(said: int, now: int, terms: Terms) -> list[str]:
    if said > now + FUTURE_TOLERANCE:
        raise ValueError(
            f"occurred_at {_written(said)} is more than 5 minutes ahead of the server's "
            f"{to_datetime(now).isoformat()}; check the sender's clock"
        )
    if said < terms.earliest:
        first = f"{to_datetime(terms.earliest):%Y-%m-%d}"
        raise ValueError(f"occurred_at {_written(said)} is before {first}; check the sender's clock")
    if said > now:
        return [f"occurred_at was {(said - now) / SECOND:.1f} s ahead of the server and counts as now"]
    return []


def _written(said: int) -> str:
    """An instant as people write it; an offset can carry it out of the calendar."""
    try:
        return to_datetime(said).isoformat()
    except OverflowError:
        return f"{said // SECOND} s from 1970"


def _event(offered: EventIn, occurred_at: int, made_up: Callable[[], str]) -> Event:
    return Event(
        event_id=offered.event_id or made_up(),
        type=offered.type,
        occurred_at=occurred_at,
        user_id=offered.user_id,
        anonymous_id=offered.anonymous_id,
        session_id=offered.session_id,
        channel=offered.channel,
        device=offered.device,
        store=offered.store,
        item_id=offered.item_id,
        quantity=offered.quantity,
        price=offered.price,
        list_price=offered.list_price,
        currency=offered.currency,
        query=offered.query,
        filters=None if offered.filters is None else tuple(offered.filters),
        rating=offered.rating,
        offer_id=offered.offer_id,
        placement=offered.placement,
        recommendation_id=offered.recommendation_id,
        position=offered.position,
        consent=None if offered.consent is None else tuple(offered.consent),
    )


def _duplicate(receipt: Receipt) -> Receipt:
    return receipt.model_copy(update={"status": "duplicate", "note": None})


def _reason(refusal: ValueError) -> str:
    if not isinstance(refusal, ValidationError):
        return str(refusal)
    faults = errors_of(refusal)[:5]
    told = [f"{'.'.join(str(part)[:64] for part in fault['loc']) or 'event'}: {words(fault)}" for fault in faults]
    return "; ".join(told) or TOO_MANY


def _id_in(value: object) -> str | None:
    said = value.get("event_id") if isinstance(value, dict) else None
    return said[:256] if isinstance(said, str) else None
