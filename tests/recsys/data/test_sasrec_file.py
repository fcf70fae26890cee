"""`user item` lines: a hand-written file, and the real one of MovieLens 1M."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.literature import Positions
from recsys.data.sasrec_file import SASRecFile
from recsys.errors import ConfigError, SourceError
from tests.recsys.data.accounts import account, events_of, items_of, refused, rows_in
from tests.recsys.data.raw_sets import lay, real, shown

BEGIN = datetime(2000, 1, 1, tzinfo=UTC)


def sasrec(folder: Path, *lines: str, **settings: str) -> SASRecFile:
    lay(folder / "toy.txt", *lines)
    return SASRecFile(folder=str(folder), file="toy.txt", licence="mine", **settings)  # type: ignore[arg-type]


def test_the_order_of_a_users_lines_is_the_order_of_their_events(tmp_path: Path) -> None:
    events = events_of(sasrec(tmp_path, "1 7", "1 3", "2 7", "1 9")).to_pylist()
    assert [shown(event, "user_id", "item_id", "event_id") for event in events] == [
        ("1", "7", "1-0"), ("1", "3", "1-1"), ("2", "7", "2-0"), ("1", "9", "1-2"),
    ]  # fmt: skip
    assert [event["occurred_at"] - BEGIN for event in events] == [timedelta(seconds=s) for s in (0, 1, 0, 2)]
    assert {event["type"] for event in events} == {"rating"}


@given(shoppers=st.lists(st.sampled_from("abc")), cuts=st.lists(st.integers(0, 20), max_size=3))
def test_positions_go_on_from_one_block_to_the_next(shoppers: list[str], cuts: list[int]) -> None:
    positions, found = Positions(), []
    borders = [0, *sorted(min(cut, len(shoppers)) for cut in cuts), len(shoppers)]
    for first, last in pairwise(borders):
        found += positions.of(pa.array(shoppers[first:last], pa.string())).tolist()
    assert found == [shoppers[:place].count(shopper) for place, shopper in enumerate(shoppers)]


def test_an_item_taken_twice_is_two_events(tmp_path: Path) -> None:
    assert events_of(sasrec(tmp_path, "1 7", "1 7"))["event_id"].to_pylist() == ["1-0", "1-1"]


def test_it_says_that_there_is_only_an_order_and_nothing_is_cut_by_time(tmp_path: Path) -> None:
    source = sasrec(tmp_path, "1 7", "1 3")
    assert source.order_only
    assert pc.max(pc.cast(events_of(source)["occurred_at"], "int64")).as_py() < source.cutoff


def test_damaged_lines_are_refused_and_do_not_move_their_neighbours(tmp_path: Path) -> None:
    source = sasrec(tmp_path, "1 7", "1", "1 3 5", "1 x", "1 0", "-1 4", "1.0 4", "", "1\t3")
    assert (rows_in(source), events_of(source)["event_id"].to_pylist()) == (8, ["1-0", "1-1"])
    strange = "holds something else than whole numbers from 1"
    assert refused(source) == [
        (2, "is not one user and one item", "1"),
        (3, "is not one user and one item", "1 3 5"),
        (4, strange, "1 x"),
        (5, strange, "1 0"),
        (6, strange, "-1 4"),
        (7, strange, "1.0 4"),
    ]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    source = sasrec(tmp_path)
    (tmp_path / "toy.txt").write_bytes(b"1 7\n1 \xff\n")
    assert refused(source) == [(2, "is not UTF-8", "1 \\xff")]


def test_movies_name_the_items_by_way_of_their_original_ids(tmp_path: Path) -> None:
    lay(tmp_path / "movies.dat", "1198::Small Hours (1981)::Action|Drama", "5::Elsewhere (1990)::Drama")
    lay(tmp_path / "original.txt", "7 1198", "3 42")
    source = sasrec(tmp_path, "1 7", "1 3", movies="movies.dat", original_ids="original.txt")
    items = items_of(source)
    assert sorted(items) == ["3", "7"]
    assert shown(items["7"], "title", "category") == ("Small Hours (1981)", ["Action"])
    assert shown(items["3"], "title", "category") == ("3", [])


def test_a_missing_file_is_named_with_address_and_place(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"toy\.txt is missing; download toy\.txt from https://github\.com/kang205"):
        SASRecFile(folder=tmp_path, file="toy.txt", licence="mine").parts()


def test_a_type_by_which_nobody_shows_interest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.event_type is 'offer'; use one of add_to_cart, click"):
        sasrec(tmp_path, event_type="offer")


def test_the_real_movielens_1m_has_the_counts_of_the_literature() -> None:
    folder = real("ml-1m/ml-1m.txt.gz")[0].parent
    source = SASRecFile(
        folder=folder,
        file="ml-1m.txt",
        licence="GroupLens",
        movies="movies.dat",
        original_ids="sas_to_original_items.txt",
    )
    rows, events, bad = account(source)
    assert (rows, events.num_rows, bad) == (999_611, 999_611, 0)
    counts = [pc.count_distinct(events[name]).as_py() for name in ("user_id", "item_id", "event_id")]
    assert counts == [6_040, 3_416, 999_611]
    items = items_of(source)
    assert len(items) == 3_416
    assert all(item["title"] != item["item_id"] and item["category"] for item in items.values())
