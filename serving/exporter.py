"""The loop closes: events of the online store become files that the next training reads (`recsys/data/exports.py`).

Every event is in exactly one file, for good. Files are named after what is in them, `events-STORE-FIRST-LAST.parquet`:
a digest that tells stores apart, and the numbers of the first and last event in the order of arrival. So the files are
their own watermark and nothing can disagree with them: the next export goes on after the highest LAST.
A file is written under another name, flushed to the disk, and renamed in one step: whoever kills the exporter at
whatever instruction leaves it whole or not there at all. Where there is no room, what was begun is removed again.
Should the latest file not fit the store (the store lost events in a loss of power, or `VACUUM` renumbered it), nothing
is written and the message says what to do.

**Erased shoppers.** Every export first writes who was erased (`erasures.json`, without their ids) beside the files, by
which training takes them out of its logs, and takes them out of the files of this store: a file keeps its name, even
where nothing is left in it, and says in its metadata what it was before, so that nobody reads it as new. What was
erased before it was exported never gets there. So the files of a shopper go with the first export after the erasure.

**Slates** (`recsys/log/exposures.py`) go to files of their own in the folder `exposures` below, in the same way.

What an item's id means is not asked here: events of items that no catalogue knows yet are exported like all others.
"""

import fcntl
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.export_erasures import ExportedErasures
from recsys.errors import StoreError
from recsys.log.disk import sync
from recsys.log.erasures import Erasures
from recsys.log.exposures import FOLDER
from serving.feed import EventFeed, ExposureFeed, Feed, Record
from serving.store.protocol import OnlineStore

_NAME = re.compile(r"([a-z]+)-([0-9a-f]{12})-(\d{12})-(\d{12})\.parquet")
_PARTIAL = ".partial-"


@dataclass(frozen=True, slots=True)
class Exported:
    """The files that were written and how many events are in them; how many events of erased shoppers were taken out
    of files that were written before; the number of the last event that is in a file; how many slates are in
    the files that were written, and the number of the last one."""

    files: tuple[Path, ...]
    events: int
    erased: int = 0
    number: int = 0
    slates: int = 0
    slate_number: int = 0


async def export(store: OnlineStore, folder: Path, *, rows: int = 100_000) -> Exported:
    """Write the events and slates of an open store that are in no file of the `folder` yet, at most so many `rows` to a
    file. Slates wait for the store's first event, by which stores are told apart.

    Raises:
        StoreError: another export is running, the folder cannot be written, or its files are not of this store's past.
        SourceError: a file that is there already cannot be read.
    """
    with _writing(folder):
        erasures = await store.erasures()
        erased = _swept(folder, erasures) if erasures else 0
        digest = await store.origin()
        if digest is None:
            return Exported((), 0, erased)
        of_events, events, number = await _exported(EventFeed(store), folder, digest, rows=rows)
        of_slates, slates, last_slate = await _exported(ExposureFeed(store), folder / FOLDER, digest, rows=rows)
        if (later := await store.erasures()) != erasures:  # what was read before them may have been written since
            erased += _swept(folder, later)
        return Exported((*of_events, *of_slates), events, erased, number, slates, last_slate)


def _swept(folder: Path, erasures: Erasures) -> int:
    """Take erased shoppers out of all files; how many events went."""
    ExportedErasures(folder / FOLDER).apply(erasures)
    return ExportedErasures(folder).apply(erasures)


def written_after(folder: Path, kind: str, digest: str, number: int) -> tuple[int, int]:
    """How many records of a store are in files whose first one comes after a number, and the last one's number.

    Raises:
        StoreError: a file is damaged.
    """
    later = [] if not folder.is_dir() else [one for one in _files(folder, kind, digest) if one[0] > number]
    try:
        rows = sum(pq.read_metadata(path).num_rows for *_, path in later)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"a file of {folder} cannot be read ({error}); move it away and export again") from error
    return rows, max((last for _, last, _ in later), default=number)


async def _exported(feed: Feed[Record], folder: Path, digest: str, *, rows: int) -> tuple[list[Path], int, int]:
    """The files written of what is in none yet, how many records are in them, and the last one's number."""
    mark = await _mark(feed, max(_files(folder, feed.kind, digest), key=itemgetter(1), default=None))
    files: list[Path] = []
    count = 0
    while found := await feed.after(mark, limit=rows):
        numbers = (found[0][0], found[-1][0])
        files.append(_write(folder, f"{feed.kind}-{digest}", numbers, feed.table([record for _, record in found])))
        mark, count = numbers[1], count + len(found)
        if len(found) < rows:  # what comes in meanwhile is the next export's
            break
    return files, count, mark


def _files(folder: Path, kind: str, digest: str) -> list[tuple[int, int, Path]]:
    """The files of one store: number of the first record and of the last, path."""
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return [(int(is_[3]), int(is_[4]), path) for is_, path in named if is_ and (is_[1], is_[2]) == (kind, digest)]


async def _mark(feed: Feed[Record], latest: tuple[int, int, Path] | None) -> int:
    """The number after which records are new; StoreError where the store does not hold what its latest file does."""
    if latest is None:
        return 0
    first, number, path = latest
    try:
        told = pq.read_table(path, columns=[feed.key])[feed.key].to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} cannot be read ({error}); move it away and export again") from error
    found = [feed.id_of(record) for at, record in await feed.after(number - 1, limit=1) if at == number]
    if not found:  # erased, or lost: then numbers went back, or others have them now
        there = await feed.after(first - 1, limit=number - first + 1)
        fits = await feed.last() >= number and {feed.id_of(one) for at, one in there if at <= number} <= set(told)
    else:
        fits = told[-1:] == found
    if not fits:
        raise StoreError(
            f"{feed.one} {number} of the store is not the last one of {path}, so the store lost {feed.kind} or was "
            f"renumbered since; move the files of {path.parent} away and export again: the log takes every {feed.one} "
            "once, by its id"
        )
    return number


def _write(folder: Path, name: str, numbers: Sequence[int], rows: pa.Table) -> Path:
    path = folder / f"{name}-{numbers[0]:012d}-{numbers[1]:012d}.parquet"
    partial = folder / f"{_PARTIAL}{path.name}"
    try:
        pq.write_table(rows, partial, compression="zstd")
        sync(partial)
    except OSError:  # there is no room: give back what was taken
        partial.unlink(missing_ok=True)
        raise
    partial.rename(path)
    sync(folder)
    return path


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """One exporter at a time; what a killed one left half-written is removed."""
    try:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreError(f"another export is writing to {folder}; wait until it is done") from error
            for left in [*folder.glob(f"{_PARTIAL}*"), *(folder / FOLDER).glob(f"{_PARTIAL}*")]:
                left.unlink()
            yield
    except OSError as error:
        raise StoreError(
            f"events cannot be exported to {folder} ({error.strerror or error}); see to it that it can be written and "
            "has room, or name another folder"
        ) from error
