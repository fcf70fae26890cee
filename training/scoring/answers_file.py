"""The file of answers, and the parts that it is put together from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recsys.slate import Slate

ANSWERS_SCHEMA = pa.schema(
    [
        pa.field("shopper", pa.string(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("propensity", pa.float64(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("knowledge", pa.string(), nullable=False),
        pa.field("generated_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""One row for each shopper and item, by shopper and rank. `rank` is from 1; the other columns are those of an online
answer."""

_SHOPPERS, _EMPTY = b"attune.shoppers", b"attune.without_items"


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of a task: answered shoppers, those among them who got no item, and rows."""

    shoppers: int
    without_items: int
    rows: int

    @classmethod
    def of(cls, part: Path) -> "Scored":
        """What a finished part says of itself."""
        found = pq.read_metadata(part)
        return cls(int(found.metadata[_SHOPPERS]), int(found.metadata[_EMPTY]), found.num_rows)


def write_part(path: Path, shoppers: Sequence[str], slates: Sequence[Slate], *, generated_at: int) -> None:
    """Write the slates of `shoppers` [B], whole or not at all."""
    said = {_SHOPPERS: str(len(slates)), _EMPTY: str(sum(not slate.items for slate in slates))}
    table = answers_table(shoppers, slates, generated_at).replace_schema_metadata(said)
    partial = path.with_name(f"{path.name}.partial")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(path)


def parts_joined(parts: Sequence[Path], path: Path) -> None:
    """Write the parts into one file, one row group each; it appears whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with pq.ParquetWriter(partial, ANSWERS_SCHEMA, compression="zstd") as writer:
            for table in _tables(parts):
                writer.write_table(table)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _tables(parts: Sequence[Path]) -> Iterator[pa.Table]:
    for part in parts:
        table = pq.read_table(part)
        if table.num_rows:
            yield table.cast(ANSWERS_SCHEMA)


def answers_table(shoppers: Sequence[str], slates: Sequence[Slate], generated_at: int) -> pa.Table:
    """The slate of each shopper [B] as rows."""
    rows = [
        (shopper, rank, item.item_id, item.score, item.source, item.reason, item.propensity, slate.model_version,
         slate.knowledge.value, generated_at)
        for shopper, slate in zip(shoppers, slates, strict=True)
        for rank, item in enumerate(slate.items, start=1)
    ]  # fmt: skip
    columns = list(zip(*rows, strict=True)) or [()] * len(ANSWERS_SCHEMA)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, ANSWERS_SCHEMA, strict=True)],
        schema=ANSWERS_SCHEMA,
    )
