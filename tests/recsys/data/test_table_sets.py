"""The ready mappings read hand-written excerpts in the format that each of them names."""

import gzip
import json
from pathlib import Path

import hydra
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra.utils import instantiate

from recsys.data.chunk import chunks_of
from recsys.data.table import TableSource
from tests.recsys.data.small_logs import events, refused, shown, versions, write


def ready(choice: str, **changes: object) -> TableSource:
    """The source of `conf/data/<choice>.yaml` with other files."""
    with hydra.initialize_config_module("conf", version_base="1.3"):
        config = hydra.compose("ingest", [f"data={choice}"]).data
    found: TableSource = instantiate(config, _convert_="all", **changes)
    return found


def excluded(table: TableSource) -> dict[str, int]:
    return {reason: count for chunk in chunks_of(table) for reason, count in chunk.excluded.items()}


def parameter(key: str, **value: object) -> dict[str, object]:
    kinds = ("string_value", "int_value", "float_value", "double_value")
    return {"key": key, "value": {kind: value.get(kind) for kind in kinds}}


def ga4_event(name: str, microsecond: int, *items: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "event_date": "20240501",
        "event_timestamp": 1_714_557_600_000_000 + microsecond,
        "event_name": name,
        "event_params": [
            parameter("ga_session_id", int_value=77),
            parameter("currency", string_value="EUR"),
        ],
        "user_id": None,
        "user_pseudo_id": "123.456",
        "privacy_info": {"analytics_storage": "Yes", "ads_storage": "No"},
        "device": {"category": "mobile"},
        "platform": "WEB",
        "items": list(items),
        **more,
    }


def ga4_item(item_id: str, **more: object) -> dict[str, object]:
    keys = (
        "item_name", "item_brand", "item_variant", "item_category", "item_category2", "item_category3",
        "item_category4", "item_category5", "price", "quantity", "coupon", "item_list_id", "item_list_index",
        "promotion_id",
    )  # fmt: skip
    return {"item_id": item_id, **{key: more.get(key) for key in keys}}


GA4 = [
    ga4_event("session_start", 0),
    ga4_event(
        "view_item_list", 1,
        ga4_item("A", item_name="Cup", item_list_index="0", item_list_id="home", price=4.0, item_brand="(not set)"),
        ga4_item("B", item_name="Mug", item_list_index="1", item_list_id="home", price=5.5),
    ),
    ga4_event("view_item", 2, ga4_item("B", item_name="Mug", price=5.5, item_category="Home", item_category2="Tea")),
    ga4_event("search", 3, event_params=[parameter("search_term", int_value=501)]),
    ga4_event("view_search_results", 4, event_params=[parameter("search_term", string_value="blue mug")]),
    ga4_event("add_to_cart", 5, ga4_item("B", price=5.5, quantity=2), user_id="u9"),
    ga4_event("purchase", 6, ga4_item("B", price=5.5, quantity=2, coupon="SPRING"), ga4_item("A", price=4.0)),
    ga4_event("refund", 7, ga4_item("B", price=5.5, quantity=1)),
    ga4_event("refund", 8),
]  # fmt: skip


