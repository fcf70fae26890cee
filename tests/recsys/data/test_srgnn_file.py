"""Training sessions and test prefixes: hand-written files in both forms, and the real Diginetica."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import SECOND
from recsys.data.srgnn_file import SRGNNFile
from recsys.errors import SourceError
from tests.recsys.data.accounts import account, events_of, items_of, refused, rows_in
from tests.recsys.data.raw_sets import lay, real, shown

TRAIN = [[5, 7], [1, 2, 3], [7]]
TEST = [([5, 7], 9), ([5], 7)]


def as_text(folder: Path, train: list[str], test: list[str]) -> SRGNNFile:
    lay(folder / "train.txt", *train)
    lay(folder / "test.txt", *test)
    return SRGNNFile(folder=folder, train="train.txt", test="test.txt", licence="mine")


def as_parquet(folder: Path, train: list[object], prefix: list[object], target: list[object]) -> SRGNNFile:
    lists = pa.list_(pa.int32())
    pq.write_table(pa.table({"items": pa.array(train, lists)}), folder / "train.parquet")
    pq.write_table(
        pa.table({"prefix": pa.array(prefix, lists), "target": pa.array(target, pa.int32())}), folder / "test.parquet"
    )
    return SRGNNFile(folder=folder, train="train.parquet", test="test.parquet", licence="mine")


def seconds_from_the_cut(source: SRGNNFile) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    events = events_of(source)
    instants = pc.cast(events["occurred_at"], pa.int64()).to_pylist()
    for visitor, instant in zip(events["anonymous_id"].to_pylist(), instants, strict=True):
        found.setdefault(visitor, []).append((instant - source.cutoff) // SECOND)
    return found


def test_a_session_is_a_visitor_and_its_events_are_a_second_apart(tmp_path: Path) -> None:
    source = as_text(tmp_path, ["5 7", "1 2 3"], ["5 9"])
    events = events_of(source).to_pylist()
    assert [shown(event, "anonymous_id", "session_id", "item_id", "event_id") for event in events[:2]] == [
        ("train-1", "train-1", "5", "train-1-0"), ("train-1", "train-1", "7", "train-1-1"),
    ]  # fmt: skip
    assert {shown(event, "user_id", "type") for event in events} == {(None, "view")}
    assert source.order_only


def test_training_ends_at_the_cut_off_and_the_test_begins_there(tmp_path: Path) -> None:
    source = as_text(tmp_path, ["5 7", "1 2 3", "7"], ["5 7 9", "5 7"])
    assert seconds_from_the_cut(source) == {
        "train-1": [-9, -8],
        "train-2": [-6, -5, -4],
        "train-3": [-3],
        "test-1": [0, 1, 2],
        "test-2": [3, 4],
    }, "slots of three seconds, as long as the longest row"


def test_parquet_and_text_hold_the_same(tmp_path: Path) -> None:
    text = as_text(tmp_path, [" ".join(map(str, row)) for row in TRAIN], ["5 7 9", "5 7"])
    parquet = as_parquet(tmp_path, list(TRAIN), [row for row, _ in TEST], [target for _, target in TEST])
    columns = ["item_id", "occurred_at", "type"]
    assert events_of(parquet).select(columns).equals(events_of(text).select(columns))
    assert list(items_of(parquet)) == ["1", "2", "3", "5", "7", "9"]
    assert rows_in(parquet) == 5, "eleven events of five rows"


def test_the_last_event_of_every_shopper_after_the_cut_off_is_the_target(tmp_path: Path) -> None:
    source = as_parquet(tmp_path, list(TRAIN), [row for row, _ in TEST], [target for _, target in TEST])
    assert given_split(events_of(source), source.cutoff) == [(row, target) for row, target in TEST]


def given_split(events: pa.Table, cutoff: int) -> list[tuple[list[int], int]]:
    """Prefix and target of every shopper with events at or after the cut-off, as training is told to find them."""
    found: dict[str, list[int]] = {}
    for event in events.sort_by([("anonymous_id", "ascending"), ("occurred_at", "ascending")]).to_pylist():
        if event["occurred_at"].timestamp() * SECOND >= cutoff:
            found.setdefault(event["anonymous_id"], []).append(int(event["item_id"]))
    return [(items[:-1], items[-1]) for items in found.values()]


ITEMS = st.integers(1, 50)


@settings(max_examples=40)
@given(
    train=st.lists(st.lists(ITEMS, min_size=1, max_size=6), min_size=1, max_size=6),
    test=st.lists(st.tuples(st.lists(ITEMS, min_size=1, max_size=6), ITEMS), min_size=1, max_size=6),
)
def test_the_given_split_gives_back_what_was_prepared(
    tmp_path_factory: pytest.TempPathFactory, train: list[list[int]], test: list[tuple[list[int], int]]
) -> None:
    folder = tmp_path_factory.mktemp("srgnn")
    source = as_parquet(folder, list(train), [row for row, _ in test], [target for _, target in test])
    assert given_split(events_of(source), source.cutoff) == test
    places = seconds_from_the_cut(source)
    spans = [(each[0], each[-1]) for each in places.values()]
    assert spans == sorted(spans)
    assert all(last < first for (_, last), (first, _) in pairwise(spans)), "no two overlap"
    assert [last < 0 for _, last in spans] == [True] * len(train) + [False] * len(test)


def test_damaged_rows_are_refused_and_leave_no_gap(tmp_path: Path) -> None:
    source = as_parquet(tmp_path, [[1], None, [2, None], [], [-3], [4]], [[5], None, [], [6], [0]], [6, 7, 8, None, 9])
    strange = "holds something else than whole numbers from 1"
    assert refused(source) == [
        (1, "is no session", "{'items': None}"),
        (2, strange, "{'items': [2, None]}"),
        (3, "is no session", "{'items': []}"),
        (4, strange, "{'items': [-3]}"),
        (1, "is not a prefix and a target", "{'prefix': None, 'target': 7}"),
        (2, "is not a prefix and a target", "{'prefix': [], 'target': 8}"),
        (3, strange, "{'prefix': [6], 'target': None}"),
        (4, strange, "{'prefix': [0], 'target': 9}"),
    ]
    assert seconds_from_the_cut(source) == {"train-0": [-2], "train-5": [-1], "test-0": [0, 1]}


def test_a_line_with_a_target_but_no_prefix_is_refused(tmp_path: Path) -> None:
    assert refused(as_text(tmp_path, ["1"], ["5 6", "7"])) == [(2, "is not a prefix and a target", "7")]


def test_a_missing_file_is_named_with_address_and_place(tmp_path: Path) -> None:
    source = SRGNNFile(folder=tmp_path, train="a.parquet", test="b.parquet", licence="mine")
    with pytest.raises(
        SourceError, match=r"a\.parquet is missing; download a\.parquet from https://github\.com/CRIPAC"
    ):
        source.parts()


def test_columns_of_another_name_or_kind_are_refused(tmp_path: Path) -> None:
    source = as_parquet(tmp_path, [[1]], [[1]], [2])
    pq.write_table(pa.table({"items": [1, 2]}), tmp_path / "train.parquet")
    with pytest.raises(SourceError, match=r"needs the columns items, the first a list; it has: items: int64"):
        events_of(source)


def test_the_real_diginetica_has_the_counts_of_the_literature() -> None:
    folder = real("diginetica/diginetica.train_sessions.parquet", "diginetica/diginetica.test.parquet")[0].parent
    source = SRGNNFile(
        folder=folder, train="diginetica.train_sessions.parquet", test="diginetica.test.parquet", licence="research"
    )
    rows, events, bad = account(source)
    before = pc.less(pc.cast(events["occurred_at"], pa.int64()), source.cutoff)
    train, test = events.filter(before), events.filter(pc.invert(before))
    assert pc.count_distinct(train["anonymous_id"]).as_py() == 186_670
    assert pc.count_distinct(test["anonymous_id"]).as_py() == 60_858
    assert set(pc.unique(train["session_id"]).to_pylist()).isdisjoint(pc.unique(test["session_id"]).to_pylist())
    assert (rows, bad, source.items().num_rows) == (186_670 + 60_858, 0, 43_097)
    targets = pq.read_table(folder / "diginetica.test.parquet")["target"].to_numpy()
    ends = np.flatnonzero(np.asarray(test["anonymous_id"][1:]) != np.asarray(test["anonymous_id"][:-1]))
    last = np.append(ends, test.num_rows - 1)
    assert np.array_equal(pc.cast(test["item_id"].take(pa.array(last)), pa.int32()).to_numpy(), targets)
