"""Writes or erases in a process of its own, for tests that kill it: python -m tests.recsys.log.writing_process ..."""

import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from recsys.clock import DAY, ManualClock
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.errors import RecsysError
from recsys.event import EVENT_SCHEMA, QUARANTINE_SCHEMA
from recsys.log.engine import LocalEngine
from recsys.log.erase import Named, erase
from recsys.log.writer import write_log
from tests.recsys.by_hand import items_table

ROWS = 40_000


@dataclass(frozen=True)
class ManyRows:
    """Parts of 40,000 rows over six dates; each repeats a tenth of the ids of the part before."""

    parts_so_far: int
    settings: str = "1"
    name: str = "many"
    licence: str = "made up"
    time_zone: str = "UTC"
    cutoff: int = 0
    order_only: bool = False

    def fingerprint(self) -> str:
        return self.settings

    def parts(self) -> list[SourcePart]:
        return [
            SourcePart(name=f"{number:03d}", digest="1", chunks=partial(self._chunks, number))
            for number in range(self.parts_so_far)
        ]

    def items(self) -> pa.Table:
        return items_table(["a"])

    def _chunks(self, number: int) -> Iterator[SourceChunk]:
        rng = np.random.default_rng(number)
        ids = number * ROWS * 9 // 10 + np.arange(ROWS)
        columns = {
            "event_id": [f"e{n}" for n in ids.tolist()],
            "type": ["view"] * ROWS,
            "occurred_at": rng.integers(0, 6 * DAY, ROWS),
            "user_id": [f"u{n}" for n in rng.integers(0, 500, ROWS).tolist()],
            "anonymous_id": [f"v{n}" for n in rng.integers(0, 5_000, ROWS).tolist()],
            "item_id": ["a"] * ROWS,
        }
        arrays = [pa.array(columns.get(field.name, [None] * ROWS), field.type) for field in EVENT_SCHEMA]
        refused = {"origin": [str(number)], "row": [1], "reason": ["bad"], "raw": ["u7 bad"]}
        yield SourceChunk(
            rows_in=ROWS + 1,
            events=pa.table(arrays, schema=EVENT_SCHEMA),
            quarantine=pa.table(refused, schema=QUARANTINE_SCHEMA),
        )


def work(folder: Path, task: str, argument: str) -> None:
    """`write PARTS-SETTINGS`, or `erase KIND:ID`."""
    if task == "erase":
        erase(folder, Named.parse(argument), clock=ManualClock())
        return
    parts, _, settings = argument.partition("-")
    write_log(ManyRows(int(parts), settings), folder, engine=LocalEngine())


if __name__ == "__main__":
    target, kind, what, *limit = sys.argv[1:]
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit[0]), int(limit[0])))
    print("begins", flush=True)
    try:
        work(Path(target), kind, what)
    except RecsysError as refused:
        print(f"{type(refused).__name__}: {refused}", flush=True)
        sys.exit(1)
