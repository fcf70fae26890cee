"""The retailer's year: a hand-written excerpt in the package's format, and the package itself."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.clock import parse_instant
from recsys.data import complete_journey
from recsys.data.chunk import chunks_of
from recsys.data.complete_journey import CompleteJourney
from recsys.errors import SourceError
from recsys.log.reader import EventLog
from recsys.log.writer import write_log

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


@pytest.fixture
def journey(tmp_path: Path) -> CompleteJourney:
    stamped = pa.field("transaction_timestamp", pa.timestamp("ns"))
    lines = pa.Table.from_pylist(LINES)
    place = lines.schema.get_field_index("transaction_timestamp")
    lines = lines.set_column(place, stamped, lines["transaction_timestamp"].cast(stamped.type))
    pq.write_table(lines, tmp_path / "transactions.parquet")
    pq.write_table(pa.Table.from_pylist(PRODUCTS), tmp_path / "products.parquet")
    return CompleteJourney(cutoff="2017-12-06", folder=str(tmp_path))  # type: ignore[arg-type]


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


def test_quarantine_keeps_the_row_as_it_was(journey: CompleteJourney, tmp_path: Path) -> None:
    write_log(journey, tmp_path / "log")
    refused = pq.read_table(tmp_path / "log" / "quarantine.parquet").to_pylist()
    assert [row["row"] for row in refused] == [5, 6]
    assert "'basket_id': 12" in refused[0]["raw"]


def test_an_event_is_a_purchase_in_utc_with_unit_prices(journey: CompleteJourney, tmp_path: Path) -> None:
    write_log(journey, tmp_path / "log")
    first = EventLog(tmp_path / "log").events().to_pylist()[0]
    assert first["occurred_at"].isoformat() == "2017-12-05T03:30:00+00:00"
    assert (first["type"], first["user_id"], first["session_id"], first["item_id"]) == ("purchase", "1", "11", "1")
    assert (first["quantity"], first["price"], first["list_price"]) == (2.0, 1.5, 2.0), "3.00 + 0.75 + 0.25 for two"
    assert (first["channel"], first["store"], first["currency"]) == ("store", "330", "USD")
    assert journey.time_zone == "America/New_York"


def test_items_are_what_was_sold_with_title_category_and_price_from_before_the_cut(journey: CompleteJourney) -> None:
    waffles, bread = journey.items().to_pylist()
    assert (waffles["item_id"], waffles["title"]) == ("1", "Waffles/Pancakes, Private, 19.8 OZ")
    assert waffles["category"] == ["GROCERY", "FROZEN WAFFLES", "WAFFLES/PANCAKES"]
    assert waffles["price"] == 2.0, "not the 9.00 of later"
    assert (bread["title"], bread["category"]) == ("Bread, National", ["PASTRY", "BREAD"])


def test_some_households_can_be_kept_and_make_another_log(journey: CompleteJourney) -> None:
    fewer = replace(journey, households=1)
    (chunk,) = chunks_of(fewer)
    assert chunk.rows_in == 7
    assert fewer.fingerprint() != journey.fingerprint()
    assert replace(journey).fingerprint() == journey.fingerprint()


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
    assert source.items().equals(source.items()), "the same items, to the last cent, every time"
    summary = write_log(source, tmp_path / "log")
    assert (summary.rows_in, summary.events, summary.duplicates) == (1_469_307, 1_441_463, 0)
    assert summary.quarantined == 8_746
    assert summary.excluded == 19_098
    assert (summary.shoppers, summary.items) == (2_467, 67_829)
    assert (summary.first[:10], summary.last[:10]) == ("2017-01-01", "2018-01-01")
