"""A log grows part by part, and is at every step what all parts at once would give."""

import resource
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.clock import DAY
from recsys.errors import DataError, SourceError
from recsys.log import arrivals, build, spill
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from tests.recsys.by_hand import items_table
from tests.recsys.log.by_hand import Part, Row, Shop, expected, sale, shopper

ROW = st.builds(
    sale,
    st.integers(0, 30).map(str),
    st.builds(lambda day, time: day * DAY + time, st.integers(-2, 3), st.sampled_from([0, 1, DAY - 1])),
    st.sampled_from(["ann", "bob", "zoë", ""]) | st.none(),
    anonymous_id=st.sampled_from(["x", "y"]),
    type=st.sampled_from(["view", "purchase"]),
    query=st.none() | st.text(max_size=12),
    filters=st.none() | st.lists(st.sampled_from(["size:8", "colour:red"]), max_size=2),
)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where no write waits for a disk."""
PARTS = st.lists(st.lists(ROW, max_size=12), min_size=1, max_size=5)


def shop_of(parts: list[list[Row]]) -> Shop:
    return Shop({f"part-{number}": Part(rows) for number, rows in enumerate(parts)})


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Inode and bytes of every file of events."""
    found = sorted((folder / "events").rglob("*.parquet"))
    return {path.parent.name: (path.stat().st_ino, path.read_bytes()) for path in found}


def stored(log: EventLog) -> list[tuple[object, ...]]:
    columns = ["event_id", "type", "occurred_at", "user_id", "anonymous_id", "query", "filters", "shopper"]
    return [
        tuple(row.values())
        for piece in log.days(columns)
        for row in piece.set_column(2, "occurred_at", pc.cast(piece["occurred_at"], "int64")).to_pylist()
    ]


def wanted(parts: list[list[Row]]) -> list[tuple[object, ...]]:
    names = ("event_id", "type", "occurred_at", "user_id", "anonymous_id", "query", "filters")
    return [(*(row[name] for name in names), shopper(row)) for row in expected(parts)]


