"""Finding everything that Redis holds of a shopper.

There is no index from shoppers to what they saw or to events that are part of no history: such questions are rare, and
an index would cost every event and slate. So all events and slates are looked through, a thousand at a time and where
they are; others are answered in between. What `arrived` does not hold any more, because it was trimmed, is found in the
histories.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from recsys.event import Event
from recsys.log.erase import Named
from serving.store.erasure import Sought
from serving.store.protocol import Arrival, Exposure, Held
from serving.store.redis_row import encode, events_of, exposure_of
from serving.store.redis_script import FIND_ROWS, Ask

_AT_ONCE = 1_000
_USER = re.compile(rb"(.*?)\0(?!\xff)", re.DOTALL)
"""The user in a row of `told`, in which a zero inside of an id is followed by \\xff."""
_SPECIAL = re.compile(r"([*?\[\]\\^-])")
"""What patterns of SCAN mean otherwise."""


@dataclass(frozen=True, slots=True)
class Row:
    """An event as it lies in Redis; `number` is 0 where it is in a history only."""

    number: int
    text: bytes
    event: Event


@dataclass(frozen=True, slots=True)
class Slate:
    """A slate as it lies in Redis."""

    key: bytes
    text: bytes
    exposure: Exposure


@dataclass(frozen=True, slots=True)
class Found:
    """All of a shopper: their visitors, events in the order of arrival, acts in histories (some of them the same), and
    slates."""

    visitors: frozenset[str]
    rows: tuple[Row, ...]
    acts: tuple[Row, ...]
    slates: tuple[Slate, ...]

    def visitors_of(self, user: str) -> frozenset[str]:
        """Whom anything found names together with a user."""
        said: list[Event | Exposure] = [
            *(row.event for row in (*self.rows, *self.acts)),
            *(slate.exposure for slate in self.slates),
        ]
        return frozenset(one.anonymous_id for one in said if one.user_id == user and one.anonymous_id is not None)


async def found_of(
    ask: Ask,
    prefix: str,
    shopper: Named,
    *,
    visitors: frozenset[str] = frozenset(),
    expecting: Callable[[frozenset[str]], Awaitable[None]] | None = None,
) -> Found:
    """Everything of a shopper. For a user, that is of all visitors whom any event, link or slate names with them.

    Args:
        ask, prefix: where.
        shopper: who.
        visitors: those of a user who are known from before.
        expecting: is told of the visitors before anything is looked through for them; again where more were found.
    """
    if shopper.kind == "user":
        linked = await ask("ZRANGE", f"{prefix}visitors:{shopper.id}", 0, -1)
        own = await acts_of(ask, prefix, Sought.of(shopper, frozenset()))
        visitors = visitors.union(
            (link.decode().split(":", 1)[1] for link in linked),
            (row.event.anonymous_id for row in own if row.event.anonymous_id is not None),
        )
    else:
        visitors = frozenset({shopper.id})
    while True:
        if expecting is not None:
            await expecting(visitors)
        sought = Sought.of(shopper, visitors)
        found = Found(
            visitors,
            tuple([row async for row in rows_of(ask, prefix, sought)]),
            tuple(await acts_of(ask, prefix, sought)),
            tuple([slate async for slate in slates_of(ask, prefix, sought)]),
        )
        named = found.visitors_of(shopper.id) if shopper.kind == "user" else visitors
        if named <= visitors:
            return found
        visitors |= named


async def rows_of(ask: Ask, prefix: str, sought: Sought) -> AsyncIterator[Row]:
    """The events that name who is sought, in the order of arrival."""
    needles, last = _needles(sought), "0"
    while True:
        reached, found = await FIND_ROWS.run(ask, prefix, last, _AT_ONCE, *needles)
        if not reached:
            return
        last = reached.decode()
        for row in named_rows([int(number) for number in found[::2]], found[1::2], sought):
            yield row


async def acts_of(ask: Ask, prefix: str, sought: Sought) -> list[Row]:
    """The acts that name who is sought, in their histories and in those of others who shared a visitor with them."""
    told = await _each(ask, ("ZRANGE", f"{prefix}told:", 0, -1), sought.visitors)
    others = {_user_told(text) for texts in told for text in texts} - sought.users
    texts = [
        *await _each(ask, ("ZRANGE", f"{prefix}visitor:", 0, -1), sought.visitors),
        *await _each(ask, ("ZRANGE", f"{prefix}user:", 0, -1), sought.users),
        *await _each(ask, ("ZRANGE", f"{prefix}user:", 0, -1), others),
    ]
    needles = _needles(sought)
    found = [text for some in texts for text in some if any(needle in text for needle in needles)]
    return named_rows([0] * len(found), found, sought)


async def slates_of(ask: Ask, prefix: str, sought: Sought) -> AsyncIterator[Slate]:
    """The slates that name who is sought, in no order."""
    needles, cursor = _needles(sought), b"0"
    pattern = _SPECIAL.sub(r"\\\1", prefix) + "exposure:*"
    while True:
        cursor, keys = await ask("SCAN", cursor, "MATCH", pattern, "COUNT", _AT_ONCE)
        for key, text in zip(keys, await ask("MGET", *keys) if keys else (), strict=True):
            if text is not None and any(needle in text for needle in needles):
                exposure = exposure_of(text)
                if sought.has("user", exposure.user_id) or sought.has("anonymous", exposure.anonymous_id):
                    yield Slate(key, text, exposure)
        if cursor == b"0":
            return


async def held(ask: Ask, prefix: str, shopper: Named, *, after: int, limit: int) -> Held:
    """What there is of a shopper; acts that were trimmed from `arrived` have the number 0 and are in the first page."""
    found = await found_of(ask, prefix, shopper)
    user = shopper.id if shopper.kind == "user" else None

    def is_theirs(one: Event | Exposure) -> bool:
        return one.user_id == user if one.user_id is not None else one.anonymous_id in found.visitors

    numbered = [Arrival(row.number, row.event) for row in found.rows if row.number > after and is_theirs(row.event)]
    visitors, page = tuple(sorted(found.visitors)), numbered[:limit]
    if after > 0:
        return Held(visitors, tuple(page))
    known = {row.text for row in found.rows}
    trimmed = {row.text: row.event for row in found.acts if row.text not in known and is_theirs(row.event)}
    slates = [slate.exposure for slate in found.slates if is_theirs(slate.exposure)]
    slates.sort(key=lambda exposure: (exposure.at, exposure.recommendation_id))
    return Held(
        visitors,
        (*(Arrival(0, event) for event in trimmed.values()), *page),
        tuple(slates),
        tuple(await _links(ask, prefix, user, visitors)),
    )


async def _links(ask: Ask, prefix: str, user: str | None, visitors: Sequence[str]) -> list[tuple[str, int, str | None]]:
    found = []
    changes = await _each(ask, ("LRANGE", f"{prefix}changes:", 0, -1), visitors)
    for visitor, entries in zip(visitors, changes, strict=True):
        for entry in entries:
            at, _, who = entry.decode().partition("=")
            found.append((visitor, int(at.rstrip("!")), who if who and user in (None, who) else None))
    return found


async def _each(ask: Ask, command: tuple[str, str, int, int], names: Iterable[str]) -> list[list[Any]]:
    """One command for each name, which is added to its key."""
    verb, key, *rest = command
    return list(await asyncio.gather(*(ask(verb, f"{key}{name}", *rest) for name in names)))


def _user_told(text: bytes) -> str:
    found = _USER.match(text)
    return "" if found is None else found[1].replace(b"\0\xff", b"\0").decode()


def _needles(sought: Sought) -> list[bytes]:
    """The ids as they stand in rows and slates."""
    return [encode(one).encode() for one in sorted(sought.users | sought.visitors)]


def named_rows(numbers: Sequence[int], texts: Sequence[bytes], sought: Sought) -> list[Row]:
    """Those of the rows that name who is sought."""
    rows = map(Row, numbers, texts, events_of(texts))
    return [
        row for row in rows if sought.has("user", row.event.user_id) or sought.has("anonymous", row.event.anonymous_id)
    ]
