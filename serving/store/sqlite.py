"""The embedded store: one SQLite file in WAL mode, shared by all replicas on one machine.

Writes go through one thread per replica that commits together whatever arrived meanwhile (group commit); reads go
through another and never wait for a writer. Durability: with `durability="process"` an acknowledged event survives the
death of any process (`kill -9` of the replica, of Ray), because it has reached the operating system; with
`durability="fsync"` it also survives the loss of power, at the price of one disk flush per commit.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recsys.errors import StoreError
from recsys.event import Event
from recsys.log.erase import Named
from recsys.log.erasures import Erasures
from serving.batching import Batching
from serving.store import acts, erasing, items, notes, schema
from serving.store import exposures as slates
from serving.store.identity import FAR_OFF
from serving.store.item import ItemChange, ItemOutcome, StoredItem
from serving.store.protocol import Arrival, Exposure, Forgotten, Held, Known, Note, Place, Shown
from serving.store.sqlite_scrub import scrub

BUSY_TIMEOUT_S = 5.0
_SYNCHRONOUS = {"process": "NORMAL", "fsync": "FULL"}
_PAGE = 4096
_REMEDIES = {
    sqlite3.SQLITE_FULL: "the disk is full (or store.max_mib is reached); free some space",
    sqlite3.SQLITE_READONLY: "the file is read-only; make it and its folder writable or choose another store.path",
    sqlite3.SQLITE_CANTOPEN: "make the folder writable or choose another store.path",
    sqlite3.SQLITE_PERM: "make the folder writable or choose another store.path",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; put back a copy or move it away to start with an empty store",
    sqlite3.SQLITE_NOTADB: "the file is not an event store; choose another store.path",
    sqlite3.SQLITE_BUSY: f"another process held the write lock for more than {BUSY_TIMEOUT_S:g} s; try again",
    sqlite3.SQLITE_IOERR: "the disk reports an error; see the system log",
}

Work = Callable[[sqlite3.Connection], object]


@dataclass(frozen=True, slots=True)
class _Connected:
    """What exists while the store is open."""

    connections: tuple[sqlite3.Connection, sqlite3.Connection]
    write: Batching[Work, object]
    read: Batching[Work, object]


class SqliteStore:
    """An `OnlineStore` in one file. Nothing touches the disk before `open`."""

    def __init__(
        self,
        path: str | Path,
        *,
        durability: Literal["process", "fsync"] = "process",
        max_mib: int | None = None,
    ) -> None:
        self.path = Path(path).absolute()
        self._synchronous = _SYNCHRONOUS[durability]
        self._max_pages = None if max_mib is None else max_mib * 1024 * 1024 // _PAGE
        self._connected: _Connected | None = None

    async def open(self) -> None:
        """Create the file and its folder if they are not there, refuse a damaged or unwritable one."""
        if self._connected is None:
            self._connected = await asyncio.to_thread(self._connect)

    async def append(self, events: Sequence[Event]) -> list[bool]:
        """True for each new event, False for a known id; durable on return."""
        accepted: list[bool] = []

        def work(connection: sqlite3.Connection) -> None:
            accepted[:] = schema.insert(connection, events)

        await self._open.write(work)
        return accepted

    async def history(
        self, *, user_id: str | None, anonymous_id: str | None, limit: int, before: int | None = None
    ) -> list[Event]:
        """The `limit` latest things that the shopper did, oldest first."""
        found: list[list[Event]] = []
        until = FAR_OFF if before is None else before

        def work(connection: sqlite3.Connection) -> None:
            found[:] = [acts.history(connection, user_id=user_id, anonymous_id=anonymous_id, before=until, limit=limit)]

        await self._open.read(work)
        return found[0]

    async def known(
        self, *, user_id: str | None, anonymous_id: str | None, limit: int, before: int | None = None
    ) -> Known:
        """What a history needs of the same, and what the shopper agrees to."""
        found: list[Known] = []

        def work(connection: sqlite3.Connection) -> None:
            until = FAR_OFF if before is None else before
            found[:] = [acts.known(connection, user_id=user_id, anonymous_id=anonymous_id, before=until, limit=limit)]

        await self._open.read(work)
        return found[0]

    async def arrived(self, *, after: int, limit: int) -> list[Arrival]:
        """The next events after a number. SQLite has one writer at a time and gives it the next number, so numbers
        follow the order of commits."""
        found: list[Arrival] = []
        await self._open.read(lambda connection: found.extend(schema.arrived(connection, after=after, limit=limit)))
        return found

    async def last_number(self) -> int:
        """The highest number ever given to an event."""
        found: list[int] = []
        await self._open.read(lambda connection: found.append(erasing.last_number(connection)))
        return found[0]

    async def origin(self) -> str | None:
        """What tells this store from others."""
        found: list[str | None] = []
        await self._open.read(lambda connection: found.append(erasing.origin_of(connection)))
        return found[0]

    async def forget(self, shopper: Named, *, at: int) -> Forgotten:
        """Erase a shopper, then see to it that no page of the file or its log holds them (`sqlite_scrub.py`)."""
        found: list[tuple[Forgotten, frozenset[str], bool]] = []

        def work(connection: sqlite3.Connection) -> None:
            found[:] = [erasing.forget(connection, shopper, at=at)]

        await self._open.write(work)
        [(receipt, ids, is_clean)] = found
        if not is_clean:
            try:
                await asyncio.to_thread(scrub, self.path, ids, wait_s=BUSY_TIMEOUT_S)
            except (OSError, sqlite3.Error) as failure:
                raise self._explained(failure) from failure
            await self._open.write(lambda connection: erasing.cleaned(connection, receipt.digest))
        return receipt

    def places(self, forgotten: Forgotten) -> tuple[Place, ...]:
        """The tables, and the files that they are in."""
        return (*erasing.places(forgotten), Place("pages of the file"), Place("write-ahead log"))

    async def erasures(self) -> Erasures:
        """Everybody who was ever erased."""
        found: list[Erasures] = []
        await self._open.read(lambda connection: found.append(erasing.erasures(connection)))
        return found[0]

    async def held(self, shopper: Named, *, after: int, limit: int) -> Held:
        """What is known of a shopper."""
        found: list[Held] = []
        await self._open.read(
            lambda connection: found.append(schema.held(connection, shopper, after=after, limit=limit))
        )
        return found[0]

    async def record_exposures(self, exposures: Sequence[Exposure]) -> None:
        """Keep slates; durable on return."""
        await self._open.write(lambda connection: slates.write(connection, exposures))

    async def exposure(self, recommendation_id: str) -> Exposure | None:
        """A recorded slate, or None."""
        found: list[Exposure | None] = []
        await self._open.read(lambda connection: found.append(slates.read(connection, recommendation_id)))
        return found[0]

    async def shown(self, *, after: int, limit: int) -> list[Shown]:
        """The next slates after a number."""
        found: list[Shown] = []
        await self._open.read(lambda connection: found.extend(slates.since(connection, after=after, limit=limit)))
        return found

    async def last_shown(self) -> int:
        """The highest number ever given to a slate."""
        found: list[int] = []
        await self._open.read(lambda connection: found.append(slates.last_number(connection)))
        return found[0]

    async def change_items(self, changes: Sequence[ItemChange], *, at: int) -> list[ItemOutcome]:
        """What came of each change; durable on return."""
        outcomes: list[ItemOutcome] = []

        def work(connection: sqlite3.Connection) -> None:
            outcomes[:] = items.write(connection, changes, at=at)

        await self._open.write(work)
        return outcomes

    async def items_since(self, revision: int, *, limit: int) -> list[StoredItem]:
        """The next `limit` items by revision."""
        found: list[StoredItem] = []

        def work(connection: sqlite3.Connection) -> None:
            found[:] = items.since(connection, revision, limit=limit)

        await self._open.read(work)
        return found

    async def write_note(self, name: str, note: Note) -> None:
        """Durable on return."""
        await self._open.write(lambda connection: notes.write(connection, name, note))

    async def note(self, name: str) -> Note | None:
        """The latest of that name, or None."""
        found: list[Note | None] = []
        await self._open.read(lambda connection: found.append(notes.read(connection, name)))
        return found[0]

    async def check(self) -> None:
        """Raise StoreError if the file cannot be read."""
        await self._open.read(lambda connection: connection.execute("SELECT 1 FROM events LIMIT 1").fetchone())

    async def close(self) -> None:
        """Commit what is queued and close the file."""
        connected, self._connected = self._connected, None
        if connected is None:
            return
        await connected.write.close()
        await connected.read.close()
        for connection in connected.connections:
            await asyncio.to_thread(connection.close)

    @property
    def _open(self) -> _Connected:
        if self._connected is None:
            raise StoreError(f"the event store {self.path} is not open")
        return self._connected

    def _connect(self) -> _Connected:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            writer, reader = self._connection(), self._connection()
            schema.prepare(writer)
            verdict = [row[0] for row in writer.execute("PRAGMA quick_check(1)")]
            if verdict != ["ok"]:
                raise StoreError(f"{verdict[0]}; {_REMEDIES[sqlite3.SQLITE_CORRUPT]}")
            reader.execute("PRAGMA query_only = ON")
        except (OSError, sqlite3.Error, StoreError) as failure:
            raise self._explained(failure) from failure
        return _Connected(
            (writer, reader),
            Batching(lambda works: self._commit(writer, works), name="store-writer", largest=256),
            Batching(lambda works: self._look_up(reader, works), name="store-reader", largest=64),
        )

    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten; little ever is
        if self._max_pages is not None:
            connection.execute(f"PRAGMA max_page_count = {self._max_pages}")
        return connection

    def _commit(self, connection: sqlite3.Connection, works: Sequence[Work]) -> Sequence[object]:
        """Run all works in one transaction; if that fails, each in its own, so that one cannot sink the others."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            answers = [work(connection) for work in works]
            connection.execute("COMMIT")
            return answers
        except Exception as failure:  # noqa: BLE001 - it is raised again, to whoever asked
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if len(works) == 1:
                return [self._explained(failure)]
            return [answer for work in works for answer in self._commit(connection, [work])]

    def _look_up(self, connection: sqlite3.Connection, works: Sequence[Work]) -> Sequence[object]:
        """All works of a batch see the file as it is at the first of them, later than any of them was asked; a snapshot
        for each statement would take a tenth longer."""
        answers: list[object] = []
        for work in works:
            try:
                if not connection.in_transaction:
                    connection.execute("BEGIN")
                answers.append(work(connection))
            except Exception as failure:  # noqa: BLE001 - it is raised again, to whoever asked
                answers.append(self._explained(failure))
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return answers

    def _explained(self, failure: Exception) -> StoreError:
        where = f"event store {self.path}"
        if isinstance(failure, sqlite3.Error):
            code = getattr(failure, "sqlite_errorcode", 0) & 0xFF
            return StoreError(f"{where}: {failure}; {_REMEDIES.get(code, 'see the cause above')}")
        if isinstance(failure, OSError):
            reason = failure.strerror or str(failure)
            return StoreError(f"{where}: {reason}; {_REMEDIES[sqlite3.SQLITE_CANTOPEN]}")
        return StoreError(f"{where}: {failure}")
