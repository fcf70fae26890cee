"""The data card: everything that is measured of an event log, in one pass over it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from recsys.card.catalogue import Described, described, prices_of
from recsys.card.cold import Cold
from recsys.card.coverage import FIELDS, Coverage, CoverageMeasure
from recsys.card.identity import Identity, IdentityMeasure
from recsys.card.pace import Haste, Limits, PaceMeasure
from recsys.card.pairs import Pairs, PairsMeasure
from recsys.card.piece import Crowd, Piece
from recsys.card.pieces import whole_dates
from recsys.card.popularity import Popularity, PopularityMeasure
from recsys.card.prices import Prices, PricesMeasure
from recsys.card.rhythm import Rhythm, RhythmMeasure
from recsys.card.shoppers import Shoppers, ShoppersMeasure
from recsys.card.traffic import Traffic, TrafficMeasure
from recsys.clock import to_datetime

COLUMNS = ("type", "occurred_at", *FIELDS, "shopper")
"""What is read of a log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a log is looked at.

    Attributes:
        time_zone: the shop's IANA zone.
        cutoff: instant at which the test begins.
        order_only: literature mode: the instants are made up, nothing is said about time.
        limits: what is more than a person does.
        show_ids: name the shoppers that stand out; ids are personal data.
    """

    time_zone: str
    cutoff: int
    order_only: bool = False
    limits: Limits = field(default_factory=Limits)
    show_ids: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """What was measured; None stands for what needs times and has none."""

    view: View
    shoppers: Shoppers
    popularity: Popularity
    pairs: Pairs
    coverage: Coverage
    prices: Prices
    catalogue: Described
    identity: Identity
    traffic: Traffic | None
    rhythm: Rhythm | None
    haste: Haste | None
    cold_shoppers: Cold | None
    cold_items: Cold | None

    @property
    def density(self) -> float:
        """Share of all pairs of a shopper and an item that ever met; 0 in an empty log."""
        cells = self.shoppers.count * self.popularity.items
        return self.pairs.distinct / cells if cells else 0.0

    def without_ids(self) -> "DataCard":
        """The same card as if ids were not shown."""
        haste = self.haste
        if haste is not None:
            haste = replace(haste, worst=tuple(replace(pace, shopper=None) for pace in haste.worst))
        return replace(self, view=replace(self.view, show_ids=False), haste=haste)

    def to_json(self) -> dict[str, Any]:
        """Plain values; dates and instants as ISO 8601 texts."""
        plain = {**asdict(self), "density": self.density}
        plain["view"]["cutoff"] = to_datetime(self.view.cutoff).isoformat()
        for cold in (plain["cold_shoppers"], plain["cold_items"]):
            if cold is not None:
                cold["first_days"] = _by_date(cold["first_days"])
        if self.traffic is not None:
            traffic = plain["traffic"]
            traffic["days"] = _by_date(traffic["days"])
            traffic["first"], traffic["last"] = (to_datetime(traffic[end]).isoformat() for end in ("first", "last"))
            traffic["crowded"] = [(to_datetime(at).isoformat(), count) for at, count in traffic["crowded"]]
        return plain


def _by_date(days: dict[int, Any]) -> dict[str, Any]:
    """Keys as dates in place of days since 1970-01-01."""
    return {str(np.datetime64(day, "D")): value for day, value in days.items()}


class _Measures:
    """All measures, fed with the same pieces."""

    def __init__(self, view: View) -> None:
        self.crowd = Crowd(time_zone=view.time_zone, keep_ids=view.show_ids)
        self.traffic = TrafficMeasure()
        self.coverage = CoverageMeasure()
        self.rhythm = RhythmMeasure()
        self.shoppers = ShoppersMeasure(self.crowd, cutoff=view.cutoff)
        self.pace = PaceMeasure(self.crowd, view.limits)
        self.prices = PricesMeasure(self.crowd)
        self.identity = IdentityMeasure()
        self.popularity = PopularityMeasure(self.crowd, cutoff=view.cutoff)
        self.pairs = PairsMeasure(self.crowd)

    def add(self, piece: Piece, *, timed: bool) -> None:
        acts = piece.acts()
        interactions = acts.interactions()
        self.coverage.add(piece)
        self.shoppers.add(acts)
        self.prices.add(acts)
        self.identity.add(acts)
        self.popularity.add(interactions)
        self.pairs.add(interactions)
        if timed:
            self.traffic.add(piece, acts)
            self.rhythm.add(acts, len(self.crowd.shopper))
            self.pace.add(acts)


def describe(tables: Iterable[pa.Table], items: pa.Table, versions: pa.Table, *, view: View) -> DataCard:
    """Measure a log in one pass; memory grows with shoppers and items, not with events.

    Args:
        tables: the log as `EventLog.days` gives it.
        items, versions: by `ITEM_SCHEMA`: the latest version of each item, and all of them.
        view: how to look at it.
    """
    timed = not view.order_only
    measures = _Measures(view)
    for table in whole_dates(tables):
        measures.add(measures.crowd.piece(table), timed=timed)
    number = measures.crowd.item
    return DataCard(
        view=view,
        shoppers=measures.shoppers.result(),
        popularity=measures.popularity.result(),
        pairs=measures.pairs.result(timed=timed),
        coverage=measures.coverage.result(),
        prices=measures.prices.result(prices_of(items, number)),
        catalogue=described(items, versions, number=number, interactions=measures.popularity.count),
        identity=measures.identity.result(),
        traffic=measures.traffic.result() if timed else None,
        rhythm=measures.rhythm.result() if timed else None,
        haste=measures.pace.result() if timed else None,
        cold_shoppers=measures.shoppers.cold() if timed else None,
        cold_items=measures.popularity.cold() if timed else None,
    )
