"""The rank of every target by every row of the evaluation table, as a Parquet file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.catalogue import Catalogue
from recsys.event import EVENT_TYPE_OF_CODE
from recsys.metric.evaluation import Case, Ranked
from recsys.metric.ranking import MISS
from recsys.metric.slices import Targets

RANKS_SCHEMA = pa.schema(
    [
        pa.field("row", pa.dictionary(pa.int8(), pa.string())),
        pa.field("case", pa.int32()),
        pa.field("shopper", pa.int64()),
        pa.field("asked_at", pa.timestamp("us", tz="UTC")),
        pa.field("wanted", pa.int32()),
        pa.field("item_id", pa.string()),
        pa.field("event", pa.string()),
        pa.field("is_repeat", pa.bool_()),
        pa.field("rank", pa.int64()),
    ]
)
"""One line for each row of the table, case and known target. `shopper` is a number within this evaluation, no id, so
that the file does not outlive an erasure; `wanted` counts the case's targets, unknown ones too; `rank` is from 0, null
where the target was not ranked."""


def write_ranks(path: Path, cases: Sequence[Case], rows: Mapping[str, Ranked], catalogue: Catalogue) -> None:
    """Write the file, its folder too; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with pq.ParquetWriter(partial, RANKS_SCHEMA, compression="zstd") as writer:
            for table in _tables(cases, rows, catalogue):
                writer.write_table(table)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _tables(cases: Sequence[Case], rows: Mapping[str, Ranked], catalogue: Catalogue) -> list[pa.Table]:
    targets = Targets.of(cases)
    names = pa.array(list(rows), pa.string())
    kinds = [EVENT_TYPE_OF_CODE[code].value if code else None for case in cases for code in case.type.tolist()]
    shopper = np.array([case.shopper for case in cases])
    at = np.array([case.state.context.at for case in cases], np.int64)
    shared = {
        "case": pa.array(targets.owner, pa.int32()),
        "shopper": pa.array(shopper[targets.owner], pa.int64()),
        "asked_at": pa.array(at[targets.owner], pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        "wanted": pa.array(targets.wanted[targets.owner], pa.int32()),
        "item_id": catalogue.items["item_id"].combine_chunks().take(pa.array(targets.item - 1)),
        "event": pa.array(kinds, pa.string()),
        "is_repeat": pa.array(targets.is_repeat),
    }
    tables = []
    for number, found in enumerate(rows.values()):
        row = pa.DictionaryArray.from_arrays(pa.array(np.full(len(targets.owner), number), pa.int8()), names)
        rank = pa.array(found.rank, pa.int64(), mask=found.rank == MISS)
        tables.append(pa.table({"row": row, **shared, "rank": rank}, schema=RANKS_SCHEMA))
    return tables
