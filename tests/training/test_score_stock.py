"""What is on offer when everybody is answered: items that came, changed or ran out after the training."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from recsys.clock import DAY, ManualClock, to_datetime
from recsys.data.chunk import SourceChunk
from recsys.event import EVENT_SCHEMA, ITEM_SCHEMA
from recsys.log.engine import LocalEngine
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from recsys.recommender import Recommender
from recsys.retrieval.filter.parse import parse
from tests.made_up_shop import START, WEEKS, MadeUpShop
from training.scoring.run import Wanted, score_shoppers
from training.scoring.stock import Stock, read_in_hand, stocked

END = START + WEEKS * 7 * DAY
AT = END + 7 * DAY
BUYER = "shopper-002"
"""Whose favourite category is 2."""


@dataclass(frozen=True, slots=True)
class Restocked(MadeUpShop):
    """The shop a week later: category 2 has a dated item, one that was bought, one of which nothing is known, and
    item-120 is sold out."""

    def _chunks(self) -> Iterator[SourceChunk]:
        for chunk in MadeUpShop._chunks(self):
            bought = chunk.events.slice(len(chunk.events) - 1).to_pylist()[0]
            row = {**bought, "event_id": "later", "user_id": BUYER, "item_id": "item-taken"}
            later = pa.Table.from_pylist([{**row, "occurred_at": to_datetime(END + DAY)}], EVENT_SCHEMA)
            events = pa.concat_tables([chunk.events, later])
            yield SourceChunk(rows_in=chunk.rows_in + 1, events=events, quarantine=chunk.quarantine)

    def fingerprint(self) -> str:
        return f"restocked-{self.shoppers}-{self.seed}"

    def items(self) -> pa.Table:
        rows = MadeUpShop.items(self).to_pylist()
        rows[120]["available"] = False
        like = {**rows[121], "attributes": None}
        rows += [
            {**like, "item_id": "item-dated", "title": "Thing dated", "created_at": to_datetime(END + 2 * DAY)},
            {**like, "item_id": "item-taken", "title": "Thing taken"},
            {**like, "item_id": "item-idle", "title": "Thing idle"},
        ]
        return pa.Table.from_pylist(rows, ITEM_SCHEMA)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("restocked")


@pytest.fixture(scope="module")
def asked(tiny_bundle: Path, outputs: Path) -> Any:
    """Item ids that each shopper is shown, and what was told meanwhile, for settings of `Wanted`."""

    def ask(**settings: Any) -> tuple[dict[str, list[str]], str]:
        wanted = Wanted(bundle=tiny_bundle, outputs=outputs, at=AT, answers=outputs / "a.parquet", **settings)
        console = Console(width=200, file=io.StringIO(), record=True)
        path = score_shoppers(Restocked(), wanted, LocalEngine(threads=1), console, clock=ManualClock(AT))
        slates: dict[str, list[str]] = {}
        for row in pq.read_table(path).to_pylist():
            slates.setdefault(row["shopper"], []).append(row["item_id"])
        return slates, console.export_text()

    return ask


def test_new_items_are_shown_beside_the_known_and_sold_out_ones_are_not(asked: Any, tiny_bundle: Path) -> None:
    slates, told = asked(wanted=parse({"category": "category-2"}), count=60)
    assert "on offer: 2 items came after the training, 1 have changed since" in told
    learnt = Recommender.load(tiny_bundle).catalogue
    known = {f"item-{number:03d}" for number in range(100, 150) if learnt.index_of(f"item-{number:03d}")}
    assert "item-120" in known
    assert len(slates) == 120
    for shopper, shown in slates.items():
        taken = {"item-taken"} if shopper != BUYER else set()
        assert set(shown) == known - {"item-120"} | {"item-dated"} | taken
        assert len(shown) == len(set(shown))


def test_without_a_filter_too_the_model_proposes_new_items_and_nobody_sold_out_ones(asked: Any) -> None:
    slates, _ = asked(count=310, shoppers=("shopper-000", "shopper-002", "stranger"))
    assert len(slates) == 3
    for shopper, shown in slates.items():
        assert ("item-dated" in shown) == (shopper != "stranger")  # whom the crowd alone answers
        assert not {"item-120", "item-idle"} & set(shown)


def test_what_the_log_tells_later_is_not_known_yet(tiny_bundle: Path, tmp_path: Path) -> None:
    write_log(Restocked(), tmp_path / "log")
    log, recommender = EventLog(tmp_path / "log"), Recommender.load(tiny_bundle)
    before = {at: Stock.of(log, recommender, at=at) for at in (END + DAY, END + DAY + 1, END + 2 * DAY + 1)}
    assert [stock.newcomers for stock in before.values()] == [0, 1, 2]
    assert all(stock.items["item_id"].to_pylist()[0] == "item-120" for stock in before.values())
    kept = before[END + DAY + 1].write(tmp_path)
    assert read_in_hand(kept) == {BUYER: ("item-taken",)}
    live = stocked(recommender, kept)
    assert live.offer is not None
    assert (live.offer.is_offered("item-taken"), live.offer.is_offered("item-dated")) == (True, False)
    assert kept == before[END + DAY + 1].write(tmp_path)
