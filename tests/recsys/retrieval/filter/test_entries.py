"""A column of maps by name."""

import pyarrow as pa

from recsys.retrieval.filter.entries import map_entries

MAPS = pa.map_(pa.string(), pa.string())


def test_entries_of_every_name_come_with_their_rows() -> None:
    rows = [None, [("a", "1"), ("b", "2")], [], [("a", None)], [("b", "3")]]
    whole = pa.chunked_array([pa.array(rows[:2], MAPS), pa.array(rows[2:], MAPS)])
    found = {name: (at.tolist(), texts.to_pylist()) for name, (at, texts) in map_entries(whole).items()}
    assert found == {"a": ([1], ["1"]), "b": ([1, 4], ["2", "3"])}
    part = {name: (at.tolist(), texts.to_pylist()) for name, (at, texts) in map_entries(whole.slice(1, 4)).items()}
    assert part == {"a": ([0], ["1"]), "b": ([0, 3], ["2", "3"])}


def test_a_column_without_maps_has_no_entries() -> None:
    assert map_entries(pa.chunked_array([], MAPS)) == {}
    assert map_entries(pa.chunked_array([pa.nulls(2, MAPS)])) == {}
