"""The shared store: Redis 7 or later, or Valkey, for several machines. One primary, not a Redis Cluster.

- **Durable.** An event is acknowledged only after Redis answered, and Redis answers as its own settings say: with
  `appendonly yes` and `appendfsync always` once the event is on its disk, with `everysec` up to a second before (two
  under load). `durability` says which of them is needed; a server that keeps less is refused when it is connected to,
  and `durability=none` takes any, with a warning. Memory must not be freed by eviction: `maxmemory-policy noeviction`.
  Replicas of the server are not waited for: one that takes over may lack the latest events, as below.
- **In order.** One script takes in the events of a call (a thousand at a time), all or none. It numbers them, so
  numbers have no gaps and follow the order in which events became durable: Redis runs one script at a time, logs it as
  one transaction, and answers nobody, reader or writer, before that is on the disk (`always`). A server that lost its
  latest events gives their numbers again, to others: then the exporter finds that its last file does not fit and writes
  nothing. One that lost everything starts with another first event, which is another store to the exporter. Revisions
  of items are as numbers; whoever asks after one that was lost is told everything again.
- **Quick.** A history is one round trip: a script resolves who the shopper is, and the rows it returns are parsed at
  once. Concurrent requests share a connection and do not wait for each other (`serving/store/redis_line.py`).
- **Bounded.** Event ids are known for `known_days`, slates for `exposure_days`; with `shopper_days` a user or visitor
  is forgotten that long after their last event came. `arrived` keeps every event until it is trimmed; once exported up
  to number N (the last number in the name of the last file): `redis-cli XTRIM attune:arrived MINID N`.
- **Erasure.** Whoever is erased is told by HMACs of their ids, which an append gives along once anybody ever was. The
  erasure itself looks at all events and slates, in pages of a thousand between which others are answered, copies the
  stream without what goes (memory for a second `arrived` is needed for as long; trim what was exported), and has the
  server write its append-only file and its dump anew (`redis_files.py` tells what that leaves).
- **Backup.** `redis-cli -h HOST --rdb FILE`, the password in REDISCLI_AUTH, writes a consistent copy while the service
  runs (as BGSAVE does on the server's own disk). To restore it, start an empty server with
  `--appendonly no --dir FOLDER --dbfilename FILE`, then `CONFIG SET appendonly yes` and
  `CONFIG SET appendfsync always`, and put both into its configuration file. A copy of the server's `appendonlydir`
  does, too, taken while no rewrite runs (`CONFIG SET auto-aof-rewrite-percentage 0`).

https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
"""

import logging
from collections.abc import Sequence
from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from recsys.errors import ConfigError, StoreError
from recsys.event import Event
from recsys.log.erase import Named
from recsys.log.erasures import Erasures
from serving.store import redis_erasing, redis_items, redis_search
from serving.store.erasure import left_of, unnamed
from serving.store.item import ItemChange, ItemOutcome, StoredItem
from serving.store.protocol import Arrival, Exposure, Forgotten, Held, Known, Note, Place, Shown
from serving.store.redis_erased import Sieve
from serving.store.redis_erasing import Erasing
from serving.store.redis_line import Line
from serving.store.redis_row import (
    agreed_of,
    arguments_of,
    columns_of,
    decode,
    encode,
    events_of,
    exposure_of,
    exposure_text,
    in_order,
)
from serving.store.redis_schema import RANKS, Durability, prepare
from serving.store.redis_script import APPEND, EXPOSE, HISTORY, Ask
from serving.store.redis_trouble import explained

_log = logging.getLogger("attune.store")
_PAGE = 1_000
"""How many events travel in one go; Redis does nothing else meanwhile, for some milliseconds."""
_DAY_S = 86_400


