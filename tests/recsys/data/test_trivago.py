"""Trivago: a hand-written excerpt in the challenge's layout, and 100,003 real actions."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from recsys.data.trivago import Trivago
from recsys.errors import SourceError
from tests.recsys.data.raw_sets import (
    at,
    chunks,
    event_table,
    events,
    ingested,
    items,
    lay,
    parts_that_change,
    reads_the_same_again,
    real,
    refused,
)
from tests.recsys.data.raw_sets import shown as values

HEADER = (
    "user_id,session_id,timestamp,step,action_type,reference,platform,city,device,current_filters,impressions,prices"
)
WHERE = 'DE,"Cologne, Germany",mobile'
ACTIONS = [
    f'U1,s1,1541060000,1,search for destination,"Cologne, Germany",{WHERE},,,',
    f"U1,s1,1541060010,2,filter selection,Hotel,{WHERE},Hotel|5 Star,,",
    f"U1,s1,1541060020,3,change of sort order,price only,{WHERE},Hotel,,",
    f"U1,s1,1541060030,4,search for poi,Cathedral,{WHERE},Hotel,,",
    f"U1,s1,1541060040,5,interaction item image,71,{WHERE},,,",
    f"U1,s1,1541060050,6,clickout item,72,{WHERE},Hotel,70|71|72,99|120|85",
    f"U1,s1,1541060060,7,search for item,73,{WHERE},,,",
    f"U1,s1,1541150000,1,clickout item,79,{WHERE},,70|71,98|119",
    f"U1,s1,1541150010,2,change of sort order,distance only,{WHERE},,,",
]
DAMAGED = {
    f"U1,s1,tonight,1,clickout item,72,{WHERE},,70|72,1|2": "time is unreadable",
    f"U1,s1,1541060000000,1,clickout item,72,{WHERE},,70|72,1|2": "time is in the future",
    f"U1,s1,1541060000,1,clickout bar,72,{WHERE},,70|72,1|2": "type is unknown",
    f",s1,1541060000,1,clickout item,72,{WHERE},,70|72,1|2": "shopper is missing",
    f"U1,s1,1541060000,1,interaction item info,,{WHERE},,,": "item is missing",
    f"U1,s1,1541060000,1,interaction item info,unknown,{WHERE},,,": "item is no number",
    f"U1,s1,1541060000,,clickout item,72,{WHERE},,70|72,1|2": "session or step is missing",
    f"U1,s1,1541060000,1,clickout item,72,{WHERE},,70|72,1": "impressions and prices differ in number",
    f"U1,s1,1541060000,1,clickout item,72,{WHERE},,70|72,": "impressions and prices differ in number",
    f"U1,s1,1541060000,1,clickout item,72,{WHERE},,70||72,1|2|3": "an item of the list is missing",
    f"U1,s1,1541060000,1,clickout item,72,{WHERE},,70|72,1|dear": "a price of the list is not a number",
    f"U1,s1,1541060000,1,clickout item,72,{WHERE},,70|72,1|-2": "a price of the list is not a number",
    "U1,s1,1541060000,1,clickout item,72,DE": "too few fields",
}
HOTELS = ["70,Hotel|5 Star|Free WiFi", "71,Hostel", "80,"]


@pytest.fixture
def site(tmp_path: Path) -> Trivago:
    lay(tmp_path / "train.csv", HEADER, *ACTIONS, *DAMAGED)
    lay(tmp_path / "item_metadata.csv", "item_id,properties", *HOTELS)
    return Trivago(cutoff="2018-11-02", folder=str(tmp_path))  # type: ignore[arg-type]


def of_type(site: Trivago, event_type: str) -> list[dict[str, object]]:
    return [event for event in events(site) if event["type"] == event_type]


def test_an_action_has_its_shopper_session_site_and_device(site: Trivago):
    first = events(site)[0]
    assert values(first, "user_id", "session_id", "store", "channel", "device") == ("U1", "s1", "DE", "web", "mobile")
    assert values(first, "occurred_at", "type", "query") == (at("2018-11-01T08:13:20"), "search", "Cologne, Germany")


def test_places_are_asked_for_and_filters_and_orders_narrow_the_search_of_the_city(site: Trivago):
    assert [values(event, "query", "filters") for event in of_type(site, "search")] == [
        ("Cologne, Germany", None),
        ("Cologne, Germany", ["filter:Hotel", "filter:5 Star"]),
        ("Cologne, Germany", ["filter:Hotel", "sort:price only"]),
        ("Cathedral", ["filter:Hotel"]),
        ("Cologne, Germany", ["sort:distance only"]),
    ]


def test_closer_looks_and_searches_for_one_hotel_are_views(site: Trivago):
    assert [values(event, "item_id", "query") for event in of_type(site, "view")] == [("71", None), ("73", None)]


def test_a_click_knows_its_position_and_price_in_the_list(site: Trivago):
    listed, unlisted = of_type(site, "click")
    assert values(listed, "item_id", "position", "price", "filters") == ("72", 2, 85.0, ["filter:Hotel"])
    assert values(unlisted, "item_id", "position", "price") == ("79", None, None)


def test_every_hotel_of_the_list_is_an_impression_at_the_instant_of_the_click(site: Trivago):
    click, _ = of_type(site, "click")
    shown = [e for e in of_type(site, "impression") if e["recommendation_id"] == click["event_id"]]
    assert [values(e, "position", "item_id", "price") for e in shown] == [
        (0, "70", 99.0),
        (1, "71", 120.0),
        (2, "72", 85.0),
    ]
    same = ("occurred_at", "user_id", "session_id", "store", "device", "placement", "recommendation_id")
    assert {values(e, *same) for e in shown} == {values(click, *same)}
    assert sum(chunk.unfolded for chunk in chunks(site)) == 3 + 2


def test_steps_that_a_session_counts_again_a_day_later_are_other_events(site: Trivago):
    ids = [event["event_id"] for event in events(site)]
    assert len(set(ids)) == len(ids) == len(ACTIONS) + 5


def test_damaged_rows_are_refused_whole_with_reason_and_original_text(site: Trivago):
    found = refused(site)
    assert {raw: reason for _, _, reason, raw in found} == DAMAGED
    assert [row for _, row, _, _ in found] == list(range(11, 11 + len(DAMAGED)))
    assert sum(chunk.rows_in for chunk in chunks(site)) == len(ACTIONS) + len(DAMAGED)


def test_lists_can_be_left_out(site: Trivago):
    plain = replace(site, impressions=False)
    assert Counter(event["type"] for event in events(plain)) == {"search": 5, "view": 2, "click": 2}
    assert of_type(plain, "click")[0]["position"] == 2
    assert plain.fingerprint() != site.fingerprint()


def test_parquet_with_the_same_columns_gives_the_same_events(site: Trivago, tmp_path: Path):
    expected = events(site)
    lay(site.folder / "train.csv", HEADER, *ACTIONS)
    pq.write_table(pacsv.read_csv(site.folder / "train.csv"), tmp_path / "train.parquet")
    (site.folder / "train.csv").unlink()
    assert events(site) == expected


def test_hotels_have_their_properties_as_text(site: Trivago):
    assert [values(row, "item_id", "title", "text", "category") for row in items(site)] == [
        ("70", "70", "Hotel, 5 Star, Free WiFi", []),
        ("71", "71", "Hostel", []),
        ("72", "72", None, []),
        ("73", "73", None, []),
        ("79", "79", None, []),
        ("80", "80", None, []),
    ]


def test_reading_again_gives_identical_tables(site: Trivago):
    assert reads_the_same_again(site)


@pytest.mark.parametrize("name", ["train.csv", "item_metadata.csv"])
def test_a_missing_file_is_named_with_address_and_place(site: Trivago, name: str):
    (site.folder / name).unlink()
    with pytest.raises(SourceError, match=rf"{name} is missing; download {name}.* from https://recsys\.trivago\.cloud"):
        site.parts()


@pytest.fixture
def real_site(tmp_path: Path) -> Trivago:
    (actions,) = real("trivago-100k/trivago_val_100k.parquet")
    (tmp_path / "train.parquet").symlink_to(actions)
    lay(tmp_path / "item_metadata.csv", "item_id,properties", *HOTELS)
    return Trivago(cutoff="2018-11-08", folder=tmp_path)  # type: ignore[arg-type]


def test_real_actions_are_all_accounted_for(real_site: Trivago):
    read = event_table(real_site)
    assert Counter(read["type"].to_pylist()) == {
        "impression": 312_539,
        "view": 74_011,
        "click": 13_597,
        "search": 12_391,
    }
    assert len(set(read["event_id"].to_pylist())) == read.num_rows
    assert sum(chunk.rows_in for chunk in chunks(real_site)) == 100_003
    assert {(reason, raw.split(",")[5]) for _, _, reason, raw in refused(real_site)} == {
        ("item is no number", "unknown")
    }
    assert len(refused(real_site)) == 4
    assert len(set(read["session_id"].to_pylist())) == 7_612


def test_real_clicks_have_the_position_and_price_that_one_finds_going_through_their_lists(real_site: Trivago):
    expected = []
    for action in pq.read_table(real_site.folder / "train.parquet").to_pylist():
        if action["action_type"] == "clickout item":
            listed = action["impressions"].split("|")
            place = listed.index(action["reference"]) if action["reference"] in listed else None
            price = None if place is None else float(action["prices"].split("|")[place])
            expected.append((action["session_id"], action["reference"], place, price))
    read = event_table(real_site)
    clicks = read.filter(pc.equal(read["type"], "click")).to_pylist()
    clicks = [values(click, "session_id", "item_id", "position", "price") for click in clicks]
    assert clicks == expected
    assert sum(place is None for _, _, place, _ in expected) == 1


def test_real_actions_written_as_csv_give_the_same_events(real_site: Trivago, tmp_path: Path):
    table = pq.read_table(real_site.folder / "train.parquet").slice(0, 5_000)
    folder = tmp_path / "as-csv"
    folder.mkdir()
    with (folder / "train.csv").open("w", newline="") as raw:
        writer = csv.writer(raw, lineterminator="\n")
        writer.writerow(table.column_names)
        writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    (folder / "item_metadata.csv").symlink_to(real_site.folder / "item_metadata.csv")
    pq.write_table(table, folder / "first.parquet")
    as_text = event_table(replace(real_site, folder=folder))
    (folder / "train.csv").unlink()
    (folder / "first.parquet").rename(folder / "train.parquet")
    assert event_table(replace(real_site, folder=folder)).equals(as_text)


def test_a_log_notices_that_the_file_of_hotels_changed(site: Trivago):
    assert parts_that_change(site, site.folder / "item_metadata.csv", "79,Motel") == ["items: item_metadata.csv"]


def test_actions_in_a_file_of_another_name_need_no_description_of_the_hotels(
    site: Trivago, caplog: pytest.LogCaptureFixture
):
    expected = events(site)
    (site.folder / "train.csv").rename(site.folder / "mine.csv")
    mine = replace(site, file="mine.csv")
    assert events(mine) == expected
    assert [part.name for part in mine.parts()] == ["mine.csv", "items: item_metadata.csv"]
    assert items(mine)[0]["text"] == "Hotel, 5 Star, Free WiFi"
    (site.folder / "item_metadata.csv").unlink()
    assert [part.name for part in mine.parts()] == ["mine.csv"]
    assert [values(item, "item_id", "text") for item in items(mine)] == [
        (n, None) for n in ("70", "71", "72", "73", "79")
    ]
    assert "has no item_metadata.csv, so nothing is known of the hotels but their ids" in caplog.text


def test_real_actions_are_ingested_by_their_path_alone(tmp_path: Path):
    (actions,) = real("trivago-100k/trivago_val_100k.parquet")
    result = ingested("trivago", actions, tmp_path)
    assert "100,003 rows in + 312,539 unfolded = 412,538 events + 0 duplicates + 4 quarantined" in result
