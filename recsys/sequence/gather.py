"""From a log in order of dates to histories in order of shoppers, in bounded memory.

Events are coded and spilled into ranges of shoppers that fit into memory one at a time; each range is sorted and
appended to mapped columns. Where visitors became known (`recsys/log/identity.py`), their events go to the user, and
a user who adopted some gets a further sequence from the instant of the sign-in on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.log.identity import Identity
from recsys.log.reader import EventLog
from recsys.sequence.coding import COLUMNS, Coding
from recsys.sequence.histories import ALWAYS, NEVER, Histories
from recsys.sequence.mapped import ColumnWriter, kept_folder, mapped_columns
from recsys.sequence.survey import Survey
from recsys.state import History

RANGE_EVENTS = 2_000_000
"""About how many events are sorted at once."""

_HISTORY = tuple(field.name for field in fields(History))
_SHOPPERS = "shoppers.arrow"
_READ = tuple(dict.fromkeys((*COLUMNS, "user_id", "anonymous_id", "shopper")))


def gather(
    log: EventLog, survey: Survey, coding: Coding, folder: Path, *, range_events: int = RANGE_EVENTS
) -> Histories:
    """The histories of all shoppers of a log, kept in `folder` as mapped columns and read from there."""

    def write(partial: Path) -> None:
        with ColumnWriter(partial) as columns:
            spill = _Spill(partial / "spill", _borders(survey, range_events))
            try:
                for piece in log.days(_READ):
                    for block in _coded(piece, survey.identity, coding):
                        spill.add(block)
                with pa.OSFile(str(partial / _SHOPPERS), "wb") as file, pa.ipc.new_file(file, _IDS) as ids:
                    for block in spill.ranges():
                        found = _sequences(block)
                        ids.write_batch(pa.record_batch([found.shopper], schema=_IDS))
                        columns.append({name: getattr(found.events, name) for name in _HISTORY})
                        columns.append({"adopted_at": found.adopted_at, "asked_from": found.asked_from})
                        columns.append({"length": np.diff(found.start)})
            finally:
                spill.remove()

    return read_histories(kept_folder(folder, write))


def read_histories(folder: Path) -> Histories:
    """What `gather` wrote; columns are read from the files as they are touched."""
    columns = mapped_columns(folder)
    with pa.memory_map(str(folder / _SHOPPERS)) as file:
        ids = pa.ipc.open_file(file).read_all()["shopper"]
    if not columns:
        return Histories(pa.array([], pa.string()), np.zeros(1, np.int64), History.empty())
    return Histories(
        ids.combine_chunks(),
        np.concatenate([[0], np.cumsum(columns["length"], dtype=np.int64)]),
        History(**{name: columns[name] for name in _HISTORY}),
        columns["asked_from"],
        columns["adopted_at"],
    )


_IDS = pa.schema([("shopper", pa.string())])


@dataclass(frozen=True, slots=True)
class _Block:
    """Coded events with their owners [E]; `since` and `until` bound an adoption: (ALWAYS, NEVER) where there is none.

    `adopted_at` is when a visitor's own event goes over to a user, NEVER where it does not.
    """

    owner: pa.Array
    events: History
    since: np.ndarray
    until: np.ndarray
    adopted_at: np.ndarray

    def rows(self, chosen: slice | np.ndarray) -> "_Block":
        owner = self.owner[chosen] if isinstance(chosen, slice) else self.owner.take(pa.array(chosen))
        return _Block(owner, self.events[chosen], self.since[chosen], self.until[chosen], self.adopted_at[chosen])

    def batch(self) -> pa.RecordBatch:
        arrays = {name: np.ascontiguousarray(getattr(self.events, name)) for name in _HISTORY}
        arrays["query"] = arrays["query"].view(np.int64).ravel()
        arrays |= {"since": self.since, "until": self.until, "adopted_at": self.adopted_at}
        return pa.record_batch(
            [self.owner.cast(pa.string()), *(pa.array(np.ascontiguousarray(a)) for a in arrays.values())],
            names=["owner", *arrays],
        )

    @classmethod
    def of_table(cls, table: pa.Table) -> "_Block":
        arrays = {name: table[name].to_numpy() for name in table.column_names if name != "owner"}
        arrays["query"] = arrays["query"].view(np.int16).reshape(len(arrays["query"]), -1)
        events = History(**{name: arrays[name] for name in _HISTORY})
        owner = table["owner"].combine_chunks()
        return cls(owner, events, arrays["since"], arrays["until"], arrays["adopted_at"])


def _coded(piece: pa.Table, identity: Identity, coding: Coding) -> Iterator[_Block]:
    """The events of a piece with their owners, and the copies that users adopt."""
    events, owner = coding.of_table(piece), piece["shopper"].combine_chunks()
    always, never = np.broadcast_to(ALWAYS, len(events)), np.broadcast_to(NEVER, len(events))
    loose = np.flatnonzero(pc.is_null(piece["user_id"])) if len(identity) else np.empty(0, np.int64)
    if not len(loose):
        yield _Block(owner, events, always, never, never)
        return
    claims = identity.claims(piece["anonymous_id"].combine_chunks().take(pa.array(loose)), events.time[loose])
    users = pa.nulls(len(events), pa.string()).to_numpy(zero_copy_only=False)
    users[loose] = claims.user.to_numpy(zero_copy_only=False)
    adopted_at = np.full(len(events), NEVER)
    adopted_at[loose] = np.where(claims.given_back_at == NEVER, claims.adopted_at, NEVER)
    owner = pc.coalesce(pa.array(users, pa.string()), owner)
    yield _Block(owner, events, always, never, adopted_at)
    rows = np.flatnonzero(claims.adopted_at < NEVER)
    if len(rows):
        yield _Block(
            claims.adopter.take(pa.array(rows)),
            events[loose[rows]],
            claims.adopted_at[rows],
            claims.given_back_at[rows],
            np.broadcast_to(NEVER, len(rows)),
        )


def _borders(survey: Survey, range_events: int) -> list[str]:
    """The first shopper of each range but the first."""
    ranges = min(-(-survey.events // range_events), len(survey.sample))
    places = np.linspace(0, len(survey.sample), ranges + 1)[1:-1].astype(np.int64)
    return sorted(set(survey.sample.take(pa.array(places)).to_pylist()))


class _Spill:
    """Blocks on disk, one stream for each range of shoppers."""

    def __init__(self, folder: Path, borders: list[str]) -> None:
        self._folder = folder
        self._borders = borders
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        folder.mkdir()

    def add(self, block: _Block) -> None:
        """Cut a block at the borders; what lies in one range keeps its order."""
        if not len(self._borders):
            self._write(0, block)
            return
        number = np.zeros(len(block.owner), np.int64)
        for border in self._borders:
            number += pc.greater_equal(block.owner, border).to_numpy(zero_copy_only=False)
        order = np.argsort(number, kind="stable") if (np.diff(number) < 0).any() else None
        ordered = block if order is None else block.rows(order)
        cuts = np.searchsorted(number if order is None else number[order], np.arange(len(self._borders) + 2))
        for place in np.flatnonzero(np.diff(cuts)).tolist():
            self._write(place, ordered.rows(slice(int(cuts[place]), int(cuts[place + 1]))))

    def _write(self, place: int, block: _Block) -> None:
        batch = block.batch()
        if place not in self._writers:
            self._writers[place] = pa.ipc.new_stream(str(self._folder / f"{place}.arrow"), batch.schema)
        self._writers[place].write_batch(batch)

    def ranges(self) -> Iterator[_Block]:
        """The ranges in order of their shoppers."""
        for place, writer in sorted(self._writers.items()):
            writer.close()
            path = self._folder / f"{place}.arrow"
            with pa.OSFile(str(path)) as file:
                table = pa.ipc.open_stream(file).read_all()
            path.unlink()
            yield _Block.of_table(table)

    def remove(self) -> None:
        """Let go of the files."""
        for place, writer in self._writers.items():
            writer.close()
            (self._folder / f"{place}.arrow").unlink(missing_ok=True)
        self._folder.rmdir()


def _sequences(block: _Block) -> Histories:
    """The sequences of one range of shoppers."""
    coded = block.owner.dictionary_encode()
    ids = coded.dictionary.take(pc.sort_indices(coded.dictionary))
    rank = np.empty(len(ids), np.int64)
    rank[pc.index_in(ids, coded.dictionary).to_numpy()] = np.arange(len(ids))
    owner = rank[coded.indices.to_numpy()]
    order = np.lexsort((block.events.time, owner))
    owner, block = owner[order], block.rows(order)
    start = np.searchsorted(owner, np.arange(len(ids) + 1))
    adopters = np.unique(owner[block.since > ALWAYS])
    if not len(adopters):
        return Histories(ids, start, block.events, np.full(len(ids), ALWAYS), block.adopted_at)
    return _with_adoptions(ids, start, block, adopters)


def _with_adoptions(ids: pa.Array, start: np.ndarray, block: _Block, adopters: np.ndarray) -> Histories:
    """One sequence for each shopper, and several for the `adopters`."""
    rows: list[np.ndarray] = []
    shopper: list[int] = []
    asked_from: list[int] = []
    done = 0
    for number in [*adopters.tolist(), len(ids)]:
        rows += [np.arange(start[n], start[n + 1]) for n in range(done, number)]
        shopper += range(done, number)
        asked_from += [ALWAYS] * (number - done)
        if number < len(ids):
            for since, known in _lives(block, int(start[number]), int(start[number + 1])):
                rows.append(known)
                shopper.append(number)
                asked_from.append(since)
        done = number + 1
    chosen = np.concatenate(rows)
    return Histories(
        ids.take(pa.array(shopper)),
        np.concatenate([[0], np.cumsum([len(known) for known in rows])]).astype(np.int64),
        block.events[chosen],
        np.array(asked_from, np.int64),
        block.adopted_at[chosen],
    )


def _lives(block: _Block, begin: int, end: int) -> Iterator[tuple[int, np.ndarray]]:
    """A user's history as it was known between two changes of what is theirs: from when on it is asked, and its rows.

    A question at the instant of a change does not know of it, so the life after it begins a microsecond later.
    """
    time, since, until = block.events.time[begin:end], block.since[begin:end], block.until[begin:end]
    own = since == ALWAYS
    changes = np.unique(np.concatenate([since[~own], until[until < NEVER]])).tolist()
    for change, following in zip([ALWAYS, *changes], [*changes, NEVER], strict=True):
        mine = own & (time <= following)
        asked = mine & (time > change)
        if not asked.any() and following < NEVER:
            continue
        adopted = ~own & (since <= change) & (until > change)
        yield (change if change == ALWAYS else change + 1), begin + np.flatnonzero(mine | adopted)
