"""The event log: every row accounted for, whole or not at all, read back in order."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.clock import DAY, HOUR
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.errors import ConfigError, DataError, RecsysError, SourceError
from recsys.event import EVENT_SCHEMA, QUARANTINE_SCHEMA, EventType
from recsys.log import build
from recsys.log.disk import locked
from recsys.log.event_files import FILE_SCHEMA, GROUP_ROWS
from recsys.log.reader import EventLog
from recsys.log.writer import log_folder, write_log
from tests.recsys.by_hand import event_table, items_table
from tests.recsys.log.by_hand import Part, Shop, sale, shop


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    rows = [sale("1", 0), sale("2", 0, item_id="b"), sale("1", 5), sale("3", DAY, "bob", type="view")]
    refused = [("no price", "?"), ("no price", "?"), ("no item", "?")]
    more = Part([sale("3", DAY)], [("no item", "!")], {"fuel": 1, "fee": 2}, unfolded=1)
    source = Shop({"a": Part(rows, refused, {"fuel": 4}), "b": more})
    summary = write_log(source, tmp_path / "log")
    assert (summary.rows_in, summary.unfolded) == (15, 1)
    assert (summary.events, summary.duplicates, summary.quarantined, summary.excluded) == (3, 2, 4, 7)
    assert summary.quarantine_reasons == {"no price": 2, "no item": 2}
    assert summary.excluded_reasons == {"fuel": 5, "fee": 2}
    assert summary.types == {"purchase": 2, "view": 1}
    assert (summary.shoppers, summary.items, summary.moments) == (2, 2, 2)
    assert (summary.first, summary.last) == ("1970-01-01T00:00:00+00:00", "1970-01-02T00:00:00+00:00")
    quarantine = EventLog(tmp_path / "log").quarantine()
    assert quarantine["reason"].to_pylist() == ["no price", "no price", "no item", "no item"]
    assert quarantine["raw"].to_pylist() == ["?", "?", "?", "!"]


def test_of_two_rows_with_one_id_the_first_is_kept(tmp_path: Path) -> None:
    write_log(shop(sale("1", 7, item_id="a"), sale("1", 3, item_id="b")), tmp_path / "log")
    assert EventLog(tmp_path / "log").events()["item_id"].to_pylist() == ["a"]


def test_events_come_back_by_shopper_instant_and_id_whatever_the_date(tmp_path: Path) -> None:
    rows = [
        sale("9", 2 * DAY, "bob"),
        sale("5", DAY, "ann"),
        sale("8", 2 * HOUR, "bob"),
        sale("2", DAY, "ann"),
        sale("7", 3 * DAY, None, anonymous_id="aaa"),
        sale("1", DAY + 1, "ann", anonymous_id="zzz"),
    ]
    write_log(shop(*rows), tmp_path / "log")
    events = EventLog(tmp_path / "log").events()
    assert events["event_id"].to_pylist() == ["2", "5", "1", "7", "8", "9"]
    assert events["shopper"].to_pylist() == ["ann", "ann", "ann", "anonymous:aaa", "bob", "bob"]


def test_a_visitor_and_a_user_of_the_same_id_are_two_shoppers(tmp_path: Path) -> None:
    summary = write_log(shop(sale("1", 0, "17"), sale("2", 0, None, anonymous_id="17")), tmp_path / "log")
    assert summary.shoppers == 2
    assert EventLog(tmp_path / "log").events()["shopper"].to_pylist() == ["17", "anonymous:17"]


def test_events_can_be_read_by_type(tmp_path: Path) -> None:
    write_log(shop(sale("1", 0), sale("2", 0, type="view"), sale("3", 0, type="search")), tmp_path / "log")
    events = EventLog(tmp_path / "log").events(EventType.VIEW, EventType.PURCHASE)
    assert events["event_id"].to_pylist() == ["1", "2"]


def test_nothing_but_the_log_is_left_in_its_folder(tmp_path: Path) -> None:
    write_log(Shop({"a": Part([sale("1", 0)], [("no price", "?")])}), tmp_path / "log")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == [
        "log/.lock",
        "log/events/date=1970-01-01/00000001-0000.parquet",
        "log/items/00000001.parquet",
        "log/manifest.json",
        "log/quarantine/00000001-000000.parquet",
    ]


def test_the_files_hold_the_declared_columns_with_ids_as_dictionaries_under_zstd(tmp_path: Path) -> None:
    rows = [
        sale(f"e{n}", 0, f"a user with a long name {n}", session_id=f"a session with a long name {n}")
        for n in range(60_000)
    ]
    write_log(shop(*rows, chunk_rows=50_000), tmp_path / "log")
    (path,) = (tmp_path / "log" / "events").rglob("*.parquet")
    file = pq.ParquetFile(path)
    assert file.schema_arrow.equals(FILE_SCHEMA)
    assert file.schema_arrow.metadata == FILE_SCHEMA.metadata
    columns = [file.metadata.row_group(0).column(number) for number in range(file.metadata.num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    coded = {c.path_in_schema for c in columns if "RLE_DICTIONARY" in c.encodings}
    fallen_back = {c.path_in_schema for c in columns if len(set(c.encodings) - {"RLE", "RLE_DICTIONARY", "PLAIN"})}
    assert {"user_id", "anonymous_id", "session_id", "item_id", "type", "store", "offer_id"} <= coded
    assert "event_id" not in coded, "every event id is another"
    assert fallen_back == {"occurred_at"}
    plain = {c.path_in_schema for c in columns if c.total_uncompressed_size > 60_000 * 20}
    assert plain <= {"user_id", "session_id"}, "written once, in the dictionary"


def test_a_large_date_has_several_row_groups(tmp_path: Path) -> None:
    rows = [sale(f"{n}", n) for n in range(GROUP_ROWS + 1)]
    write_log(shop(*rows, chunk_rows=100_000), tmp_path / "log")
    assert [piece.num_rows for piece in EventLog(tmp_path / "log").days(["item_id"])] == [GROUP_ROWS, 1]


def test_a_date_that_does_not_fit_is_cut_between_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "FILE_ROWS", 10)
    monkeypatch.setattr(build, "DATES_ROWS", 10)
    rows = [sale(f"{n:03d}", n // 7 % 5, f"u{n // 35}") for n in range(140)]
    summary = write_log(shop(*reversed(rows)), tmp_path / "log")
    assert (summary.events, summary.shoppers, summary.moments) == (140, 4, 20)
    pieces = list(EventLog(tmp_path / "log").days(["event_id", "shopper", "occurred_at"]))
    assert len(pieces) > 5
    assert [row for piece in pieces for row in piece["event_id"].to_pylist()] == [f"{n:03d}" for n in range(140)]
    moments = [{(row["shopper"], row["occurred_at"]) for row in piece.to_pylist()} for piece in pieces]
    assert sum(map(len, moments)) == 20, "no moment is in two pieces"


def test_years_far_apart_are_two_dates_and_not_all_those_between(tmp_path: Path) -> None:
    first, last = -62_135_596_800_000_000, 253_402_300_799_999_999  # the first and the last instant of the calendar
    summary = write_log(shop(sale("2", last), sale("1", first), sale("3", 0)), tmp_path / "log")
    assert (summary.first, summary.last) == ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00")
    assert [piece["event_id"].to_pylist() for piece in EventLog(tmp_path / "log").days()] == [["1"], ["3"], ["2"]]


def test_rows_that_no_log_can_hold_are_refused_with_their_text_though_the_source_accepted_them(tmp_path: Path) -> None:
    nobody = {"event_id": "4", "occurred_at": 0, "item_id": "z"}
    rows = [sale("1", 1 << 62), sale("2", 0), sale("3", -(1 << 62)), nobody, sale("5", 0, type=None)]
    summary = write_log(shop(*rows, chunk_rows=10), tmp_path / "log")
    assert (summary.rows_in, summary.events, summary.quarantined) == (5, 1, 4)
    assert summary.quarantine_reasons == {
        "occurred_at is in no calendar": 2,
        "neither user_id nor anonymous_id": 1,
        "no type": 1,
    }
    refused = EventLog(tmp_path / "log").quarantine().to_pylist()
    assert [row["origin"] for row in refused] == ["rows"] * 4
    assert "'event_id': '1'" in refused[0]["raw"]
    assert str(1 << 62) in refused[0]["raw"]


def test_a_source_that_loses_rows_is_refused_with_the_part_and_nothing_is_left(tmp_path: Path) -> None:
    lossy = Shop({"good": Part([sale("1", 0)]), "bad": Part([sale("2", 0), sale("3", 0)], unseen=1)})
    with pytest.raises(DataError, match=r"'shop' read 3 rows of part 'bad' but accounts for 2 accepted .* loses rows"):
        write_log(lossy, tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


def test_a_source_without_a_usable_row_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no usable event out of 2 rows; quarantined: \{'no price': 2\}"):
        write_log(Shop({"a": Part([], [("no price", "")] * 2)}), tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["events/mine/diary.parquet", "thesis.txt", ".work/draft.txt", "items/1.parquet", "cache/x", ".git/HEAD"]
)
def test_a_folder_of_somebody_else_is_refused_and_left_as_it_was(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("dear")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=r"holds no event log but .*; name a folder that is empty or does not exist"):
        write_log(shop(sale("1", 0)), tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_is_empty_or_was_left_by_a_killed_first_writer_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert write_log(shop(sale("1", 0)), tmp_path / "empty").events == 1
    left = (".lock", ".work/intake-000000/rows/0.arrow", "events/date=1980-01-01/00000001-0000.parquet")
    for name in left:
        (tmp_path / "left" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "left" / name).write_text("half")
    assert write_log(shop(sale("1", 0)), tmp_path / "left").events == 1
    assert not (tmp_path / "left" / "events" / "date=1980-01-01").exists()


def test_what_somebody_else_put_into_a_log_stays(tmp_path: Path) -> None:
    write_log(shop(sale("1", 0)), tmp_path)
    (tmp_path / "events" / "notes.parquet").write_text("dear")
    write_log(shop(sale("1", 0), settings="2"), tmp_path)
    assert (tmp_path / "events" / "notes.parquet").read_text() == "dear"


@pytest.mark.parametrize("name", ["../../evil", "/evil", "..", ".hidden", "", "a b", "a\n"])
def test_a_source_whose_name_is_no_name_of_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be the name of a folder; set data\.name="):
        log_folder(shop(name=name), tmp_path)


def test_a_user_who_would_be_taken_for_a_visitor_is_refused(tmp_path: Path) -> None:
    rows = [sale("1", 0, "anonymous:17"), sale("2", 0, None, anonymous_id="17"), sale("3", 0, "not anonymous:17")]
    summary = write_log(shop(*rows, chunk_rows=3), tmp_path / "log")
    assert (summary.events, summary.quarantined, summary.shoppers) == (2, 1, 2)
    (refused,) = EventLog(tmp_path / "log").quarantine().to_pylist()
    assert refused["reason"].startswith("user_id begins with 'anonymous:'")
    assert "'event_id': '1'" in refused["raw"]


def test_a_source_that_breaks_on_the_way_leaves_the_old_log_as_it_was(tmp_path: Path) -> None:
    class Broken(Shop):
        def items(self) -> pa.Table:
            raise SourceError("the item file is torn")

    write_log(shop(sale("1", 0)), tmp_path / "log")
    before = sorted((tmp_path / "log").rglob("*"))
    with pytest.raises(SourceError, match="torn"):
        write_log(Broken({"rows": Part([sale("1", 0)]), "b": Part([sale("2", 0)])}), tmp_path / "log")
    assert EventLog(tmp_path / "log").events().num_rows == 1
    assert sorted((tmp_path / "log").rglob("*")) == before


def test_columns_of_another_order_or_type_are_brought_into_the_schema(tmp_path: Path) -> None:
    class Loose(Shop):
        def parts(self) -> list[SourcePart]:
            return [SourcePart(name="a", digest="1", chunks=self._loose)]

        def _loose(self):  # type: ignore[no-untyped-def]
            table = event_table([sale("1", 0)])
            wide = table.set_column(0, "event_id", table["event_id"].cast(pa.large_string()))
            yield SourceChunk(rows_in=1, events=wide, quarantine=QUARANTINE_SCHEMA.empty_table())

        def items(self) -> pa.Table:
            table = items_table(["a"])
            return table.set_column(0, "item_id", table["item_id"].cast(pa.large_string()))

    write_log(Loose({}), tmp_path / "log")
    log = EventLog(tmp_path / "log")
    assert log.events().schema.remove_metadata().field(0) == EVENT_SCHEMA.field(0)
    assert log.items()["item_id"].to_pylist() == ["a"]


def test_two_writers_at_once_are_refused_and_readers_are_not(tmp_path: Path) -> None:
    write_log(shop(sale("1", 0)), tmp_path / "log")
    with locked(tmp_path / "log"):
        with pytest.raises(ConfigError, match=r"another process is writing the event log .*/log; wait"):
            write_log(shop(sale("1", 0), sale("2", 0), settings="2"), tmp_path / "log")
        assert EventLog(tmp_path / "log").events().num_rows == 1
    assert write_log(shop(sale("1", 0), sale("2", 0), settings="2"), tmp_path / "log").events == 2


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    write_log(shop(sale("1", 0)), tmp_path / "log")
    before = sorted((tmp_path / "log").rglob("*"))
    for left in (".work/x/rows/0.arrow", "events/date=1980-01-01/00000002-0000.parquet", "manifest.json.new"):
        (tmp_path / "log" / left).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "log" / left).write_text("half")
    assert EventLog(tmp_path / "log").events().num_rows == 1, "no reader sees it"
    write_log(shop(sale("1", 0), settings="2"), tmp_path / "log")
    after = sorted(path for path in (tmp_path / "log").rglob("*"))
    assert [path.parent.name for path in after] == [path.parent.name for path in before]


def test_a_log_that_is_replaced_while_it_is_read_says_so(tmp_path: Path) -> None:
    write_log(shop(sale("1", 0)), tmp_path / "log")
    log = EventLog(tmp_path / "log")
    write_log(shop(sale("1", 0), settings="2"), tmp_path / "log")
    with pytest.raises(DataError, match="written anew while it was being read; read it again"):
        log.events()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 2}', '{"schema_version": "two"}'])
def test_a_manifest_that_cannot_be_read_is_not_overwritten_because_it_knows_what_was_erased(
    tmp_path: Path, content: str
) -> None:
    write_log(shop(sale("1", 0)), tmp_path / "log")
    (tmp_path / "log" / "manifest.json").write_text(content)
    for attempt in (lambda: write_log(shop(sale("1", 0)), tmp_path / "log"), lambda: EventLog(tmp_path / "log")):
        with pytest.raises(DataError, match=r"manifest.json cannot be read .* restore it from a backup, or remove"):
            attempt()
    assert (tmp_path / "log" / "manifest.json").read_text() == content


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file, not a folder")
    with pytest.raises(ConfigError, match=r"occupied/log .*set outputs=") as caught:
        write_log(shop(sale("1", 0)), tmp_path / "occupied" / "log")
    assert isinstance(caught.value, RecsysError)


def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no event log .* run: python -m training.ingest"):
        EventLog(tmp_path)


def test_literature_mode_is_part_of_the_summary(tmp_path: Path) -> None:
    assert not write_log(shop(sale("1", 0)), tmp_path / "log").order_only
    assert write_log(shop(sale("1", 0), order_only=True), tmp_path / "ordered").order_only
    assert EventLog(tmp_path / "ordered").order_only


def test_the_fingerprint_follows_settings_and_parts_and_the_folder_the_settings_only(tmp_path: Path) -> None:
    one = write_log(shop(sale("1", 0)), tmp_path / "1").fingerprint
    assert write_log(shop(sale("1", 0)), tmp_path / "2").fingerprint == one
    assert write_log(shop(sale("1", 0), settings="2"), tmp_path / "3").fingerprint != one
    assert write_log(Shop({"rows": Part([sale("1", 0)], version="2")}), tmp_path / "4").fingerprint != one
    assert log_folder(shop(), tmp_path) == tmp_path / "log" / "shop-settings-1"
    assert log_folder(Shop({}), tmp_path) == log_folder(shop(sale("1", 0)), tmp_path)
    assert log_folder(Shop({}, settings="2"), tmp_path) != log_folder(Shop({}), tmp_path)
