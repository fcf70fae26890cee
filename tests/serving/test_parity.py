"""Offline and online are one: a history replayed through the API gives the vector and the slate of the log."""

from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from recsys.clock import DAY, ManualClock, to_datetime
from recsys.feature.token import TOKEN_FEATURES
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from recsys.recommender import Recommender
from recsys.sequence.gather import gather
from recsys.sequence.survey import Survey
from recsys.state import Context, History, ShopperState
from serving.api.application import create_app
from serving.service import Service
from serving.store.sqlite import SqliteStore
from tests.made_up_shop import MadeUpShop

ASKED = {"channel": "app", "device": "phone", "local_time": "2024-01-01T12:00:00+01:00"}


@pytest.mark.parametrize("shopper", ["shopper-000", "shopper-017", "shopper-119"])
async def test_a_history_replayed_through_the_api_gives_the_offline_vector_and_slate(
    shopper: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    recommender = Recommender.load(tiny_bundle).on_offer()
    source = MadeUpShop()
    write_log(source, tmp_path / "log")
    log = EventLog(tmp_path / "log")
    events = log.events()
    histories = gather(
        log, Survey.of(log, until=None), recommender.coding, tmp_path / "cache" / "histories-1", lookback=1_000
    )
    at = source.cutoff + 3 * DAY
    context = Context(at=at, channel="app", device="phone", utc_offset_s=3_600)
    offline = ShopperState(histories[histories.shopper.index(shopper).as_py()], context)

    store = SqliteStore(tmp_path / "events.db")
    service = Service(recommender, store, clock=ManualClock(at), rng=np.random.default_rng(0))
    transport = httpx.ASGITransport(create_app(service))
    rows = [row for row in events.to_pylist() if row["shopper"] == shopper and row["occurred_at"] < to_datetime(at)]
    sent = [
        {
            "event_id": row["event_id"],
            "type": row["type"],
            "user_id": row["user_id"],
            "item_id": row["item_id"],
            "occurred_at": row["occurred_at"].isoformat(),
            "quantity": row["quantity"],
            "price": row["price"],
            "list_price": row["list_price"],
            "channel": row["channel"],
            "device": row["device"],
        }
        for row in reversed(rows)
    ]
    async with service, httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        receipts = (await http.post("/v1/events", json={"events": sent})).json()
        assert receipts["accepted"] == len(rows) > 50
        found = await store.history(user_id=shopper, anonymous_id=None, limit=recommender.features.memory)
        question = {"shopper": {"user_id": shopper}, "placement": "home", "count": 20, "context": ASKED}
        answer = (await http.post("/v1/recommendations", json=question)).json()

    online = ShopperState(recommender.coding.of_events(found, before=at), context)
    assert len(recommender.features.names) == len(TOKEN_FEATURES)
    np.testing.assert_array_equal(recommender.encode([online]), recommender.encode([offline]))
    [expected] = recommender.answer([offline], counts=[20], rng=np.random.default_rng(0))
    assert [item["item_id"] for item in answer["items"]] == [item.item_id for item in expected.items]
    assert [item["score"] for item in answer["items"]] == pytest.approx([item.score for item in expected.items])


def test_an_event_at_the_very_instant_of_the_question_is_not_yet_history(tiny_bundle: Path) -> None:
    recommender = Recommender.load(tiny_bundle).on_offer()
    whole = recommender.recommend(["item-001"]).knowledge
    history = History.empty()
    state = ShopperState(
        replace(history, item=np.array([1]), type=np.array([1], np.int8), time=np.array([50])), Context(at=50)
    )
    assert whole == "session"
    assert state.knowledge == "cold"
