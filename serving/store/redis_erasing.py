"""Erasing a shopper from Redis; the rules: `serving/store/erasure.py`.

In steps, because all events and slates are looked through: first the ids are marked, from when on nothing more of them
is taken in; then it is found whom else that means; then slates go; then, in one step, every event with histories and
links; then the receipt is kept; then the server writes its files anew (`redis_files.py`). Every step is whole, knows
what was done before, and may be repeated: whoever is killed in between is gone on for by whoever asks next. One erasure
at a time.
"""

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from recsys.errors import StoreError
from recsys.event import ACTS
from recsys.log.erase import Named
from recsys.log.erasures import Erasures, Kind, digest_of, entry_of
from recsys.log.manifest import Erased
from serving.store import redis_files, redis_search
from serving.store.erasure import Sought, left_of
from serving.store.protocol import Exposure, Forgotten, Place
from serving.store.redis_row import encode, events_of, exposure_text, row_of
from serving.store.redis_script import (
    ERASE_COPY,
    ERASE_EVENTS,
    ERASE_PLAN,
    ERASE_SLATES,
    ERASE_UNLOCK,
    Argument,
    Ask,
)
from serving.store.redis_search import Found, Row, Slate

_PAGE = 1_000
_LOCK_MS = 15_000
_LOCK_WAIT_S = 30.0
_KEEP = b"="
_NOTHING = b""


@dataclass(frozen=True, slots=True)
class Erasing:
    """Erases from the keys of one prefix."""

    ask: Ask
    prefix: str

    async def forget(self, shopper: Named, *, at: int) -> Forgotten:
        """Erase a shopper; a repeat gives the first receipt, after a failure it goes on."""
        key = await self._key()
        digest = digest_of(key, shopper.kind, shopper.id)
        if await self._receipt(digest) is None:
            async with self._alone() as token:
                if await self._receipt(digest) is None:
                    await self._swept(shopper, token, key=key, digest=digest, at=at)
        return await self._cleaned(digest)

    async def erasures(self) -> Erasures:
        """Everybody who was ever erased."""
        found = await self.ask("HGETALL", f"{self.prefix}erased")
        entries = [Erased(**json.loads(text), digest=digest.decode()) for digest, text in _pairs(found)]
        return Erasures(tuple(sorted(entries, key=lambda entry: (entry.kind, entry.digest))))

    async def origin(self) -> str | None:
        """What tells this store from others, also when its first event is erased."""
        kept = await self.ask("GET", f"{self.prefix}origin")
        if kept is not None:
            return str(kept, "ascii")
        first = await self.ask("GET", f"{self.prefix}first")
        if first is None:
            return None
        return hashlib.sha256(events_of([first])[0].event_id.encode()).hexdigest()[:12]

    async def _key(self) -> str:
        """The key of all HMACs of this store, drawn when the first shopper is erased."""
        drawn = secrets.token_hex(32)
        before = await self.ask("SET", f"{self.prefix}erasing_key", drawn, "NX", "GET")
        return drawn if before is None else str(before, "ascii")

    async def _swept(self, shopper: Named, token: str, *, key: str, digest: str, at: int) -> None:
        count = f"{self.prefix}erasing:{digest}"
        await self._mark(key, shopper.kind, [shopper.id])
        known = await self.ask("HGET", count, "visitors")

        async def expecting(visitors: frozenset[str]) -> None:
            await self.ask("HSET", count, "visitors", encode(sorted(visitors)))
            await self._mark(key, "anonymous", visitors)

        found = await redis_search.found_of(
            self.ask, self.prefix, shopper, visitors=frozenset(json.loads(known or "[]")), expecting=expecting
        )
        sought = Sought.of(shopper, found.visitors)
        await self._slates(found.slates, sought, token, count=count)
        if not await self.ask("HEXISTS", count, "events"):
            await self._events(found, sought, token, count=count)
        done = {name.decode(): number for name, number in _pairs(await self.ask("HGETALL", count))}
        receipt = Forgotten(
            digest=digest,
            kind=shopper.kind,
            at=at,
            visitors=len(found.visitors) if shopper.kind == "user" else 0,
            events=int(done["events"]),
            events_blanked=int(done["events_blanked"]),
            links=int(done["links"]),
            exposures=int(done.get("exposures", 0)),
            exposures_blanked=int(done.get("exposures_blanked", 0)),
        )
        await self._keep(receipt, since=None, is_clean=False)

    async def _mark(self, key: str, kind: Kind, ids: Sequence[str] | frozenset[str]) -> None:
        """From now on nothing more of them is taken in."""
        flat: list[Argument] = []
        for one in ids:
            entry = asdict(entry_of(key, kind, one))
            flat += [entry.pop("digest"), json.dumps(entry)]
        if flat:
            await self.ask("HSET", f"{self.prefix}erased", *flat)

    async def _slates(self, slates: Sequence[Slate], sought: Sought, token: str, *, count: str) -> None:
        for first in range(0, len(slates), _PAGE):
            page = slates[first : first + _PAGE]
            flat = [part for one in page for part in (one.key, one.text, _left_of_slate(one.exposure, sought))]
            await ERASE_SLATES.run(self.ask, self.prefix, token, count, *flat)

    async def _events(self, found: Found, sought: Sought, token: str, *, count: str) -> None:
        first = await self.ask("GET", f"{self.prefix}first")
        begun = [] if first is None else redis_search.named_rows([1], [first], sought)
        plan = _Plan.of([*found.rows, *found.acts, *begun], sought)
        changes = [(row.number, plan.left[row.text]) for row in found.rows]
        copied = await self._copied(changes, token) if changes else ""
        if (origin := await self.origin()) is not None:
            await self.ask("SET", f"{self.prefix}origin", origin, "NX")
        people = (sorted(sought.users), sorted(sought.visitors), sorted(plan.gone))
        await ERASE_EVENTS.run(
            self.ask,
            self.prefix,
            token,
            count,
            copied,
            plan.left.get(first, _KEEP),
            len(plan.gone),
            len(plan.blanked),
            *map(len, people),
            *(one for ids in people for one in ids),
            *(part for act in plan.acts for part in act),
        )

    async def _copied(self, changes: Sequence[tuple[int, bytes]], token: str) -> str:
        """Copy the stream of events with these changes, but for its end; the number up to which that is done."""
        begin = "1"
        for at in range(0, len(changes), _PAGE):
            flat = [part for change in changes[at : at + _PAGE] for part in change]
            await ERASE_PLAN.run(self.ask, self.prefix, token, begin, *flat)
            begin = ""
        last, many = "0", _PAGE
        while many == _PAGE:
            reached, many = await ERASE_COPY.run(self.ask, self.prefix, token, last, _PAGE)
            last = str(reached, "ascii")
        return last

    async def _receipt(self, digest: str) -> tuple[Forgotten, redis_files.Mark | None, bool] | None:
        """The receipt, since when files have to be written anew, and whether that was seen to."""
        text = await self.ask("HGET", f"{self.prefix}receipts", digest)
        if text is None:
            return None
        said, since, is_clean = json.loads(text)
        return Forgotten(**{**said, "remains": tuple(said["remains"])}), since, is_clean

    async def _keep(self, receipt: Forgotten, *, since: redis_files.Mark | None, is_clean: bool) -> None:
        text = json.dumps([asdict(receipt), since, is_clean])
        await self.ask("HSET", f"{self.prefix}receipts", receipt.digest, text)

    async def _cleaned(self, digest: str) -> Forgotten:
        """The receipt, once no file of the server holds the ids."""
        found = await self._receipt(digest)
        if found is None:
            raise StoreError("it lost the receipt of an erasure that was just done; ask again")
        receipt, since, is_clean = found
        if is_clean:
            return receipt
        if since is None:
            await self.ask("UNLINK", f"{self.prefix}erasing:{digest}")
            since = await redis_files.mark(self.ask)
            await self._keep(receipt, since=since, is_clean=False)
        receipt = replace(receipt, remains=await redis_files.written_anew(self.ask, since))
        await self._keep(receipt, since=since, is_clean=True)
        return receipt

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[str]:
        """One erasure at a time, whichever replica it was asked of."""
        token, loop = secrets.token_hex(8), asyncio.get_running_loop()
        until = loop.time() + _LOCK_WAIT_S
        while await self.ask("SET", f"{self.prefix}erasing_lock", token, "NX", "PX", _LOCK_MS) is None:
            if loop.time() > until:
                raise StoreError("another shopper is being erased; ask again in a minute")
            await asyncio.sleep(0.05)
        renewing = asyncio.create_task(self._renew(token))
        try:
            yield token
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
            await ERASE_UNLOCK.run(self.ask, self.prefix, token, 0)

    async def _renew(self, token: str) -> None:
        while True:
            await asyncio.sleep(_LOCK_MS / 5_000)
            await ERASE_UNLOCK.run(self.ask, self.prefix, token, _LOCK_MS)


