"""Amazon Reviews 2023: hand-written reviews and metadata in the real format."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recsys.data.amazon_reviews import AmazonReviews
from recsys.errors import SourceError
from tests.recsys.data.accounts import events_of, items_of, refused, rows_in

T = 1_588_687_728_923


def review(user: str, parent: str, **changes: object) -> str:
    row = {
        "rating": 5.0,
        "title": "Such a lovely scent",
        "text": 'It says "rose" and\nsmells of it {really}.',
        "images": [{"small_image_url": "https://example.org/a.jpg", "attachment_type": "IMAGE"}],
        "asin": f"{parent}-blue",
        "parent_asin": parent,
        "user_id": user,
        "timestamp": T,
        "helpful_vote": 3,
        "verified_purchase": True,
    }
    return json.dumps(row | changes)


def meta(parent: str, **changes: object) -> str:
    row = {
        "main_category": "All Beauty",
        "title": "Rose water, 100 ml",
        "average_rating": 4.8,
        "rating_number": 1234,
        "features": ["Gentle", "Vegan"],
        "description": ["A toner.", "For every day."],
        "price": 12.5,
        "images": [],
        "videos": [],
        "store": "Rosalind",
        "categories": ["Beauty & Personal Care", "Skin Care", "Toners"],
        "details": {
            "Date First Available": "March 4, 2016",
            "Best Sellers Rank": {"Beauty": 17},
            "Is Discontinued By Manufacturer": "No",
        },
        "parent_asin": parent,
        "bought_together": None,
    }
    return json.dumps(row | changes)


def amazon(folder: Path, reviews: list[str], described: list[str], category: str = "All_Beauty") -> AmazonReviews:
    (folder / f"{category}.jsonl").write_text("".join(f"{line}\n" for line in reviews))
    (folder / f"meta_{category}.jsonl").write_text("".join(f"{line}\n" for line in described))
    return AmazonReviews(folder=str(folder), cutoff="2022-07-16")  # type: ignore[arg-type]


def test_a_review_is_a_rating_of_the_parent_item(tmp_path: Path) -> None:
    source = amazon(tmp_path, [review("U1", "P1"), review("U1", "P2", rating=2, timestamp=T + 1)], [meta("P1")])
    first, second = events_of(source).to_pylist()
    assert (first["type"], first["user_id"], first["item_id"], first["rating"]) == ("rating", "U1", "P1", 5.0)
    assert first["occurred_at"] == datetime(2020, 5, 5, 14, 8, 48, 923_000, tzinfo=UTC)
    assert (second["rating"], second["event_id"]) == (2.0, f"U1-P2-blue-{T + 1}")


def test_an_item_has_path_brand_price_age_and_text(tmp_path: Path) -> None:
    item = items_of(amazon(tmp_path, [review("U1", "P1")], [meta("P1")]))["P1"]
    assert (item["title"], item["brand"], item["price"], item["currency"]) == (
        "Rose water, 100 ml", "Rosalind", 12.5, "USD",
    )  # fmt: skip
    assert item["category"] == ["Beauty & Personal Care", "Skin Care", "Toners"]
    assert item["created_at"] == datetime(2016, 3, 4, tzinfo=UTC)
    assert item["text"] == "A toner. For every day. Gentle Vegan"


def test_nothing_that_was_counted_at_the_end_of_the_crawl_is_kept(tmp_path: Path) -> None:
    plain = items_of(amazon(tmp_path, [review("U1", "P1")], [meta("P1")]))
    later = {"average_rating": 1.0, "rating_number": 9, "bought_together": ["P9"]}
    details = {"Date First Available": "March 4, 2016", "Best Sellers Rank": {"Beauty": 1}}
    assert items_of(amazon(tmp_path, [review("U1", "P1")], [meta("P1", **later, details=details)])) == plain
    before = events_of(amazon(tmp_path, [review("U1", "P1")], [meta("P1")]))
    assert events_of(amazon(tmp_path, [review("U1", "P1", helpful_vote=99)], [meta("P1")])).equals(before)


def test_metadata_full_of_holes_still_describes(tmp_path: Path) -> None:
    holes = {"title": None, "price": "from 9.99", "categories": [], "store": None, "details": {}, "features": [],
             "description": []}  # fmt: skip
    items = items_of(amazon(tmp_path, [review("U1", "P1"), review("U1", "P2")], [meta("P1", **holes)]))
    item = items["P1"]
    assert (item["title"], item["category"], item["price"]) == ("P1", ["All Beauty"], None)
    assert (item["brand"], item["created_at"], item["text"]) == (None, None, None)
    assert items["P2"]["title"] == "P2", "reviewed, but without metadata"


def test_broken_lines_are_refused_with_reason_and_text(tmp_path: Path) -> None:
    bad = [
        review("U1", "P1")[:-20],
        "[]",
        review("U1", "P1", user_id=None),
        review("U1", "P1", parent_asin=""),
        review("U1", "P1", rating="great"),
        review("U1", "P1", rating=0),
        review("U1", "P1", timestamp=None),
        review("U1", "P1", timestamp=T // 1_000),
        review("U1", "P1", timestamp=T * 1_000),
    ]
    source = amazon(tmp_path, [review("U1", "P1"), *bad, review("U2", "P1")], [meta("P1")])
    assert (rows_in(source), events_of(source)["user_id"].to_pylist()) == (11, ["U1", "U2"])
    reasons = [
        "is not a JSON object",
        "is not a JSON object",
        "shopper is missing",
        "item is missing",
        "rating is not a number",
        "rating is not between 1 and 5",
        "time is unreadable",
        "time is before 1990",
        "time is in the future",
    ]
    assert refused(source) == [(row, *each) for row, each in enumerate(zip(reasons, bad, strict=True), start=2)]


def test_values_of_another_kind_in_every_line_refuse_it_and_stop_nothing(tmp_path: Path) -> None:
    reviews = [review("U1", "P1", user_id=["U1"], rating={"stars": 5}), review("U1", "P1", user_id={"id": 1})]
    strange = {"title": ["Rose"], "store": {"name": "R"}, "features": [{"a": 1}], "categories": "Beauty", "price": [1]}
    source = amazon(tmp_path, reviews, [meta("P1", **strange)])
    assert [reason for _, reason, _ in refused(source)] == ["shopper is missing"] * 2
    (item,) = items_of(source).values()
    assert (item["title"], item["brand"], item["price"]) == ("P1", None, None)
    assert (item["category"], item["text"]) == (["All Beauty"], "A toner. For every day.")


def test_ids_and_numbers_may_be_written_as_the_other(tmp_path: Path) -> None:
    lines = [review("U1", "P1", rating="4.0", timestamp=str(T)), review("U1", "P1", user_id=12, timestamp=T + 1)]
    events = events_of(amazon(tmp_path, lines, [meta("P1", price="12.50")])).to_pylist()
    assert [(event["user_id"], event["rating"]) for event in events] == [("U1", 4.0), ("12", 5.0)]


def test_each_category_is_a_part_and_some_may_be_chosen(tmp_path: Path) -> None:
    amazon(tmp_path, [review("U1", "P1")], [meta("P1", title="Beauty")])
    both = amazon(tmp_path, [review("U1", "P2"), review("U2", "P1")], [meta("P2"), meta("P1")], "Appliances")
    assert [part.name for part in both.parts()] == ["All_Beauty.jsonl", "Appliances.jsonl"]
    assert sorted(items_of(both)) == ["P1", "P2"], "an item listed twice is one item"
    one = AmazonReviews(folder=tmp_path, cutoff=0, categories=["Appliances"])
    assert [part.name for part in one.parts()] == ["Appliances.jsonl"]


def test_files_may_stay_compressed(tmp_path: Path) -> None:
    source = amazon(tmp_path, [review("U1", "P1")], [meta("P1")])
    plain = events_of(source)
    for path in list(tmp_path.iterdir()):
        path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert events_of(source).equals(plain)


def test_a_missing_file_is_named_with_address_and_place(tmp_path: Path) -> None:
    source = AmazonReviews(folder=tmp_path, cutoff=0)
    with pytest.raises(SourceError, match=r"All_Beauty\.jsonl is missing; .*https://amazon-reviews-2023\.github\.io/"):
        source.parts()
    (tmp_path / "Appliances.jsonl").write_text(review("U1", "P1"))
    with pytest.raises(SourceError, match=r"meta_Appliances\.jsonl is missing"):
        source.parts()
