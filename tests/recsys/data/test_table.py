"""The `table` source gives anybody's CSV or Parquet its canonical meaning."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.clock import ManualClock, parse_instant, to_datetime
from recsys.data.chunk import chunks_of
from recsys.errors import ConfigError, SourceError
from recsys.event import EVENT_SCHEMA, ITEM_SCHEMA
from recsys.log.writer import write_log
from tests.recsys.data.small_logs import COLUMNS, HEADER, events, refused, single, source, write


def test_a_row_becomes_an_event_in_canonical_words(tmp_path):
    path = write(tmp_path / "log.csv", "2024-01-02T10:00:00+01:00,buy,ann,i7,2,3.50,x")
    chunk = single(source(path, constants={"currency": "EUR"}))
    (event,) = chunk.events.to_pylist()
    assert chunk.events.schema.equals(EVENT_SCHEMA)
    assert (event["type"], event["user_id"], event["item_id"]) == ("purchase", "ann", "i7")
    assert event["occurred_at"] == to_datetime(parse_instant("2024-01-02T09:00:00Z"))
    assert (event["quantity"], event["price"], event["currency"]) == (2.0, 3.5, "EUR")
    assert (chunk.rows_in, chunk.quarantine.num_rows, chunk.excluded) == (1, 0, {})


@pytest.mark.parametrize(
    ("time_format", "text"),
    [
        ("iso", "2024-01-02T03:04:05Z"),
        ("iso", "2024-01-02 03:04:05"),
        ("iso", "2024-01-02 03:04:05 UTC"),
        ("iso", "2024-01-02T04:04:05.000000000+01:00"),
        ("epoch_s", "1704164645"),
        ("epoch_s", "1704164645.0"),
        ("epoch_ms", "1704164645000"),
        ("epoch_us", "1704164645000000"),
        ("%d.%m.%Y %H:%M:%S", "02.01.2024 03:04:05"),
    ],
)
def test_one_instant_may_be_written_in_many_ways(tmp_path, time_format, text):
    path = write(tmp_path / "log.csv", f"{text},buy,ann,i1,1,2,")
    (event,) = events(source(path, time_format=time_format))
    assert event["occurred_at"] == to_datetime(parse_instant("2024-01-02T03:04:05Z"))


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2024-01-15 12:00:00", "2024-01-15T11:00:00Z"),
        ("2024-07-15 12:00:00", "2024-07-15T10:00:00Z"),
        ("2024-10-27 02:30:00", "2024-10-27T00:30:00Z"),
        ("2024-03-31 02:30:00", "2024-03-31T01:00:00Z"),
    ],
    ids=["winter", "summer", "the-first-of-two", "never-happened"],
)
def test_local_stamps_are_read_in_their_zone(tmp_path, local, utc):
    path = write(tmp_path / "log.csv", f"{local},buy,ann,i1,1,2,")
    (event,) = events(source(path, stamp_zone="Europe/Berlin", clock=ManualClock(parse_instant("2025-01-01"))))
    assert event["occurred_at"] == to_datetime(parse_instant(utc))


def test_stamps_with_and_without_offset_may_stand_in_one_file(tmp_path):
    path = write(tmp_path / "log.csv", "2024-01-01T10:00:00Z,buy,a,i,1,2,", "2024-01-01 12:00:00,buy,b,i,1,2,")
    first, second = events(source(path, stamp_zone="Europe/Berlin"))
    assert (second["occurred_at"] - first["occurred_at"]).total_seconds() == 3600


def test_a_log_of_one_kind_takes_its_type_from_the_settings(tmp_path):
    path = write(tmp_path / "log.csv", "2024-01-01,ann,i1", header="when,who,item")
    columns = {"occurred_at": "when", "user_id": "who", "item_id": "item"}
    (event,) = events(source(path, columns=columns, type_values={}, constants={"type": "view"}))
    assert (event["type"], event["quantity"], event["price"]) == ("view", 1.0, None)


def test_types_mapped_to_nothing_are_left_out_and_counted(tmp_path):
    rows = [f"2024-01-01,{what},ann,i1,1,2," for what in ("buy", "scroll", "view", "scroll")]
    chunk = single(source(write(tmp_path / "log.csv", *rows, "bad,scroll,,,,,"), type_values={"scroll": None}))
    assert chunk.excluded == {"type scroll": 3}
    assert chunk.events["type"].to_pylist() == ["view"]
    assert chunk.quarantine["reason"].to_pylist() == ["type is unknown"]
    assert chunk.rows_in == 5


def test_a_search_needs_no_item(tmp_path):
    path = write(tmp_path / "log.csv", "2024-01-01,search,ann,,,,", "2024-01-01,view,ann,,,,")
    table = source(path)
    assert [event["type"] for event in events(table)] == ["search"]
    assert [reason for _, reason, _ in refused(table)] == ["item is missing"]


def test_reading_again_gives_the_same_ids_wherever_the_folder_stands(tmp_path):
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        write(tmp_path / place / "a.csv", *["2024-01-01,buy,ann,i1,1,2,"] * 3)
        write(tmp_path / place / "b.csv", "2024-01-01,buy,ann,i1,1,2,")
    ids = [[event["event_id"] for event in events(source(tmp_path / p / "*.csv"))] for p in ("here", "there")]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 4


def test_files_of_one_name_in_two_folders_keep_their_ids_apart(tmp_path):
    for place in ("may", "june"):
        (tmp_path / place).mkdir()
        write(tmp_path / place / "log.csv", "2024-01-01,buy,ann,i1,1,2,")
    files = [str(tmp_path / place / "log.csv") for place in ("may", "june")]
    assert len({event["event_id"] for event in events(source(files))}) == 2
    assert len(events(source([*files, str(tmp_path / "**" / "*.csv")]))) == 2


def test_the_shops_own_ids_make_duplicates_visible_to_the_log(tmp_path):
    rows = ["2024-01-01,buy,ann,i1,1,2,o1", "2024-01-01,buy,ann,i2,1,2,o1", "2024-01-01,buy,ann,i1,1,2,o1"]
    path = write(tmp_path / "log.csv", *rows, "2024-01-01,buy,ann,i1,1,2,", "bad,buy,ann,i1,1,2,o2")
    table = source(path, columns={**COLUMNS, "event_id": ["note", "item"]})
    assert [event["event_id"] for event in events(table)] == ["o1-i1", "o1-i2", "o1-i1"]
    summary = write_log(table, tmp_path / "out")
    assert (summary.rows_in, summary.events, summary.duplicates, summary.quarantined) == (5, 2, 1, 2)
    assert summary.quarantine_reasons == {"event id is missing": 1, "time is unreadable": 1}


def test_compressed_files_and_other_delimiters_are_read(tmp_path):
    path = tmp_path / "log.tsv.gz"
    path.write_bytes(gzip.compress(b"2024-01-01\tbuy\tann\ti1\t1\t2\t\n"))
    (event,) = events(source(path, delimiter="\t", header=HEADER.split(",")))
    assert event["item_id"] == "i1"


def test_parquet_keeps_its_types(tmp_path):
    table = pa.table(
        {
            "when": pa.array([1_704_110_400, None], pa.timestamp("s")).cast(pa.timestamp("ns")),
            "what": pa.array(["buy", "buy"]).dictionary_encode(),
            "who": pa.array([17, 18]),
            "item": pa.array([5.0, 6.0]),
            "units": pa.array([2, 2]),
            "price": pa.array([1.5, float("nan")], pa.float32()),
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    read = source(tmp_path / "log.parquet", stamp_zone="Europe/Berlin")
    (event,) = events(read)
    assert (event["user_id"], event["item_id"], event["quantity"], event["price"]) == ("17", "5", 2.0, 1.5)
    assert event["occurred_at"] == to_datetime(parse_instant("2024-01-01T11:00:00Z"))
    assert [(row, reason) for row, reason, _ in refused(read)] == [(1, "time is missing")]


def test_bytes_that_are_not_utf8_are_refused_in_parquet_too(tmp_path):
    who = pa.Array.from_buffers(pa.string(), 2, pa.array([b"ann", b"b\xff"]).buffers())
    rows = pa.table({"when": ["2024-01-01"] * 2, "what": ["buy"] * 2, "who": who, "item": ["i"] * 2})
    pq.write_table(rows, tmp_path / "log.parquet")
    read = source(tmp_path / "log.parquet", columns={k: v for k, v in COLUMNS.items() if v in rows.column_names})
    assert [(row, reason) for row, reason, _ in refused(read)] == [(1, "is not UTF-8")]
    assert [event["user_id"] for event in events(read)] == ["ann"]


def test_what_event_files_say_of_an_item_is_true_from_the_event_on(tmp_path):
    rows = [
        "2024-01-01,view,a,i1,1,2,Old",
        "2024-01-02,view,a,i1,1,3,New",
        "2024-01-03,view,a,i1,1,,",
        "bad,view,a,i3,1,2,Z",
    ]
    path = write(tmp_path / "log.csv", *rows, "2024-01-01,view,a,i2,1,4,")
    items = source(path, item_columns={"title": "note", "price": "price"}, constants={"currency": "EUR"}).items()
    assert items.schema.equals(ITEM_SCHEMA)
    shown = [(item["item_id"], item["title"], item["price"], item["valid_from"].day) for item in items.to_pylist()]
    assert shown == [("i1", "Old", 2.0, 1), ("i1", "New", 3.0, 2), ("i2", "i2", 4.0, 1)]
    assert set(items["currency"].to_pylist()) == {"EUR"}


def test_items_come_from_their_own_file_and_sold_ones_that_it_lacks_are_added(tmp_path):
    log = write(tmp_path / "log.csv", "2024-01-01,buy,a,i1,1,2,", "2024-01-01,buy,a,i9,1,2,")
    header = "sku,name,dept,aisle,maker,cost,listed,since,size"
    lamp = "i2,Lamp,Home,,Lux,-1,no,2023-05-01,XL"
    write(tmp_path / "items.csv", "i1,Tea,Food,Drinks,Leaf,2.5,yes,2020-01-01,", lamp, header=header)
    (tea, lamp_, extra) = source(
        log,
        item_files=str(tmp_path / "items.csv"),
        item_columns={
            "item_id": "sku", "title": ["name", "maker"], "category": ["dept", "aisle"], "brand": "maker",
            "price": "cost", "available": "listed", "created_at": "since",
        },
        item_attributes=["size"],
    ).items().to_pylist()  # fmt: skip
    assert (tea["title"], tea["category"], tea["price"], tea["available"]) == (
        "Tea, Leaf",
        ["Food", "Drinks"],
        2.5,
        True,
    )
    assert (lamp_["category"], lamp_["price"], lamp_["available"], lamp_["attributes"]) == (
        ["Home"], None, False, [("size", "XL")],
    )  # fmt: skip
    assert lamp_["created_at"] == to_datetime(parse_instant("2023-05-01"))
    assert (extra["item_id"], extra["title"], extra["category"], extra["available"]) == ("i9", "i9", [], True)


def test_an_item_file_with_broken_rows_warns_and_goes_on(tmp_path, caplog):
    log = write(tmp_path / "log.csv", "2024-01-01,buy,a,i1,1,2,")
    write(tmp_path / "items.csv", "i1,Tea", "i2,Salt,extra", header="sku,name")
    columns = {"item_id": "sku", "title": "name"}
    items = source(log, item_files=str(tmp_path / "items.csv"), item_columns=columns).items()
    assert items["title"].to_pylist() == ["Tea"]
    assert "1 rows of items.csv describe no item; the first is row 3: too many fields" in caplog.text


def test_the_fingerprint_follows_content_and_settings_but_not_the_place(tmp_path):
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        write(tmp_path / place / "log.csv", "2024-01-01,buy,ann,i1,1,2,")
    here, there = source(tmp_path / "here" / "log.csv"), source(tmp_path / "there" / "log.csv")
    (part,), (same) = here.parts(), there.parts()
    assert there.fingerprint() == here.fingerprint()
    assert [(p.name, p.digest) for p in same] == [(part.name, part.digest)]
    assert source(tmp_path / "there" / "log.csv", stamp_zone="Asia/Tokyo").fingerprint() != here.fingerprint()
    write(tmp_path / "there" / "log.csv", "2024-01-01,buy,ann,i1,1,3,")
    assert there.parts()[0].digest != part.digest


def test_a_column_that_the_file_lacks_is_named_beside_those_there_are(tmp_path):
    path = write(tmp_path / "log.csv", header="when,what,who,article")
    with pytest.raises(SourceError, match=r"has no column 'item', 'price', 'units'; it has: when, what, who, article"):
        list(chunks_of(source(path)))


def test_files_that_are_missing_cut_off_or_of_another_kind_are_refused_by_name(tmp_path):
    with pytest.raises(
        SourceError, match=rf"no file matches .*nothing\*.*; {tmp_path} holds nothing; give data\.files"
    ):
        source(tmp_path / "nothing*.csv").parts()
    with pytest.raises(
        SourceError, match=rf"; there is no folder {tmp_path / 'nope'}; give data\.files .* 'data/\*\.csv'"
    ):
        source(tmp_path / "nope" / "*.csv").parts()
    with pytest.raises(SourceError, match=r"it is a folder, write .*\*\.csv"):
        source(tmp_path).parts()
    (tmp_path / "log.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(SourceError, match=r"log\.parquet is not a readable Parquet file"):
        list(chunks_of(source(tmp_path / "log.parquet")))
    row = b"2024-01-01,buy,ann,i1,1,2,\n" * 50_000
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(HEADER.encode() + b"\n" + row)[:-3000])
    with pytest.raises(SourceError, match=r"log\.csv\.gz cannot be read to its end"):
        list(chunks_of(source(tmp_path / "log.csv.gz")))


def test_numbers_in_a_time_column_need_their_unit(tmp_path):
    pq.write_table(
        pa.table({"when": [1704164645], "what": ["buy"], "who": ["a"], "item": ["i"]}), tmp_path / "l.parquet"
    )
    columns = {"occurred_at": "when", "type": "what", "user_id": "who", "item_id": "item"}
    with pytest.raises(
        SourceError, match=r"has int64 in 'when', which time_format 'iso' cannot read; set it to epoch_s"
    ):
        list(chunks_of(source(tmp_path / "l.parquet", columns=columns)))
    assert len(events(source(tmp_path / "l.parquet", columns=columns, time_format="epoch_s"))) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"columns": {**COLUMNS, "colour": "note"}},
            r"data\.columns has no 'colour'; it may have: .*user_id",
        ),
        ({"columns": {"type": "what"}}, r"does not say which column is 'occurred_at'"),
        ({"columns": {k: v for k, v in COLUMNS.items() if k != "user_id"}}, "needs user_id or anonymous_id"),
        ({"columns": {k: v for k, v in COLUMNS.items() if k != "type"}}, "has no event type"),
        ({"constants": {"price": 1.0}}, "gives price both as a column and as a constant"),
        (
            {"type_values": {"buy": "bought"}},
            r"data\.type_values\.buy is 'bought', which is no type of event here; use one of view, click",
        ),
        ({"time_format": "unix"}, "use iso, epoch_s, epoch_ms, epoch_us or a pattern with %"),
        ({"stamp_zone": "Berlin"}, r"data\.stamp_zone is 'Berlin', which is no IANA zone"),
        ({"time_zone": "Mars/Base"}, r"data\.time_zone is 'Mars/Base'"),
        ({"delimiter": "::"}, "give a single character"),
        ({"item_files": "items.csv"}, r"needs item_columns\.item_id"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value),
)
def test_settings_that_cannot_work_are_refused_before_any_reading(settings, message):
    with pytest.raises(ConfigError, match=message):
        source("log.csv", **settings)