def as_big_query_writes_json(row: dict[str, object]) -> str:
    """Whole numbers as texts, and nothing where a value is null."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items() if one is not None}
        if isinstance(value, list):
            return [plain(one) for one in value]
        return str(value) if isinstance(value, int) else value

    return json.dumps(plain(row))


def test_ga4_gives_the_same_events_as_parquet_and_as_json_lines(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(GA4), tmp_path / "events_20240501.parquet")
    lines = "\n".join(map(as_big_query_writes_json, GA4))
    (tmp_path / "events_20240501.json.gz").write_bytes(gzip.compress(lines.encode()))
    parquet, text = (ready("table_ga4", files=str(tmp_path / f"events_*.{end}")) for end in ("parquet", "json.gz"))
    fields = ("type", "item_id", "quantity", "price", "position", "placement", "query", "user_id", "offer_id")
    assert shown(parquet, *fields) == shown(text, *fields) == [
        ("impression", "A", 1.0, 4.0, 0, "home", None, None, None),
        ("impression", "B", 1.0, 5.5, 1, "home", None, None, None),
        ("view", "B", 1.0, 5.5, None, None, None, None, None),
        ("search", None, 1.0, None, None, None, "501", None, None),
        ("search", None, 1.0, None, None, None, "blue mug", None, None),
        ("add_to_cart", "B", 2.0, 5.5, None, None, None, "u9", None),
        ("purchase", "B", 2.0, 5.5, None, None, None, None, "SPRING"),
        ("purchase", "A", 1.0, 4.0, None, None, None, None, None),
        ("return", "B", 1.0, 5.5, None, None, None, None, None),
    ]  # fmt: skip
    common = ("anonymous_id", "session_id", "channel", "device", "currency", "consent", "occurred_at")
    first = ("123.456", "123.456-77", "web", "mobile", "EUR", ["analytics"], "10:00")
    assert shown(parquet, *common)[0] == shown(text, *common)[0] == first
    assert excluded(parquet) == excluded(text) == {"type session_start": 1}
    assert [reason for _, reason, _ in refused(text)] == ["item is missing"]
    described = ("item_id", "title", "category", "brand", "price", "valid_from")
    assert versions(parquet, *described) == versions(text, *described) == [
        ("A", "Cup", [], None, 4.0, 1), ("B", "Mug", [], None, 5.5, 1), ("B", "Mug", ["Home", "Tea"], None, 5.5, 1),
    ]  # fmt: skip


def segment_call(number: int, kind: str, event: str | None = None, **more: object) -> dict[str, object]:
    consent = {"categoryPreferences": {"Advertising": False, "Analytics": True}}
    return {
        "anonymousId": "anon-1",
        "channel": "client",
        "context": {"device": {"type": "ios"}, "consent": consent, "page": {"url": "https://shop.example/"}},
        "event": event,
        "messageId": f"m{number}",
        "timestamp": f"2024-05-01T10:00:0{number}.125Z",
        "type": kind,
        "userId": None,
        **more,
    }


MUG = {"product_id": "p1", "name": "Mug", "category": "Kitchen", "brand": "Lux", "price": 5.5, "quantity": 2}
SEGMENT = [
    segment_call(0, "page"),
    segment_call(1, "track", "Product List Viewed", properties={
        "list_id": "hot", "products": [{"product_id": "p1", "position": 1}, {"product_id": "p2", "position": 2}],
    }),
    segment_call(2, "track", "Product Clicked", properties={**MUG, "position": 1}),
    segment_call(3, "track", "Product Viewed", properties=MUG),
    segment_call(4, "identify", userId="u1", traits={"email": "a@example.com"}),
    segment_call(5, "identify"),
    segment_call(6, "track", "Products Searched", properties={"query": "mug"}, userId="u1"),
    segment_call(7, "track", "Order Completed", userId="u1", properties={
        "order_id": "o1", "currency": "EUR", "coupon": "SPRING", "products": [MUG, {"product_id": "p2", "price": 3}],
    }),
    segment_call(8, "track", "Order Refunded", userId="u1", properties={"order_id": "o1", "products": [MUG]}),
    segment_call(9, "track", "Cart Viewed", properties={"products": [MUG, MUG]}),
]  # fmt: skip


def test_segment_calls_become_events_once_even_if_they_are_sent_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a").mkdir()
    lines = "\n".join(json.dumps(row) for row in [*SEGMENT, SEGMENT[7]])
    (tmp_path / "a" / "1714557600.gz").write_bytes(gzip.compress(lines.encode()))
    table = ready("table_segment", files=str(tmp_path / "**" / "*.gz"))
    assert shown(table, "event_id", "type", "item_id", "quantity", "price", "position", "user_id", "offer_id")[:-2] == [
        ("m1", "impression", "p1", 1.0, None, 0, None, None),
        ("m1#1", "impression", "p2", 1.0, None, 1, None, None),
        ("m2", "click", "p1", 2.0, 5.5, 0, None, None),
        ("m3", "view", "p1", 2.0, 5.5, None, None, None),
        ("m4", "link", None, 1.0, None, None, "u1", None),
        ("m6", "search", None, 1.0, None, None, "u1", None),
        ("m7", "purchase", "p1", 2.0, 5.5, None, "u1", "SPRING"),
        ("m7#1", "purchase", "p2", 1.0, 3.0, None, "u1", "SPRING"),
        ("m8", "return", "p1", 2.0, 5.5, None, "u1", None),
    ]  # fmt: skip
    assert [event["event_id"] for event in events(table)][-2:] == ["m7", "m7#1"]
    assert shown(table, "occurred_at", "anonymous_id", "device", "channel", "consent", "query", "placement")[0] == (
        "10:00", "anon-1", "ios", "client", ["analytics"], None, "hot",
    )  # fmt: skip
    assert excluded(table) == {
        "rule type in identify, page, screen, group, alias": 2,
        "type Cart Viewed": 2,
    }
    assert refused(table) == []
    assert versions(table, "item_id", "title", "category", "brand", "price") == [
        ("p1", "p1", [], None, None), ("p1", "Mug", ["Kitchen"], "Lux", 5.5),
        ("p2", "p2", [], None, None), ("p2", "p2", [], None, 3.0),
    ]  # fmt: skip
    assert caplog.text == ""


def test_online_retail_cancellations_are_returns_and_fees_are_left_out(tmp_path: Path) -> None:
    rows = [
        '500001,90001,"BLUE CUP, LARGE",12,2010-05-04 08:15:00,1.25,12001.0,United Kingdom',
        "500001,POST,POSTAGE,1,2010-05-04 08:15:00,18.00,12001.0,United Kingdom",
        "C500002,90001,BLUE CUP,-2,2010-12-04 08:15:00,1.25,12001.0,United Kingdom",
        "500003,90002B,,1,2010-05-05 09:00:00,0.85,,United Kingdom",
    ]
    write(
        tmp_path / "2010.csv",
        *rows,
        header="Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country",
    )
    write(
        tmp_path / "first.csv",
        "500009,90003,TIN SIGN,3,2011-01-05 10:00:00,2.10,12002,France",
        header="InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
    )
    table = ready("table_online_retail", files=str(tmp_path / "*.csv"))
    assert shown(table, "type", "occurred_at", "user_id", "session_id", "item_id", "quantity", "price", "store") == [
        ("purchase", "07:15", "12001", "500001", "90001", 12.0, 1.25, "United Kingdom"),
        ("return", "08:15", "12001", "C500002", "90001", 2.0, 1.25, "United Kingdom"),
        ("purchase", "10:00", "12002", "500009", "90003", 3.0, 2.1, "France"),
    ]  # fmt: skip
    assert [reason for _, reason, _ in refused(table)] == ["shopper is missing"]
    assert sum(excluded(table).values()) == 1
    assert versions(table, "item_id", "title", "currency")[0] == ("90001", "BLUE CUP, LARGE", "GBP")


def test_hm_joins_purchases_and_articles(tmp_path: Path) -> None:
    write(
        tmp_path / "transactions_train.csv",
        "2019-03-02,00a1,0100000001,0.0254,2",
        "2019-03-02,00a1,0100000001,0.0254,2",
        "2019-03-03,00b2,0100000009,0.0169,1",
        header="t_dat,customer_id,article_id,price,sales_channel_id",
    )
    names = (
        "article_id,product_code,prod_name,product_type_name,product_group_name,graphical_appearance_name,"
        "colour_group_name,department_name,index_group_name,section_name,detail_desc"
    )
    article = '0100000001,0100000,Soft tee,T-shirt,Upper body,Solid,Blue,Basics,Women,Casual,"Soft, wide\nand long"'
    write(tmp_path / "articles.csv", article, header=names)
    table = ready("table_hm", files=str(tmp_path / "transactions_train.csv"), item_files=str(tmp_path / "articles.csv"))
    assert shown(table, "type", "user_id", "item_id", "channel") == [
        ("purchase", "00a1", "0100000001", "web"),
        ("purchase", "00a1", "0100000001", "web"),
        ("purchase", "00b2", "0100000009", "store"),
    ]  # fmt: skip
    assert len({event["event_id"] for event in events(table)}) == 3
    tee, unknown = table.items().to_pylist()
    assert (tee["title"], tee["category"], tee["text"]) == (
        "Soft tee", ["Women", "Upper body", "T-shirt"], "Soft, wide\nand long",
    )  # fmt: skip
    assert dict(tee["attributes"])["colour"] == "Blue"
    assert (unknown["item_id"], unknown["title"]) == ("0100000009", "0100000009")


def test_taobao_has_no_header_and_stamps_from_other_centuries(tmp_path: Path) -> None:
    rows = ["7,901,55,pv,1511572800", "7,901,55,cart,1511572860", "8,902,56,fav,1511572860", "8,902,56,buy,1511572900"]
    (tmp_path / "UserBehavior.csv").write_text("\n".join([*rows, "9,903,57,pv,-2134949234", "9,903,57,pv,2122867355"]))
    table = ready("table_taobao", files=str(tmp_path / "UserBehavior.csv"))
    assert shown(table, "type", "user_id", "item_id", "occurred_at") == [
        ("view", "7", "901", "01:20"), ("add_to_cart", "7", "901", "01:21"), ("wishlist", "8", "902", "01:21"),
        ("purchase", "8", "902", "01:21"),
    ]  # fmt: skip
    assert [reason for _, reason, _ in refused(table)] == ["time is before 1990", "time is in the future"]
    assert versions(table, "item_id", "category") == [("901", ["55"]), ("902", ["56"])]


def test_a_mapping_of_ones_own_may_inherit_and_drop_or_stand_alone(tmp_path: Path) -> None:
    log = write(tmp_path / "l.csv", "2024-01-01,kauf,7,i,2", header="event_time,event_type,user_id,product_id,price")
    folder = tmp_path / "conf" / "data"
    folder.mkdir(parents=True)
    (folder / "heir.yaml").write_text(
        f"defaults: [table, _self_]\nname: heir\nfiles: {log}\ncolumns: {{session_id: null}}\n"
        "type_values: {kauf: purchase}\nitem_columns: {title: null, category: null, brand: null}\n"
    )
    (folder / "alone.yaml").write_text(
        f"_target_: recsys.data.table.TableSource\n_convert_: all\nname: alone\nlicence: mine\nfiles: {log}\n"
        "cutoff: '2024-01-01'\ntime_zone: Europe/Berlin\ntype_values: {kauf: purchase}\n"
        "columns: {occurred_at: event_time, type: event_type, user_id: user_id, item_id: product_id}\n"
    )
    for choice, price, currency in (("heir", 2.0, "USD"), ("alone", None, None)):
        with hydra.initialize_config_module("conf", version_base="1.3"):
            overrides = [f"data={choice}", f"hydra.searchpath=[file://{tmp_path / 'conf'}]"]
            table = instantiate(hydra.compose("ingest", overrides).data, _convert_="all")
        assert shown(table, "type", "item_id", "price", "currency") == [("purchase", "i", price, currency)]