class RedisStore:
    """An `OnlineStore` in Redis. Nothing is connected before `open`.

    Args:
        url: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, `rediss://` for TLS, `unix://PATH`.
        prefix: what all keys begin with; stores of different prefixes share a server and nothing else.
        durability: what the server must keep at least, see above.
        connect_timeout_s, timeout_s: how long to wait for a connection and for a reply.
        known_days: how long an event id is known, at least a day; None for good.
        shopper_days: how long after their last event came a user or visitor is forgotten; None never.
        exposure_days: how long a slate is kept; None for good.

    Raises:
        ConfigError: a setting that cannot work.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "attune",
        durability: Durability = "always",
        connect_timeout_s: float = 1.0,
        timeout_s: float = 2.0,
        known_days: float | None = 30,
        shopper_days: float | None = None,
        exposure_days: float | None = 90,
    ) -> None:
        if durability not in RANKS:
            raise ConfigError(f"store.durability={durability} is not known; choose one of {', '.join(RANKS)}")
        if known_days is not None and known_days < 1:
            raise ConfigError(
                f"store.known_days={known_days} is too short, events are sent again for a day; use 1 or more"
            )
        try:
            self._pool = ConnectionPool.from_url(url, protocol=2, socket_timeout=None, driver_info=None)
            self._pool.make_connection()  # type: ignore[no-untyped-call] # refuses options that do not exist
        except (ValueError, TypeError, RedisError):  # the message may hold the password
            raise ConfigError("store.url is not an address of Redis; use redis://HOST:PORT/DATABASE") from None
        settings = self._pool.connection_kwargs
        place = settings.get("path") or f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
        self.where = f"redis {place}/{settings.get('db', 0)}"
        self._prefix = f"{prefix}:"
        self._durability = durability
        self._known_s = 0 if known_days is None else int(known_days * _DAY_S)
        self._shopper_ms = 0 if shopper_days is None else int(shopper_days * _DAY_S * 1_000)
        self._exposure_ms = 0 if exposure_days is None else int(exposure_days * _DAY_S * 1_000)
        self._timeouts = (connect_timeout_s, timeout_s)
        self._lines: tuple[Line, Line] | None = None
        self._seen = False
        self._sieve = Sieve()

    @explained
    async def open(self) -> None:
        """Connect; refuse a server that is too old, keeps less than asked, or holds a later version."""
        if self._lines is not None:
            return
        connect_timeout_s, timeout_s = self._timeouts
        self._lines = reads, writes = (
            Line(self._pool.make_connection, self._greet, connect_timeout_s=connect_timeout_s, timeout_s=timeout_s),
            Line(self._pool.make_connection, self._greet, connect_timeout_s=connect_timeout_s, timeout_s=timeout_s),
        )
        try:
            await reads.connected()
            await writes.connected()
        except BaseException:
            await self.close()
            raise

    @explained
    async def append(self, events: Sequence[Event]) -> list[bool]:
        """True for each new event, False for a known id; durable on return. More than a thousand go one thousand after
        the other."""
        accepted: list[bool] = []
        for event in events[_PAGE:]:  # one that cannot be kept is refused before any of the others is
            arguments_of(event)
        for first in range(0, len(events), _PAGE):
            page = list(events[first : first + _PAGE])
            kept, reply = await self._sieve.told(page, left=left_of, tell=self._append)
            new = iter(reply)
            accepted += [is_kept and next(new) == 1 for is_kept in kept]
        return accepted

    @explained
    async def history(
        self, *, user_id: str | None, anonymous_id: str | None, limit: int, before: int | None = None
    ) -> list[Event]:
        """The `limit` latest things that the shopper did, oldest first."""
        rows, _ = await self._acts(user_id, anonymous_id, limit, before)
        return sorted(events_of(rows), key=in_order)[-limit:]

    @explained
    async def known(
        self, *, user_id: str | None, anonymous_id: str | None, limit: int, before: int | None = None
    ) -> Known:
        """What a history needs of the same, and what the shopper agrees to."""
        rows, statements = await self._acts(user_id, anonymous_id, limit, before)
        return Known(columns_of(rows, limit=limit), agreed_of(statements))

    @explained
    async def arrived(self, *, after: int, limit: int) -> list[Arrival]:
        """The next events after a number. The very first is kept until its shopper is erased, also where the
        others are trimmed: it is what tells this store from others."""
        found: list[Arrival] = []
        if after < 1 and (first := await self._read("GET", f"{self._prefix}first")) is not None:
            found.append(Arrival(1, events_of([first])[0]))
            after = 1
        while len(found) < limit:
            most = min(limit - len(found), _PAGE)
            page = await self._read("XRANGE", f"{self._prefix}arrived", f"({after}-0", "+", "COUNT", most)
            if not page:
                break
            numbers = [int(number.partition(b"-")[0]) for number, _ in page]
            found += map(Arrival, numbers, events_of([row for _, (_, row) in page]))
            after = numbers[-1]
        return found[:limit]

    @explained
    async def last_number(self) -> int:
        """The highest number ever given to an event."""
        return int(await self._read("GET", f"{self._prefix}number") or 0)

    @explained
    async def origin(self) -> str | None:
        """What tells this store from others."""
        return await Erasing(self._read, self._prefix).origin()

    @explained
    async def forget(self, shopper: Named, *, at: int) -> Forgotten:
        """Erase a shopper, then have the server write its files anew (`redis_erasing.py`, `redis_files.py`)."""
        return await Erasing(self._write, self._prefix).forget(shopper, at=at)

    def places(self, forgotten: Forgotten) -> tuple[Place, ...]:
        """The keys, and the server's files but for those that the receipt names."""
        return redis_erasing.places(forgotten)

    @explained
    async def erasures(self) -> Erasures:
        """Everybody who was ever erased."""
        return await Erasing(self._read, self._prefix).erasures()

    @explained
    async def held(self, shopper: Named, *, after: int, limit: int) -> Held:
        """What is known of a shopper; all events and slates are looked through (`redis_search.py`)."""
        return await redis_search.held(self._read, self._prefix, shopper, after=after, limit=limit)

    @explained
    async def record_exposures(self, exposures: Sequence[Exposure]) -> None:
        """Keep slates; durable on return."""
        await self._sieve.told(list(exposures), left=unnamed, tell=self._expose)

    @explained
    async def exposure(self, recommendation_id: str) -> Exposure | None:
        """A recorded slate, or None."""
        text = await self._read("GET", f"{self._prefix}exposure:{recommendation_id}")
        return None if text is None else exposure_of(text)

    @explained
    async def shown(self, *, after: int, limit: int) -> list[Shown]:
        """The next slates after a number."""
        found: list[Shown] = []
        while len(found) < limit:
            most = min(limit - len(found), _PAGE)
            page = await self._read("XRANGE", f"{self._prefix}shown", f"({after}-0", "+", "COUNT", most)
            if not page:
                break
            numbers = [int(number.partition(b"-")[0]) for number, _ in page]
            keys = [f"{self._prefix}exposure:{said[1].decode()}" for _, said in page]
            texts = await self._read("MGET", *keys)
            found += [Shown(at, exposure_of(text)) for at, text in zip(numbers, texts, strict=True) if text is not None]
            after = numbers[-1]
        return found

    @explained
    async def last_shown(self) -> int:
        """The highest number ever given to a slate."""
        return int(await self._read("GET", f"{self._prefix}shown_number") or 0)

    @explained
    async def change_items(self, changes: Sequence[ItemChange], *, at: int) -> list[ItemOutcome]:
        """What came of each change; durable on return."""
        return await redis_items.write(self._write, self._prefix, changes, at=at)

    @explained
    async def items_since(self, revision: int, *, limit: int) -> list[StoredItem]:
        """The next `limit` items by revision."""
        return await redis_items.since(self._read, self._prefix, revision, limit=limit)

    @explained
    async def write_note(self, name: str, note: Note) -> None:
        """Durable on return."""
        await self._write("HSET", f"{self._prefix}notes", name, encode([note.value, note.told_at]))

    @explained
    async def note(self, name: str) -> Note | None:
        """The latest of that name, or None."""
        text = await self._read("HGET", f"{self._prefix}notes", name)
        if text is None:
            return None
        value, told_at = decode(text.decode())
        return Note(value=value, told_at=told_at)

    @explained
    async def check(self) -> None:
        """Raise StoreError if Redis does not answer."""
        await self._read("EXISTS", f"{self._prefix}schema")

    async def close(self) -> None:
        """Wait for what is under way and hang up."""
        lines, self._lines = self._lines, None
        for line in lines or ():
            await line.close()

    async def _acts(self, user_id: str | None, anonymous_id: str | None, limit: int, before: int | None) -> Any:
        """The rows of the latest things that a shopper did, in no order, and what they said of what they agree to."""
        return await HISTORY.run(
            self._read,
            self._prefix,
            "" if user_id is None else f"={user_id}",
            "" if anonymous_id is None else f"={anonymous_id}",
            limit,
            "" if before is None else before,
        )

    async def _append(self, events: list[Event]) -> Any:
        flat = [
            argument
            for event in events
            for argument in (*arguments_of(event), *self._sieve.digests(event.user_id, event.anonymous_id))
        ]
        return await APPEND.run(self._write, self._prefix, self._known_s, self._shopper_ms, self._sieve.knows, *flat)

    async def _expose(self, exposures: list[Exposure]) -> Any:
        flat = [
            part
            for one in exposures
            for part in (
                one.recommendation_id,
                exposure_text(one),
                *self._sieve.digests(one.user_id, one.anonymous_id),
            )
        ]
        return await EXPOSE.run(self._write, self._prefix, self._exposure_ms, self._sieve.knows, *flat)

    @property
    def _read(self) -> Ask:
        return self._opened[0].ask

    @property
    def _write(self) -> Ask:
        """Beside the reads, which never wait for the disk behind a write."""
        return self._opened[1].ask

    @property
    def _opened(self) -> tuple[Line, Line]:
        if self._lines is None:
            raise StoreError("it is not open")
        return self._lines

    async def _greet(self, ask: Ask) -> None:
        empty = await prepare(ask, prefix=self._prefix, durability=self._durability)
        if empty and self._seen:
            _log.error("%s came back without anything that was in it; put back a copy if there is one", self.where)
        self._seen = True
