"""An erased shopper is in no file, stays out, and the receipt does not say who it was."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.clock import DAY, ManualClock, parse_instant
from recsys.errors import ConfigError, DataError, SourceError
from recsys.log.erase import Named, Receipt, erase
from recsys.log.manifest import commit, read_manifest
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from tests.recsys.log.by_hand import Part, Shop, sale

ANN, DEVICE = "ann.smith@example.org", "device-77f0"
CLOCK = ManualClock(parse_instant("2024-05-01T12:00:00"))


def store() -> Shop:
    first = Part(
        [
            sale("1", 0, ANN),
            sale("2", 1, ANN, anonymous_id=DEVICE),
            sale("3", 2, None, anonymous_id=DEVICE),
            sale("4", 2, "bob"),
            sale("5", DAY, "bob", anonymous_id=DEVICE),
            sale("6", DAY, "bob", anonymous_id=DEVICE, type="link"),
            sale("7", 2 * DAY, "cat", item_id="b"),
            sale("8", 3 * DAY, ANN, item_id="only hers"),
        ],
        [("no price", f"9,{ANN},a"), ("no price", "10,bob,a"), ("no item", f"visitor={DEVICE};")],
    )
    return Shop({"monday": first, "tuesday": Part([sale("4", 9, ANN), sale("11", 2 * DAY, "dan")])})


def asked(folder: Path, text: str) -> Receipt:
    return erase(folder, Named.parse(text), clock=CLOCK)


def traces(folder: Path, text: str) -> list[Path]:
    """Files that hold a text, in their bytes or, decompressed, in any value of any column."""
    found = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            content += str(file.read().to_pylist()).encode() + str(file.metadata.to_dict()).encode()
        if text.encode() in content:
            found.append(path)
    return found


def inodes(folder: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_ino for path in (folder / "events").rglob("*.parquet")}


def test_no_file_of_the_log_holds_an_erased_user_or_their_visitor_any_more(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_log(store(), log)
    derived = EventLog(log).cache_folder / "histories-1" / "shoppers.txt"
    derived.parent.mkdir(parents=True)
    derived.write_text(f"{ANN}\nbob\n")
    assert len(traces(log, ANN)) == 4
    assert len(traces(log, DEVICE)) == 3
    asked(log, f"user:{ANN}")
    assert traces(log, ANN) == traces(log, DEVICE) == []
    assert not derived.parent.parent.exists()
    events = EventLog(log).events()
    assert events["event_id"].to_pylist() == ["4", "5", "7", "11"]
    assert events["shopper"].to_pylist() == ["bob", "bob", "cat", "dan"]
    assert events["anonymous_id"].null_count == 4
    assert EventLog(log).quarantine()["raw"].to_pylist() == ["10,bob,a"]


def test_every_row_is_still_accounted_for(tmp_path: Path) -> None:
    before = write_log(store(), tmp_path / "log")
    assert (before.rows_in, before.events, before.duplicates, before.quarantined) == (13, 9, 1, 3)
    asked(tmp_path / "log", f"user:{ANN}")
    after = EventLog(tmp_path / "log").summary
    assert (after.rows_in, after.events, after.duplicates, after.quarantined, after.erased) == (13, 4, 1, 1, 7)
    assert (after.shoppers, after.items, after.moments) == (3, 2, 4)
    assert after.quarantine_reasons == {"no price": 1}
    assert after.types == {"purchase": 4}
    assert (after.first, after.last[:10]) == ("1970-01-01T00:00:00.000002+00:00", "1970-01-03")


def test_only_the_dates_with_rows_of_the_shopper_are_written_anew(tmp_path: Path) -> None:
    write_log(store(), tmp_path / "log")
    before = inodes(tmp_path / "log")
    asked(tmp_path / "log", f"user:{ANN}")
    after = inodes(tmp_path / "log")
    assert set(before) - set(after) == {"date=1970-01-04"}, "it held nothing else"
    assert [date for date in after if after[date] == before[date]] == ["date=1970-01-03"]


def test_the_receipt_says_what_went_and_not_who(tmp_path: Path) -> None:
    before = write_log(store(), tmp_path / "log").fingerprint
    receipt = asked(tmp_path / "log", f"user:{ANN}")
    (path,) = (tmp_path / "log" / "receipts").iterdir()
    stored = json.loads(path.read_text())
    assert stored == {
        "at": "2024-05-01T12:00:00+00:00",
        "kind": "user",
        "digests": list(receipt.digests),
        "events": 5,
        "blanked": 1,
        "quarantined": 2,
        "files_rewritten": 4,
        "cache_files": 0,
        "fingerprint_before": before,
        "fingerprint": EventLog(tmp_path / "log").fingerprint,
    }
    assert len(receipt.digests) == 2, "the user's and the visitor's"
    assert stored["fingerprint"] != before


def test_ingesting_again_does_not_bring_an_erased_shopper_back(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write_log(store(), log)
    asked(log, f"user:{ANN}")
    erased = EventLog(log).events()
    same = store()
    write_log(same, log)
    assert same.read == [], "nothing is new"
    more = store()
    more.contents["wednesday"] = Part(
        [sale("20", DAY, ANN), sale("21", DAY, None, anonymous_id=DEVICE), sale("22", DAY, "eve")],
        [("no price", f"23 {ANN}")],
    )
    summary = write_log(more, log)
    assert (summary.events, summary.erased, summary.quarantined) == (5, 10, 1)
    assert traces(log, ANN) == traces(log, DEVICE) == []
    changed = store()
    changed.settings = "2"
    summary = write_log(changed, log)
    assert changed.read == ["monday", "tuesday"], "from scratch"
    assert EventLog(log).events().equals(erased)
    assert (summary.rows_in, summary.erased, summary.duplicates) == (13, 8, 0), (
        "a row that repeats and is erased is erased"
    )
    assert traces(log, ANN) == traces(log, DEVICE) == []
    assert len(list((log / "receipts").iterdir())) == 1


def test_a_log_of_the_same_source_with_other_settings_keeps_the_shopper_out_from_the_start(tmp_path: Path) -> None:
    write_log(store(), tmp_path / "shop-settings-1")
    asked(tmp_path / "shop-settings-1", f"user:{ANN}")
    write_log(store(), tmp_path / "shop-settings-2")
    assert traces(tmp_path / "shop-settings-2", ANN) == []
    assert EventLog(tmp_path / "shop-settings-2").summary.erased == 8


def test_new_rows_that_link_another_visitor_to_an_erased_user_take_that_visitor_with_them(tmp_path: Path) -> None:
    log = tmp_path / "log"
    whole = Shop(
        {
            "a": Part([sale("1", 0, ANN), sale("2", 0, None, anonymous_id=DEVICE), sale("3", DAY, "bob")]),
            "b": Part([sale("4", DAY, None, anonymous_id=DEVICE), sale("5", DAY, ANN, anonymous_id=DEVICE)]),
        }
    )
    write_log(whole.of("a"), log)
    asked(log, f"user:{ANN}")
    assert EventLog(log).events()["event_id"].to_pylist() == ["2", "3"], "not known to be hers yet"
    told: list[str] = []
    summary = write_log(whole, log, tell=told.append, clock=CLOCK)
    assert told == ["the new rows link further visitors to erased users: they are erased, too"]
    assert (summary.events, summary.erased) == (1, 4)
    assert traces(log, DEVICE) == []
    assert len(list((log / "receipts").iterdir())) == 2
    assert write_log(whole, log) == summary


def test_a_visitor_can_be_erased_alone_and_a_user_of_the_same_id_stays(tmp_path: Path) -> None:
    rows = [
        sale("1", 0, "17"),
        sale("2", 0, None, anonymous_id="17"),
        sale("3", 1, "bob", anonymous_id="17"),
        sale("4", 1, None, anonymous_id="18"),
    ]
    write_log(Shop({"a": Part(rows)}), tmp_path / "log")
    receipt = asked(tmp_path / "log", "anonymous:17")
    events = EventLog(tmp_path / "log").events()
    assert events["event_id"].to_pylist() == ["1", "4", "3"]
    assert events["anonymous_id"].to_pylist() == [None, "18", None]
    assert (receipt.events, receipt.blanked) == (1, 1)


def test_an_id_in_refused_text_counts_as_a_word_of_its_own_only(tmp_path: Path) -> None:
    texts = ["7", "17", "u=7;", "77", "x7", "7x", "(7)", "7é", "é7", "4.7"]
    write_log(Shop({"a": Part([sale("1", 0)], [("bad", text) for text in texts])}), tmp_path / "log")
    asked(tmp_path / "log", "user:7")
    assert EventLog(tmp_path / "log").quarantine()["raw"].to_pylist() == ["17", "77", "x7", "7x", "7é", "é7"]


def test_a_shopper_without_rows_is_kept_out_all_the_same(tmp_path: Path) -> None:
    whole = Shop({"a": Part([sale("1", 0)]), "b": Part([sale("2", 0, "zed")])})
    write_log(whole.of("a"), tmp_path / "log")
    before = inodes(tmp_path / "log")
    receipt = asked(tmp_path / "log", "user:zed")
    assert (receipt.events, receipt.files_rewritten) == (0, 0)
    assert inodes(tmp_path / "log") == before
    assert write_log(whole, tmp_path / "log").events == 1


def test_a_log_of_nobody_else_is_empty_and_can_be_added_to(tmp_path: Path) -> None:
    whole = Shop({"a": Part([sale("1", 0)]), "b": Part([sale("2", 0, "bob")])})
    write_log(whole.of("a"), tmp_path / "log")
    asked(tmp_path / "log", "user:ann")
    log = EventLog(tmp_path / "log")
    assert (log.events().num_rows, log.summary.first, list(log.days())) == (0, "", [])
    assert write_log(whole, tmp_path / "log").events == 1


def test_erasures_add_up(tmp_path: Path) -> None:
    write_log(store(), tmp_path / "log")
    for who in ("user:bob", f"user:{ANN}", "user:bob", "anonymous:nobody"):
        asked(tmp_path / "log", who)
    assert EventLog(tmp_path / "log").events()["shopper"].to_pylist() == ["cat", "dan"]
    assert len(list((tmp_path / "log" / "receipts").iterdir())) == 4
    changed = store()
    changed.settings = "2"
    assert write_log(changed, tmp_path / "log").events == 2


def test_dates_of_several_files_stay_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.log.build.FILE_ROWS", 10)
    monkeypatch.setattr("recsys.log.build.DATES_ROWS", 10)
    rows = [sale(f"{n:03d}", n, f"u{n // 8:02d}") for n in range(64)]
    write_log(Shop({"a": Part(rows)}), tmp_path / "log")
    asked(tmp_path / "log", "user:u00")
    ids = [
        event_id
        for piece in EventLog(tmp_path / "log").days(["event_id"])
        for event_id in piece["event_id"].to_pylist()
    ]
    assert ids == [f"{n:03d}" for n in range(8, 64)]


@pytest.mark.parametrize("text", ["ann", "user:", "person:ann", "", ":ann"])
def test_a_shopper_is_named_as_a_user_or_as_a_visitor(text: str) -> None:
    with pytest.raises(ConfigError, match="write shopper=user:ID, or shopper=anonymous:ID"):
        Named.parse(text)


def test_an_id_may_hold_colons() -> None:
    assert Named.parse("user:a:b") == Named("user", "a:b")


def test_where_there_is_no_log_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no event log"):
        asked(tmp_path / "none", "user:ann")
    assert list(tmp_path.iterdir()) == []


def test_an_erasure_that_breaks_leaves_the_log_and_its_cache_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    write_log(store(), tmp_path / "log")
    before = sorted((tmp_path / "log").rglob("*"))
    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        asked(tmp_path / "log", f"user:{ANN}")
    assert sorted((tmp_path / "log").rglob("*")) == before
    assert EventLog(tmp_path / "log").events().num_rows == 9


def test_files_changed_by_somebody_else_do_not_add_up(tmp_path: Path) -> None:
    write_log(store(), tmp_path / "log")
    path = next((tmp_path / "log" / "events" / "date=1970-01-03").iterdir())
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table]), path)
    with pytest.raises(DataError, match="changed by somebody else"):
        asked(tmp_path / "log", "user:cat")


def test_refused_rows_of_several_writes_stay_one_file_each_and_lose_the_shopper_only(tmp_path: Path) -> None:
    refused = {
        "monday": [("no price", f"1,{ANN}"), ("no price", "2,bob")],
        "tuesday": [("no item", f"3,{ANN}"), ("no price", "4,cat"), ("no item", "5,dan")],
        "friday": [("no item", "6,eve")],
    }
    whole = Shop({name: Part([sale(name, 0, name)], texts) for name, texts in refused.items()})
    for names in (["monday"], ["monday", "tuesday"], list(refused)):
        write_log(whole.of(*names), tmp_path / "log")
    receipt = asked(tmp_path / "log", f"user:{ANN}")
    assert receipt.quarantined == 2
    log = EventLog(tmp_path / "log")
    assert log.quarantine()["raw"].to_pylist() == ["2,bob", "4,cat", "5,dan", "6,eve"]
    assert log.summary.quarantine_reasons == {"no price": 2, "no item": 2}
    asked(tmp_path / "log", "user:cat")
    assert EventLog(tmp_path / "log").quarantine()["raw"].to_pylist() == ["2,bob", "5,dan", "6,eve"]


def test_a_manifest_that_names_a_file_twice_does_not_become_the_log(tmp_path: Path) -> None:
    write_log(store(), tmp_path / "log")
    manifest = read_manifest(tmp_path / "log")
    with pytest.raises(DataError, match=r"names quarantine/00000001-000000.parquet more than once"):
        commit(tmp_path / "log", replace(manifest, quarantine=manifest.quarantine * 2))
    assert read_manifest(tmp_path / "log") == manifest
