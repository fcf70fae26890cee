"""What The Complete Journey knows of campaigns, coupons and promotions, as events and tables.

Its dates are days of the stores. What was sent is known from the first instant of its day, what was redeemed only at
the end of its day, because nobody wrote down at what hour: so no basket sees a redemption that it may itself have been.

A campaign is named `campaign:18`; a coupon belongs to a campaign and is named `campaign:18/coupon:10000085207`.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys.clock import DAY, SECOND, parse_instant
from recsys.data.raw_rows import Fault, Fields, joined_id
from recsys.data.tabular.instants import INSTANT
from recsys.event import EventType

OFFER_SCHEMA = pa.schema(
    [
        pa.field("offer_id", pa.string(), nullable=False),
        pa.field("sent_as", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("begins", INSTANT),
        pa.field("ends", INSTANT),
    ]
)
"""One row is one item that a coupon applies to, from `begins` until just before `ends`.

`offer_id` is the coupon, as `redeem` events name it; `sent_as` its campaign, as `offer` events name it.
"""

PROMOTION_SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("store", pa.string(), nullable=False),
        pa.field("display", pa.string()),
        pa.field("mailer", pa.string()),
        pa.field("begins", INSTANT, nullable=False),
        pa.field("ends", INSTANT, nullable=False),
    ]
)
"""One row is one week in which a store displayed an item or the mailer showed it; the codes are the retailer's.

Display: 1 store front, 2 rear, 3 front end cap, 4 mid-aisle end cap, 5 rear end cap, 6 side-aisle end cap, 7 in aisle,
9 secondary location, A in shelf. Mailer: A interior page feature, C interior line item, D front page, F back page,
H wrap front, J wrap interior coupon, L wrap back, P interior coupon, X free on interior page, Z free on front, back or
wrap. Null: neither. Source: documentation of `promotions` in https://github.com/bradleyboehmke/completejourney
"""

_FIRST_WEEK = parse_instant("2016-12-26")
"""Week 1 begins on this Monday and ends on Sunday, 1 January: the transactions say so."""
_NOWHERE = "0"
_BLOCK_ROWS = 1 << 18


def sent(rows: pa.Table, campaigns: pa.Table, zone: str) -> tuple[Fields, list[Fault]]:
    """Rows of `campaigns` [R] (a household was sent a campaign) as offers at the campaign's start, and their faults."""
    place = pc.index_in(rows["campaign_id"].combine_chunks(), campaigns["campaign_id"].combine_chunks())
    begins = _local_day(campaigns["start_date"].combine_chunks(), zone).take(place)
    household = _text(rows["household_id"])
    fields = {
        "event_id": joined_id("offer", _text(rows["campaign_id"]), household),
        "type": pa.repeat(EventType.OFFER.value, rows.num_rows),
        "occurred_at": begins,
        "user_id": household,
        "quantity": pa.nulls(rows.num_rows, pa.float32()),
        "offer_id": _campaign(rows["campaign_id"]),
    }
    return fields, [
        (pc.is_null(household), "shopper is missing"),
        (pc.is_null(place), "campaign is not described"),
        (pc.is_null(begins), "campaign has no start"),
    ]


def redeemed(rows: pa.Table, zone: str) -> tuple[Fields, list[Fault]]:
    """Rows of `coupon_redemptions` [R] as redemptions at the end of their day, and their faults."""
    day = rows["redemption_date"].combine_chunks()
    household, campaign, coupon = (_text(rows[name]) for name in ("household_id", "campaign_id", "coupon_upc"))
    fields = {
        "event_id": joined_id("redeem", household, campaign, coupon, pc.cast(pc.cast(day, pa.date32()), pa.string())),
        "type": pa.repeat(EventType.REDEEM.value, rows.num_rows),
        "occurred_at": _local_day(day, zone, later=DAY - SECOND),
        "user_id": household,
        "channel": pa.repeat("store", rows.num_rows),
        "quantity": pa.nulls(rows.num_rows, pa.float32()),
        "offer_id": _coupon(rows["campaign_id"], rows["coupon_upc"]),
    }
    return fields, [
        (pc.is_null(household), "shopper is missing"),
        (pc.is_null(campaign), "campaign is missing"),
        (pc.is_null(coupon), "coupon is missing"),
        (pc.is_null(day), "time is unreadable"),
    ]


def applicable(coupons: pa.Table, campaigns: pa.Table, zone: str) -> pa.Table:
    """What each coupon applies to and when, by `OFFER_SCHEMA`, in a fixed order without repetition."""
    known = coupons.drop_null().group_by(["campaign_id", "coupon_upc", "product_id"], use_threads=False).aggregate([])
    known = known.sort_by([(name, "ascending") for name in ("campaign_id", "coupon_upc", "product_id")])
    place = pc.index_in(known["campaign_id"].combine_chunks(), campaigns["campaign_id"].combine_chunks())
    first, last = (campaigns[name].combine_chunks() for name in ("start_date", "end_date"))
    return pa.table(
        {
            "offer_id": _coupon(known["campaign_id"], known["coupon_upc"]),
            "sent_as": _campaign(known["campaign_id"]),
            "item_id": _text(known["product_id"]),
            "begins": _local_day(first, zone).take(place),
            "ends": _local_day(last, zone, later=DAY).take(place),
        },
        schema=OFFER_SCHEMA,
    )


def promoted(path: Path, zone: str) -> Iterator[pa.Table]:
    """The promotions, piece by piece, by `PROMOTION_SCHEMA`."""
    for batch in pq.ParquetFile(path).iter_batches(batch_size=_BLOCK_ROWS):
        week = batch["week"].to_numpy(zero_copy_only=False).astype(np.int64)
        names, number = np.unique(week, return_inverse=True)
        monday = pa.array(_FIRST_WEEK + (names - 1) * 7 * DAY, pa.timestamp("us"))
        yield pa.table(
            {
                "item_id": pc.cast(batch["product_id"], pa.string()),
                "store": pc.cast(batch["store_id"], pa.string()),
                "display": _somewhere(batch["display_location"]),
                "mailer": _somewhere(batch["mailer_location"]),
                "begins": _local_day(monday, zone).take(pa.array(number)),
                "ends": _local_day(monday, zone, later=7 * DAY).take(pa.array(number)),
            },
            schema=PROMOTION_SCHEMA,
        )


def _local_day(day: pa.Array, zone: str, later: int = 0) -> pa.Array:
    """The first instant of a day in `zone`, or what its clocks show `later` microseconds after that."""
    shown = pc.cast(
        pc.add(pc.cast(pc.cast(day, pa.timestamp("us"), safe=False), pa.int64()), later), pa.timestamp("us")
    )
    return pc.cast(pc.assume_timezone(shown, zone, ambiguous="earliest", nonexistent="latest"), INSTANT)


def _text(column: pa.ChunkedArray) -> pa.Array:
    return pc.cast(column, pa.string()).combine_chunks()


def _campaign(campaign_id: pa.ChunkedArray) -> pa.Array:
    return pc.binary_join_element_wise("campaign:", _text(campaign_id), "")


def _coupon(campaign_id: pa.ChunkedArray, coupon_upc: pa.ChunkedArray) -> pa.Array:
    return pc.binary_join_element_wise(_campaign(campaign_id), "/coupon:", _text(coupon_upc), "")


def _somewhere(code: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(code, _NOWHERE), pa.scalar(None, pa.string()), code)
