"""The loop closes: events of the online store become files that the next training reads (`recsys/data/exports.py`).

Every event is in exactly one file, for good. Files are named after what is in them, `events-STORE-FIRST-LAST.parquet`:
a digest that tells stores apart, and the numbers of the first and last event in the order of arrival. So the files are
their own watermark and nothing can disagree with them: the next export goes on after the highest LAST.
A file is written under another name, flushed to the disk, and renamed in one step: whoever kills the exporter at
whatever instruction leaves it whole or not there at all. Should the latest file not fit the store (the store lost
events in a loss of power, or `VACUUM` renumbered it), nothing is written and the message says what to do.

**Erased shoppers.** Every export first writes who was erased (`erasures.json`, without their ids) beside the files, by
which training takes them out of its logs, and takes them out of the files of this store: a file keeps its name, even
where nothing is left in it, and says in its metadata what it was before, so that nobody reads it as new. What was
erased before it was exported never gets there. So the files of a shopper go with the first export after the erasure.

What an item's id means is not asked here: events of items that no catalogue knows yet are exported like all others.
"""

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.export_erasures import ExportedErasures
from recsys.errors import StoreError
from recsys.event import events_table
from recsys.log.disk import sync
from serving.store.protocol import Arrival, OnlineStore

_NAME = re.compile(r"events-([0-9a-f]{12})-(\d{12})-(\d{12})\.parquet")
_PARTIAL = ".partial-"


@dataclass(frozen=True, slots=True)
class Exported:
    """The files that were written and how many events are in them; how many events of erased shoppers were taken out
    of files that were written before."""

    files: tuple[Path, ...]
    events: int
    erased: int = 0


async def export(store: OnlineStore, folder: Path, *, rows: int = 100_000) -> Exported:
    """Write the events of an open store that are in no file of the `folder` yet, at most so many `rows` to a file.

    Raises:
        StoreError: another export is running, the folder cannot be written, or its files are not of this store's past.
    """
    with _writing(folder):
        erasures = await store.erasures()
        erased = ExportedErasures(folder).apply(erasures) if erasures else 0
        digest = await store.origin()
        if digest is None:
            return Exported((), 0, erased)
        mark = await _mark(store, _latest(folder, digest))
        files, events = [], 0
        while arrivals := await store.arrived(after=mark, limit=rows):
            files.append(_write(folder, digest, arrivals))
            mark, events = arrivals[-1].number, events + len(arrivals)
            if len(arrivals) < rows:  # what comes in meanwhile is the next export's
                break
        if (later := await store.erasures()) != erasures:  # what was read before them may have been written since
            erased += ExportedErasures(folder).apply(later)
        return Exported(tuple(files), events, erased)


def _latest(folder: Path, digest: str) -> tuple[int, int, Path] | None:
    """The numbers of the last and the first event in the latest file of this store, and the file; None for none."""
    named = [(match, path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return max(((int(match[3]), int(match[2]), path) for match, path in named if match[1] == digest), default=None)


async def _mark(store: OnlineStore, latest: tuple[int, int, Path] | None) -> int:
    """The number after which events are new; StoreError where the store does not hold what its latest file does."""
    if latest is None:
        return 0
    number, first, path = latest
    try:
        told = pq.read_table(path, columns=["event_id"])["event_id"].to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} cannot be read ({error}); move it away and export again") from error
    found = [one for one in await store.arrived(after=number - 1, limit=1) if one.number == number]
    if not found:  # erased, or lost: then numbers went back, or others have them now
        found = [one for one in await store.arrived(after=first - 1, limit=number - first + 1) if one.number <= number]
        fits = await store.last_number() >= number and {one.event.event_id for one in found} <= set(told)
    else:
        fits = told[-1:] == [found[0].event.event_id]
    if not fits:
        raise StoreError(
            f"event {number} of the store is not the last one of {path}, so the store lost events or was renumbered "
            f"since; move the files of {path.parent} away and export again: the log takes every event once, by its id"
        )
    return number


def _write(folder: Path, digest: str, arrivals: list[Arrival]) -> Path:
    path = folder / f"events-{digest}-{arrivals[0].number:012d}-{arrivals[-1].number:012d}.parquet"
    partial = folder / f"{_PARTIAL}{path.name}"
    pq.write_table(events_table([arrival.event for arrival in arrivals]), partial, compression="zstd")
    sync(partial)
    partial.rename(path)
    sync(folder)
    return path


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """One exporter at a time; what a killed one left half-written is removed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreError(f"another export is writing to {folder}; wait until it is done") from error
            for left in folder.glob(f"{_PARTIAL}*"):
                left.unlink()
            yield
    except OSError as error:
        raise StoreError(
            f"events cannot be exported to {folder} ({error.strerror or error}); set exports=FOLDER"
        ) from error
