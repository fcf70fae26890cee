"""The same rows give the same events, whether they stand in CSV, JSON lines or Parquet."""

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.clock import SECOND, parse_instant, to_datetime
from recsys.data.chunk import chunks_of
from recsys.data.table import TableSource
from tests.recsys.data.small_logs import COLUMNS, source

WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=5)
ROW = st.fixed_dictionaries(
    {
        "when": st.integers(parse_instant("2023-01-01") // SECOND, parse_instant("2024-05-01") // SECOND),
        "what": st.sampled_from(["buy", "view", "search", "teleport", ""]),
        "who": st.none() | WORD | st.integers(0, 10**12).map(str),
        "item": st.none() | WORD,
        "units": st.none() | st.integers(-3, 9),
        "price": st.none() | st.floats(-1, 1e6, allow_nan=False).map(lambda price: round(price, 3)),
        "note": st.none() | WORD,
    }
)
MAPPED = {
    "columns": {**COLUMNS, "query": "note"},
    "rules": [{"when": {"column": "units", "below": 0}, "type": "return"}],
    "item_columns": {"title": "note", "price": "price"},
}


def as_csv(rows: list[dict[str, object]], path: Path) -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    path.write_text(text.getvalue(), newline="")
    return path


def as_json(rows: list[dict[str, object]], path: Path) -> Path:
    sparse = [{name: value for name, value in row.items() if value is not None} for row in rows]
    path.write_text("\n".join(map(json.dumps, [rows[0], *sparse[1:]])) + "\n")
    return path


def as_parquet(rows: list[dict[str, object]], path: Path) -> Path:
    kinds = {"when": pa.timestamp("s"), "units": pa.int64(), "price": pa.float64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in rows[0]])
    whole = [{**row, "when": to_datetime(int(str(row["when"])) * SECOND).replace(tzinfo=None)} for row in rows]
    pq.write_table(pa.Table.from_pylist(whole, schema=schema), path)
    return path


def told(table: TableSource) -> tuple[list[object], list[str], list[object]]:
    """Events, reasons and items; ids and row numbers depend on the kind of file."""
    chunks = list(chunks_of(table))
    found = [event for chunk in chunks for event in chunk.events.drop_columns(["event_id"]).to_pylist()]
    return found, [r for c in chunks for r in c.quarantine["reason"].to_pylist()], table.items().to_pylist()


@given(rows=st.lists(ROW, min_size=1, max_size=8), block=st.integers(1, 400))
def test_random_rows_mean_the_same_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], block: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recsys.data.tabular.lines.BLOCK_BYTES", block)
        patch.setattr("recsys.data.tabular.parquet.BLOCK_ROWS", 1 + block // 100)
        from_csv = told(source(as_csv(rows, folder / "any.csv"), time_format="epoch_s", **MAPPED))
        from_json = told(source(as_json(rows, folder / "any.jsonl"), time_format="epoch_s", **MAPPED))
        from_parquet = told(source(as_parquet(rows, folder / "any.parquet"), **MAPPED))
    assert from_json == from_csv
    assert from_parquet == from_csv
    assert len(from_csv[0]) + len(from_csv[1]) == len(rows)


ORDER = st.fixed_dictionaries(
    {"who": WORD, "lines": st.lists(st.fixed_dictionaries({"sku": WORD, "n": st.integers(-2, 3)}), max_size=4)}
)


@given(orders=st.lists(ORDER, min_size=1, max_size=5))
def test_lists_mean_the_same_in_json_lines_and_parquet(
    tmp_path_factory: pytest.TempPathFactory, orders: list[dict[str, object]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    rows = [{"when": "2024-01-01T00:00:00Z", **order} for order in orders]
    (folder / "orders.jsonl").write_text("\n".join(map(json.dumps, rows)))
    line = pa.struct([("sku", pa.string()), ("n", pa.int64())])
    schema = pa.schema([("when", pa.string()), ("who", pa.string()), ("lines", pa.list_(line))])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "orders.parquet")
    settings = {
        "columns": {"occurred_at": "when", "user_id": "who", "item_id": "lines[].sku", "quantity": "lines[].n"},
        "constants": {"type": "purchase"},
        "explode": "lines",
        "rules": [{"when": {"column": "lines[].n", "below": 0}, "type": ["return", "view"]}],
    }
    read = [source(folder / f"orders.{ending}", **settings) for ending in ("jsonl", "parquet")]
    assert told(read[0]) == told(read[1])
    for table in read:
        chunks = list(chunks_of(table))
        assert sum(chunk.rows_in for chunk in chunks) == len(rows)
        for chunk in chunks:
            left = chunk.events.num_rows + chunk.quarantine.num_rows + sum(chunk.excluded.values())
            assert chunk.rows_in + chunk.unfolded == left
        ids = [event_id for chunk in chunks for event_id in chunk.events["event_id"].to_pylist()]
        assert len(set(ids)) == len(ids)
