"""Rows put aside come back by key, in the order in which they came, however many runs they are in."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.log.spill import Runs, Spill, grouped

TABLES = st.lists(st.lists(st.tuples(st.integers(-3, 3), st.none() | st.text(max_size=3)), max_size=8), max_size=6)


@settings(max_examples=40)
@given(tables=TABLES, scale=st.sampled_from([1, 1 << 40]), run_bytes=st.sampled_from([20, 1 << 20]))
def test_rows_come_back_by_key(tables: list[list[tuple[int, str | None]]], scale: int, run_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with Spill(Path(folder) / "rows", run_bytes=run_bytes) as spill:
            place = 0
            for rows in tables:
                numbers = pa.array(range(place, place + len(rows)), pa.int64())
                texts = pa.array([text for _, text in rows], pa.string())
                keys = np.array([key for key, _ in rows], np.int64) * scale
                spill.add(pa.table({"place": numbers, "text": texts}), keys)
                place += len(rows)
        runs = Runs.below(Path(folder) / "rows")
        every = [(key * scale, place, text) for place, (key, text) in enumerate(r for rows in tables for r in rows)]
        assert runs.counts() == {key: sum(row[0] == key for row in every) for key in sorted({row[0] for row in every})}
        for key in runs.counts():
            table = runs.table(key, key)
            assert table is not None
            wanted = [(place, text) for own, place, text in every if own == key]
            texts = table["text"].to_pylist() if "text" in table.column_names else [None] * table.num_rows
            assert list(zip(table["place"].to_pylist(), texts, strict=True)) == wanted


def test_more_than_a_run_holds_makes_several_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.log.spill.RUN_BYTES", 800)
    with Spill(tmp_path / "rows") as spill:
        spill.add(pa.table({"place": np.arange(1_000)}), np.arange(1_000) % 7)
    assert len(Runs.below(tmp_path / "rows").runs) == 10


def test_neighbouring_keys_are_grouped_up_to_a_limit() -> None:
    assert list(grouped({3: 5, 1: 2, 2: 3, 9: 40, 10: 1}, 6)) == [[1, 2], [3], [9], [10]]
    assert list(grouped({}, 6)) == []
