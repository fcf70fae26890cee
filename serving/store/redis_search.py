"""Finding everything that Redis holds of a shopper.

There is no index from shoppers to what they saw or to events that are part of no history: such questions are rare, and
an index would cost every event and slate. So all events and slates are looked through, a thousand at a time and where
they are; others are answered in between. What `arrived` does not hold any more, because it was trimmed, is found in the
histories.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
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


async def rows_of(
    ask: Ask, prefix: str, sought: Sought, *, after: int = 0, enough: int | None = None
) -> AsyncIterator[Row]:
    """The events after a number that name who is sought, in the order of arrival; at most so many."""
    needles, last = _needles(sought), str(after)
    while enough is None or enough > 0:
        reached, found = await FIND_ROWS.run(ask, prefix, last, _AT_ONCE, *needles)
        if not reached:
            return
        last = reached.decode()
        for row in named_rows([int(number) for number in found[::2]], found[1::2], sought):
            if enough == 0:
                return
            yield row
            enough = None if enough is None else enough - 1


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


async def visitors_of(ask: Ask, prefix: str, shopper: Named) -> frozenset[str]:
    """The visitors that any event, link or slate names together with a user; of a visitor, themselves."""
    if shopper.kind != "user":
        return frozenset({shopper.id})
    user = Sought.of(shopper, frozenset())
    linked = await ask("ZRANGE", f"{prefix}visitors:{shopper.id}", 0, -1)
    found: set[str | None] = {link.decode().split(":", 1)[1] for link in linked}
    found.update(row.event.anonymous_id for row in await acts_of(ask, prefix, user))
    found.update([row.event.anonymous_id async for row in rows_of(ask, prefix, user)])
    found.update([slate.exposure.anonymous_id async for slate in slates_of(ask, prefix, user)])
    return frozenset(visitor for visitor in found if visitor is not None)


async def held(ask: Ask, prefix: str, shopper: Named, *, after: int, limit: int) -> Held:
    """What there is of a shopper; acts that were trimmed from `arrived` have the number 0 and are in the first page."""
    visitors = await visitors_of(ask, prefix, shopper)
    sought = Sought.of(shopper, visitors)
    user = shopper.id if shopper.kind == "user" else None

    def is_theirs(one: Event | Exposure) -> bool:
        return one.user_id == user if one.user_id is not None else one.anonymous_id in visitors

    events: list[Arrival] = []
    if after == 0:
        rows = [row async for row in rows_of(ask, prefix, sought)]
        known = {row.text for row in rows}
        trimmed = {row.text: row for row in await acts_of(ask, prefix, sought) if row.text not in known}
        events = [Arrival(0, row.event) for row in trimmed.values() if is_theirs(row.event)]
        page = [row for row in rows if is_theirs(row.event)][:limit]
    else:
        page = []
        async for row in rows_of(ask, prefix, sought, after=after):
            if is_theirs(row.event):
                page.append(row)
            if len(page) == limit:
                break
    events += [Arrival(row.number, row.event) for row in page]
    ordered = tuple(sorted(visitors))
    if after > 0:
        return Held(ordered, tuple(events))
    slates = [slate.exposure async for slate in slates_of(ask, prefix, sought) if is_theirs(slate.exposure)]
    slates.sort(key=lambda exposure: (exposure.at, exposure.recommendation_id))
    return Held(ordered, tuple(events), tuple(slates), tuple(await _links(ask, prefix, user, ordered)))


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