def places(forgotten: Forgotten) -> tuple[Place, ...]:
    """Where the keys, and the files that could be written anew, had something of an erased shopper."""
    files = () if forgotten.remains else (Place("append-only file"), Place("dump"))
    return (
        Place("keys arrived, first, ids", forgotten.events, forgotten.events_blanked),
        Place("keys user:ID, visitor:ID"),
        Place("keys told:ID, changes:ID, visitors:ID", forgotten.links),
        Place("keys consents-of-user:ID, consents-of-visitor:ID"),
        Place("keys exposure:ID", forgotten.exposures, forgotten.exposures_blanked),
        *files,
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """What becomes of events.

    Attributes:
        left: rows from now on by rows as they are, empty where nothing is left.
        gone: ids of events of which nothing is left.
        blanked: ids of events that lose the visitor.
        acts: user, instant, row and row from now on of blanked ones that are part of a history.
    """

    left: dict[bytes | None, bytes]
    gone: frozenset[str]
    blanked: frozenset[str]
    acts: tuple[tuple[str, int, bytes, bytes], ...]

    @classmethod
    def of(cls, rows: Sequence[Row], sought: Sought) -> "_Plan":
        left = {row.text: left_of(row.event, sought.has) for row in rows}
        by_text = {row.text: row.event for row in rows}
        texts: dict[bytes | None, bytes] = {
            text: _NOTHING if event is None else row_of(event) for text, event in left.items()
        }
        acts = tuple(
            (str(event.user_id), event.occurred_at, text, row_of(event))
            for text, event in left.items()
            if event is not None and event.type in ACTS
        )
        gone = frozenset(by_text[text].event_id for text, event in left.items() if event is None)
        blanked = frozenset(by_text[text].event_id for text, event in left.items() if event is not None)
        return cls(texts, gone, blanked, acts)


def _left_of_slate(exposure: Exposure, sought: Sought) -> str:
    if sought.has("user", exposure.user_id) or exposure.user_id is None:
        return ""
    return exposure_text(replace(exposure, anonymous_id=None))


def _pairs(flat: Sequence[bytes]) -> list[tuple[bytes, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
