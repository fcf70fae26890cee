"""`user item item ...` lines with attributes: hand-written files, and the real ones of Amazon Beauty and Sports."""

from datetime import timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest

from recsys.data.s3rec_file import S3RecFile
from recsys.errors import SourceError
from tests.recsys.data.accounts import account, events_of, items_of, refused, rows_in
from tests.recsys.data.raw_sets import lay, parts_that_change, real, shown


def s3rec(folder: Path, *lines: str, attributes: str | None = None) -> S3RecFile:
    lay(folder / "toy.txt", *lines)
    name = None
    if attributes is not None:
        lay(folder / (name := "toy_item2attributes.json"), attributes)
    return S3RecFile(folder=folder, file="toy.txt", licence="mine", attributes=name)


def test_a_line_is_a_users_whole_history(tmp_path: Path) -> None:
    source = s3rec(tmp_path, "1 7 3 7", "2 9")
    events = events_of(source).to_pylist()
    assert [shown(event, "user_id", "item_id", "event_id") for event in events] == [
        ("1", "7", "1-0"), ("1", "3", "1-1"), ("1", "7", "1-2"), ("2", "9", "2-0"),
    ]  # fmt: skip
    assert events[2]["occurred_at"] - events[0]["occurred_at"] == timedelta(seconds=2)
    assert rows_in(source) == 2, "four events of two rows: two unfolded"
    assert source.order_only


def test_a_second_line_of_a_user_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    events = events_of(s3rec(tmp_path, "1 7 3", "2 9", "1 5"))
    assert events["event_id"].to_pylist() == ["1-0", "1-1", "2-0", "1-2"]


def test_damaged_lines_are_refused_whole(tmp_path: Path) -> None:
    source = s3rec(tmp_path, "1 7 3", "2", "3 4 nan 5", "4 8")
    assert refused(source) == [
        (2, "is not a user and items", "2"),
        (3, "holds something else than whole numbers from 1", "3 4 nan 5"),
    ]
    assert events_of(source)["item_id"].to_pylist() == ["7", "3", "8"]


def test_attributes_become_a_path_from_the_commonest_to_the_rarest(tmp_path: Path) -> None:
    source = s3rec(tmp_path, "1 7 3 5 2", attributes='{"7": [90, 1, 4], "3": [1, 4], "5": [1], "6": [4, 1, 1]}')
    items = items_of(source)
    assert sorted(items) == ["2", "3", "5", "7"], "those of the histories, described or not"
    assert items["7"]["category"] == ["1", "4", "90"], "four items have 1, three have 4, one has 90"
    assert items["7"]["attributes"] == [("attribute_ids", "90 1 4")]
    assert shown(items["2"], "title", "category", "attributes") == ("2", [], None)


@pytest.mark.parametrize("text", ["[1, 2]", '{"7": 3}', '{"7": ["red"]}', '{"7": [1', "nothing"])
def test_an_attribute_file_of_another_shape_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError, match=r"toy_item2attributes\.json is no JSON object of items"):
        s3rec(tmp_path, "1 7", attributes=text).items()


def test_a_missing_file_is_named_with_address_and_place(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.txt is missing; download a\.txt from https://github\.com/RUCAIBox"):
        S3RecFile(folder=tmp_path, file="a.txt", licence="mine").parts()


@pytest.mark.parametrize(
    ("stem", "users", "items", "interactions"),
    [("Beauty", 22_363, 12_101, 198_502), ("Sports_and_Outdoors", 35_598, 18_357, 296_337)],
)
def test_the_real_amazon_files_have_the_counts_of_the_literature(
    stem: str, users: int, items: int, interactions: int
) -> None:
    folder = real(f"amazon/{stem}.txt.gz", f"amazon/{stem}_item2attributes.json.gz")[0].parent
    source = S3RecFile(folder=folder, file=f"{stem}.txt", licence="research", attributes=f"{stem}_item2attributes.json")
    rows, events, bad = account(source)
    counts = [pc.count_distinct(events[name]).as_py() for name in ("user_id", "item_id", "event_id")]
    assert (rows, counts, bad) == (users, [users, items, interactions], 0)
    assert all(item["category"] for item in items_of(source).values())


def test_a_log_notices_that_the_attributes_changed(tmp_path: Path) -> None:
    source = s3rec(tmp_path, "1 7 3", attributes='{"7": [90]}')
    changed = parts_that_change(source, tmp_path / "toy_item2attributes.json", " ")
    assert changed == ["items: toy_item2attributes.json"]
    assert [part.name for part in s3rec(tmp_path, "1 7 3").parts()] == ["toy.txt"]
