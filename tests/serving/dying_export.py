"""`python -m tests.serving.dying_export FOLDER STRIDE`: an export that dies at one line of our code after the other.

A process is forked for each line that an undisturbed export goes through (every STRIDE-th of them): it exports until it
gets there, and kills itself as `kill -9` would. Another one then looks at what is left, exports to the end, and looks
again. The first process only forks and waits, so that no thread is lost in a fork. Prints how many lines there are and
at how many the export died.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import serving.exporter
from recsys.data import export_erasures
from recsys.event import Event, EventType
from recsys.log import disk
from recsys.log.erase import Named
from serving import feed
from serving.exporter import export
from serving.store.protocol import Exposure
from serving.store.sqlite import SqliteStore

_OURS = {str(module.__file__) for module in (serving.exporter, feed, export_erasures, disk)}
_BEFORE, _AFTER, _ROWS = 7, 8, 3


def view(number: int) -> Event:
    """Every third is of somebody who is erased later."""
    who = "gone" if number % 3 == 0 else "stays"
    return Event(event_id=f"e{number}", type=EventType.VIEW, occurred_at=number, user_id=who, item_id="i")


def slate(number: int) -> Exposure:
    """Likewise."""
    return Exposure(
        recommendation_id=f"r{number}",
        at=number,
        placement="home",
        policy="top_k",
        model_version="1",
        knowledge="cold",
        user_id="gone" if number % 3 == 0 else "stays",
        items=(),
    )


KEPT = [f"{kind}{number}" for kind in "er" for number in range(_BEFORE + _AFTER) if number % 3]


async def prepare(folder: Path) -> None:
    """A store of which a part is exported already, with somebody erased since and more events come in."""
    store = SqliteStore(folder / "events.db")
    await store.open()
    await store.append([view(number) for number in range(_BEFORE)])
    await store.record_exposures([slate(number) for number in range(_BEFORE)])
    await export(store, folder / "exports", rows=_ROWS)
    await store.append([view(number) for number in range(_BEFORE, _BEFORE + _AFTER)])
    await store.record_exposures([slate(number) for number in range(_BEFORE, _BEFORE + _AFTER)])
    await store.forget(Named("user", "gone"), at=0)
    await store.close()


async def exported(folder: Path) -> None:
    """One export."""
    store = SqliteStore(folder / "events.db")
    await store.open()
    await export(store, folder / "exports", rows=_ROWS)
    await store.close()


def ids(folder: Path) -> list[str]:
    """Of the events and slates in all files, each of which must be whole."""
    columns = {folder / "exports": "event_id", folder / "exports" / "exposures": "recommendation_id"}
    return [
        one
        for place, column in columns.items()
        for path in sorted(place.glob("*.parquet"))
        if not path.name.startswith(".")
        for one in pq.read_table(path, use_threads=False)[column].to_pylist()
    ]


def die_at(line: int) -> Callable[[FrameType, str, Any], Any]:
    """What `sys.settrace` takes: kills this process at that line of ours, counted from 0 as they are run."""
    seen = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if frame.f_code.co_filename not in _OURS:
            return None
        if event == "line":
            if seen == line:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1
        return trace

    return trace


def dying(folder: Path, line: int) -> None:
    """Export until that line."""
    sys.settrace(die_at(line))
    asyncio.run(exported(folder))


def looking(folder: Path) -> None:
    """What is left is whole and nothing twice; after another export it is everything, and nothing is left over."""
    found = ids(folder)
    assert len(found) == len(set(found)), f"twice: {found}"
    asyncio.run(exported(folder))
    assert sorted(ids(folder)) == sorted(KEPT), ids(folder)
    assert not list((folder / "exports").rglob(".partial-*"))


def status_of(work: Callable[[], None]) -> int:
    """How a process ends that is forked to do this."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        pa.set_cpu_count(1)
        work()
    except BaseException as failure:  # noqa: BLE001 - whatever it is, it must not come back as another first process
        print(repr(failure), flush=True)
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Line after line, until an export gets through."""
    place, stride = Path(sys.argv[1]), int(sys.argv[2])
    ready, folder = place / "ready", place / "work"
    assert status_of(lambda: asyncio.run(prepare(ready))) == 0
    line = died = 0
    while True:
        shutil.copytree(ready, folder)
        status = status_of(partial(dying, folder, line))
        assert status in (0, -signal.SIGKILL), status
        died += status != 0
        assert status_of(partial(looking, folder)) == 0, f"killed at line {line}"
        shutil.rmtree(folder)
        if status == 0:
            break
        line += stride
    print(line, died)


if __name__ == "__main__":
    main()