@pytest.fixture(params=["as it comes", "in tiny pieces"])
def bounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything that is bounded, as in earnest, and so small that every bound is met."""
    if request.param == "in tiny pieces":
        monkeypatch.setattr(spill, "RUN_BYTES", 200)
        monkeypatch.setattr(build, "DATES_ROWS", 4)
        monkeypatch.setattr(build, "FILE_ROWS", 3)
        monkeypatch.setattr(build, "NOTES_ROWS", 3)
        monkeypatch.setattr(arrivals, "GROUP_ROWS", 3)
    return str(request.param)


@pytest.mark.usefixtures("bounds")
@settings(max_examples=15)
@given(parts=PARTS, data=st.data())
def test_parts_in_any_split_give_what_a_plain_sort_of_the_first_of_every_id_gives(
    parts: list[list[Row]], data: st.DataObject
) -> None:
    whole = shop_of(parts)
    names = list(whole.contents)
    present: set[str] = set()
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    try:
        while present != set(names):
            present |= set(data.draw(st.lists(st.sampled_from(names), min_size=1), label="arrive"))
            some = whole.of(*present)
            rows = [part.rows for part in some.contents.values()]
            if not any(rows):
                continue
            summary = write_log(some, folder / "log")
            log = EventLog(folder / "log")
            assert stored(log) == wanted([list(part) for part in rows])
            kept = expected([list(part) for part in rows])
            assert (summary.events, summary.rows_in) == (len(kept), sum(map(len, rows)))
            assert summary.duplicates == summary.rows_in - summary.events
            assert summary.shoppers == len({shopper(row) for row in kept})
            assert summary.moments == len({(shopper(row), row["occurred_at"]) for row in kept})
            assert some.read == [name for name in some.contents if name in some.read], "in order, once"
        if any(parts):
            assert write_log(whole, folder / "at once") == EventLog(folder / "log").summary
            assert EventLog(folder / "at once").events().equals(EventLog(folder / "log").events())
    finally:
        shutil.rmtree(folder)


def test_only_the_new_part_is_read_and_only_the_dates_it_touches_are_written(tmp_path: Path) -> None:
    whole = Shop(
        {
            "monday": Part([sale("1", 0), sale("2", DAY)]),
            "tuesday": Part([sale("3", DAY + 1), sale("1", DAY + 2), sale("4", 2 * DAY)]),
        }
    )
    write_log(whole.of("monday"), tmp_path / "log")
    before = files(tmp_path / "log")
    summary = write_log(whole, tmp_path / "log")
    after = files(tmp_path / "log")
    assert whole.read == ["tuesday"]
    assert (summary.events, summary.duplicates) == (4, 1)
    assert after["date=1970-01-01"] == before["date=1970-01-01"]
    assert after["date=1970-01-02"] != before["date=1970-01-02"]
    assert set(after) == {"date=1970-01-01", "date=1970-01-02", "date=1970-01-03"}


def test_a_part_that_only_repeats_what_is_known_touches_no_date(tmp_path: Path) -> None:
    whole = Shop({"a": Part([sale("1", 0), sale("2", DAY)]), "b": Part([sale("2", DAY), sale("1", 5 * DAY)])})
    write_log(whole.of("a"), tmp_path / "log")
    before = files(tmp_path / "log")
    summary = write_log(whole, tmp_path / "log")
    assert (summary.events, summary.duplicates, files(tmp_path / "log")) == (2, 2, before)


def test_a_part_that_comes_late_but_is_earlier_in_order_wins_over_the_rows_that_repeat_it(tmp_path: Path) -> None:
    whole = Shop({"1": Part([sale("1", 0)]), "2": Part([sale("x", 5, "late")]), "3": Part([sale("x", DAY, "early")])})
    write_log(whole.of("1", "3"), tmp_path / "log")
    summary = write_log(whole, tmp_path / "log")
    assert whole.read == ["2"]
    assert EventLog(tmp_path / "log").events()["shopper"].to_pylist() == ["ann", "late"]
    assert summary == write_log(whole, tmp_path / "at once")
    assert list(files(tmp_path / "log")) == ["date=1970-01-01"], "the date that lost its only row is gone"


def test_the_same_parts_are_not_read_again_and_nothing_is_written(tmp_path: Path) -> None:
    whole = Shop({"a": Part([sale("1", 0)]), "b": Part([sale("2", 0)])})
    first = write_log(whole, tmp_path / "log")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "log").rglob("*")}
    assert write_log(whole, tmp_path / "log") == first
    assert whole.read == ["a", "b"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "log").rglob("*")} == before


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (Shop({"a": Part([sale("1", 0)], version="2"), "b": Part([sale("2", 0)])}), "the part 'a' changed"),
        (Shop({"c": Part([sale("1", 0)], version="1"), "b": Part([sale("2", 0)])}), "the part 'a' is called 'c' now"),
        (Shop({"a": Part([sale("1", 0)]), "b": Part([sale("2", 0)])}, settings="2"), "the source's settings changed"),
        (Shop({"b": Part([sale("2", 0)]), "a": Part([sale("1", 0)])}), "the parts come in another order"),
    ],
)
def test_what_cannot_be_added_to_is_written_from_scratch_and_says_why(tmp_path: Path, then: Shop, reason: str) -> None:
    before = Shop({"a": Part([sale("1", 0)]), "b": Part([sale("2", 0)])})
    before.digests = then.digests = {"c": "a-1"}
    write_log(before, tmp_path / "log")
    told: list[str] = []
    summary = write_log(then, tmp_path / "log", tell=told.append)
    assert told == [f"log is written from scratch: {reason}"]
    assert then.read == list(then.contents)
    assert summary.events == len(then.contents)


def test_a_thousand_dates_need_few_open_files_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "DATES_ROWS", 100)
    parts = {f"{n}": Part([sale(f"{n}-{day}", day * 3 * DAY) for day in range(1_000)]) for n in range(3)}
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 20, hard))
        try:
            summary = write_log(Shop(parts, chunk_rows=1_000), Path(folder) / "log")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (summary.events, len(list((Path(folder) / "log" / "events").iterdir()))) == (3_000, 1_000)


def test_two_parts_of_one_name_are_refused(tmp_path: Path) -> None:
    class Twice(Shop):
        def parts(self) -> list:  # type: ignore[type-arg]
            return [*super().parts(), *super().parts()]

    with pytest.raises(SourceError, match="more than one part called a; rename one"):
        write_log(Twice({"a": Part([sale("1", 0)])}), tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


def test_items_are_written_anew_only_if_they_changed(tmp_path: Path) -> None:
    whole = Shop({"a": Part([sale("1", 0)]), "b": Part([sale("2", 0)]), "c": Part([sale("3", 0)])})
    write_log(whole.of("a"), tmp_path / "log")
    (first,) = (tmp_path / "log" / "items").iterdir()
    write_log(whole.of("a", "b"), tmp_path / "log")
    assert list((tmp_path / "log" / "items").iterdir()) == [first]
    whole.sold = ["a", "b", "c"]
    write_log(whole, tmp_path / "log")
    (second,) = (tmp_path / "log" / "items").iterdir()
    assert (first.name, pq.read_table(second)["item_id"].to_pylist()) == ("00000001.parquet", ["a", "b", "c"])


@settings(max_examples=15)
@given(parts=PARTS, data=st.data())
def test_parts_given_one_after_the_other_and_not_again_give_what_all_at_once_give(
    parts: list[list[Row]], data: st.DataObject
) -> None:
    parts = [[sale("first", 0)], *parts]
    whole, names = shop_of(parts), list(shop_of(parts).contents)
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    try:
        for place, name in enumerate(names):
            again = data.draw(st.lists(st.sampled_from(names[: place + 1])), label="given again")
            write_log(whole.of(name, *again), folder / "log")
        assert write_log(whole, folder / "at once") == EventLog(folder / "log").summary
        assert EventLog(folder / "at once").events().equals(EventLog(folder / "log").events())
    finally:
        shutil.rmtree(folder)


def test_parts_that_are_not_given_any_more_are_kept_with_their_items_and_it_is_said(tmp_path: Path) -> None:
    whole = Shop({"a": Part([sale("1", 0)], [("bad", "x")]), "b": Part([sale("2", 0, item_id="b")])})
    first, second, told = whole.of("a"), whole.of("b"), list[str]()
    first.sold, second.sold = ["a"], ["b"]
    write_log(first, tmp_path / "log", tell=told.append)
    assert told == []
    summary = write_log(second, tmp_path / "log", tell=told.append)
    assert told == [
        "1 parts of the log are not among the files given; they are kept (rebuild=true writes the log anew from what "
        "is given)"
    ]
    log = EventLog(tmp_path / "log")
    assert log.events()["event_id"].to_pylist() == ["1", "2"]
    assert log.items()["item_id"].to_pylist() == ["a", "b"]
    assert log.quarantine()["raw"].to_pylist() == ["x"]
    assert second.read == ["b"]
    assert summary == write_log(whole, tmp_path / "at once")
    again = whole.of("a", "b")
    assert write_log(again, tmp_path / "log") == summary
    assert again.read == [], "nothing is new"


def test_versions_of_items_that_are_not_given_any_more_stay_and_given_ones_are_the_truth(tmp_path: Path) -> None:
    class Priced(Shop):
        prices: Sequence[tuple[str, int | None, float]] = ()

        def items(self) -> pa.Table:
            table = items_table([item_id for item_id, _, _ in self.prices])
            since = pa.array([at for _, at, _ in self.prices], pa.int64()).cast(pa.timestamp("us", tz="UTC"))
            prices = pa.array([price for _, _, price in self.prices], table.schema.field("price").type)
            table = table.set_column(table.schema.get_field_index("price"), "price", prices)
            return table.set_column(table.schema.get_field_index("valid_from"), "valid_from", since)

    first, second = Priced({"a": Part([sale("1", 0)])}), Priced({"b": Part([sale("2", 0)])})
    first.prices = [("a", None, 1.0), ("a", 5, 2.0), ("c", None, 9.0), ("gone", 7, 4.0)]
    second.prices = [("a", 8, 3.0), ("b", None, 6.0), ("c", None, 8.0)]
    write_log(first, tmp_path / "log")
    write_log(second, tmp_path / "log")
    versions = EventLog(tmp_path / "log").item_versions()
    since = pc.cast(versions["valid_from"], pa.int64()).to_pylist()
    assert list(zip(versions["item_id"].to_pylist(), since, versions["price"].to_pylist(), strict=True)) == [
        ("a", None, 1.0),
        ("a", 5, 2.0),
        ("a", 8, 3.0),
        ("b", None, 6.0),
        ("c", None, 8.0),
        ("gone", 7, 4.0),
    ]


def test_a_rebuild_holds_what_is_given_and_nothing_else(tmp_path: Path) -> None:
    whole = Shop({"a": Part([sale("1", 0)]), "b": Part([sale("2", 0)])})
    write_log(whole, tmp_path / "log")
    told: list[str] = []
    rest = whole.of("b")
    assert write_log(rest, tmp_path / "log", tell=told.append, rebuild=True) == write_log(rest, tmp_path / "fresh")
    assert told == ["log is written from scratch: rebuild=true"]


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ({"b": Part([sale("2", 0)], version="2"), "c": Part([sale("3", 0)])}, "the part 'b' changed"),
        ({"c": Part([sale("3", 0)]), "b": Part([sale("2", 0)])}, "the parts come in another order"),
    ],
)
def test_a_log_is_not_written_from_scratch_where_that_would_lose_parts(
    tmp_path: Path, then: dict[str, Part], reason: str
) -> None:
    whole = Shop({"a": Part([sale("1", 0)]), "b": Part([sale("2", 0)]), "c": Part([sale("3", 0)])})
    before = write_log(whole, tmp_path / "log")
    with pytest.raises(DataError, match=rf"{reason}, .* 1 of its parts .* \('a'\); give all files, or .*rebuild=true"):
        write_log(Shop(then), tmp_path / "log")
    assert EventLog(tmp_path / "log").summary == before
