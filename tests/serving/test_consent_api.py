"""Consent is kept to when answers are made: without it they use the request and nothing else, from the next one on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from recsys.clock import DAY, SECOND, ManualClock, to_datetime
from recsys.consent import Rules
from recsys.event import EventType
from recsys.state import ShopperState
from serving.api.application import create_app
from serving.service import Service
from serving.store.sqlite import SqliteStore
from tests.serving.conftest import Shopfront
from tests.serving.shop import NOW, CategoryCounter

DENIED_UNTIL_SAID = Rules.of(
    default="denied", personalisation=["personalisation", "functional"], training=["analytics"]
)


@asynccontextmanager
async def opened(folder: Path, rules: Rules) -> AsyncIterator[Shopfront]:
    clock, recommender, store = ManualClock(NOW), CategoryCounter(), SqliteStore(folder / "events.db")
    service = Service(recommender, store, clock=clock, rng=np.random.default_rng(0), consent=rules)
    transport = httpx.ASGITransport(create_app(service), raise_app_exceptions=False)
    async with service, httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        yield Shopfront(http, clock, recommender, store)


async def tell(shop: Shopfront, kind: str, item_id: str | None = None, **said: Any) -> None:
    shop.clock.advance(SECOND)
    answer = await shop.http.post("/v1/events", json={"type": kind, "item_id": item_id, **said})
    assert answer.status_code == 200, answer.text
    shop.clock.advance(SECOND)


async def agree(shop: Shopfront, shopper: str, *purposes: str, **said: Any) -> dict[str, Any]:
    shop.clock.advance(SECOND)
    answer = await shop.http.put(f"/v1/shoppers/{shopper}/consent", json={"purposes": purposes, **said})
    assert answer.status_code == 200, answer.text
    shop.clock.advance(SECOND)
    held: dict[str, Any] = answer.json()
    return held


async def ask(shop: Shopfront, *, item_id: str | None = None, exclude: tuple[str, ...] = (), **who: str) -> Any:
    question = {"shopper": who, "count": 100, "context": {"item_id": item_id}, "exclude": exclude}
    answer = await shop.http.post("/v1/recommendations", json=question)
    assert answer.status_code == 200, answer.text
    return answer.json()


def first(answer: Any) -> str:
    return str(answer["items"][0]["category"][0])


async def test_whoever_says_no_is_a_stranger_in_the_very_next_answer_and_known_again_after_a_yes(
    shop: Shopfront,
) -> None:
    await tell(shop, "view", "item-015", user_id="ann")
    await tell(shop, "add_to_cart", "item-016", user_id="ann")
    known = await ask(shop, user_id="ann")
    assert (known["consent"], known["knowledge"], first(known)) == ("granted", "session", "category-1")
    assert "item-016" not in {item["item_id"] for item in known["items"]}
    await agree(shop, "ann", "training", "marketing")
    stranger = await ask(shop, user_id="ann")
    assert (stranger["consent"], stranger["knowledge"], first(stranger)) == ("denied", "cold", "category-0")
    assert len(stranger["items"]) == 30, "the basket is history, too"
    assert [item["score"] for item in stranger["items"]] == [0.0] * 30
    assert stranger["items"] == (await ask(shop))["items"], "as anybody is answered"
    await agree(shop, "ann", "personalisation")
    assert first(await ask(shop, user_id="ann")) == "category-1"


async def test_without_consent_the_item_and_the_limits_of_the_request_still_count(shop: Shopfront) -> None:
    await tell(shop, "view", "item-015", user_id="ann")
    await agree(shop, "ann")
    answer = await ask(shop, user_id="ann", item_id="item-025", exclude=("item-026",))
    assert (answer["consent"], answer["knowledge"], first(answer)) == ("denied", "session", "category-2")
    shown = {item["item_id"] for item in answer["items"]}
    assert shown == {f"item-{n:03d}" for n in range(30)} - {"item-026"}
    assert (await ask(shop, user_id="ann"))["knowledge"] == "cold", "and nothing is kept of it"


async def test_nothing_of_the_shopper_reaches_the_recommender_without_consent(
    shop: Shopfront, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[ShopperState] = []
    answer = CategoryCounter.answer

    def watched(self: CategoryCounter, states: list[ShopperState], **more: Any) -> Any:
        told.extend(states)
        return answer(self, states, **more)

    monkeypatch.setattr(CategoryCounter, "answer", watched)
    await tell(shop, "view", "item-015", user_id="ann", anonymous_id="a")
    await agree(shop, "ann")
    await ask(shop, user_id="ann", anonymous_id="a")
    await ask(shop, anonymous_id="a")
    assert [(len(state.history), state.shopper, state.exclude) for state in told] == [(0, None, frozenset())] * 2


async def test_a_visitor_who_said_no_is_not_answered_by_the_users_yes_until_the_user_says_it_anew(
    shop: Shopfront,
) -> None:
    await agree(shop, "ann", "personalisation")
    await tell(shop, "view", "item-015", anonymous_id="a")
    await tell(shop, "consent", anonymous_id="a", consent=[])
    both = {"user_id": "ann", "anonymous_id": "a"}
    assert (await ask(shop, **both))["consent"] == "denied"
    assert (await ask(shop, user_id="ann"))["consent"] == "granted", "they have nothing to do with each other yet"
    await shop.http.post("/v1/identity:link", json=both)
    shop.clock.advance(SECOND)
    for who in ({"user_id": "ann"}, {"anonymous_id": "a"}, both):
        assert (await ask(shop, **who))["consent"] == "denied", "the stricter wins"
    await agree(shop, "ann", "personalisation")
    for who in ({"user_id": "ann"}, {"anonymous_id": "a"}, both):
        answer = await ask(shop, **who)
        assert (answer["consent"], first(answer)) == ("granted", "category-1")


async def test_with_default_denied_nothing_is_used_before_somebody_agrees(tmp_path: Path) -> None:
    async with opened(tmp_path, DENIED_UNTIL_SAID) as shop:
        await tell(shop, "view", "item-015", user_id="ann")
        assert (await ask(shop, user_id="ann"))["consent"] == "denied"
        assert (await ask(shop))["consent"] == "denied"
        await tell(shop, "view", "item-015", user_id="ann", consent=["functional"])
        answer = await ask(shop, user_id="ann")
        assert (answer["consent"], first(answer)) == ("granted", "category-1"), "any event may say it, by any name"
        held = (await shop.http.get("/v1/shoppers/ann/consent")).json()
        assert (held["purposes"], held["personalisation"], held["training"]) == (["functional"], True, False)
        nobody = (await shop.http.get("/v1/shoppers/bob/consent")).json()
        assert (nobody["purposes"], nobody["personalisation"], nobody["training"]) == (None, False, False)


async def test_a_statement_is_an_event_that_is_kept_and_exported_and_no_part_of_a_history(shop: Shopfront) -> None:
    assert await agree(shop, "ann", "training", event_id="banner") == {
        "shopper_id": "ann",
        "kind": "user",
        "purposes": ["training"],
        "personalisation": False,
        "training": True,
    }
    [arrival] = await shop.store.arrived(after=0, limit=9)
    assert (arrival.event.event_id, arrival.event.type) == ("banner", EventType.CONSENT)
    assert (arrival.event.user_id, arrival.event.anonymous_id, arrival.event.consent) == ("ann", None, ("training",))
    assert await shop.store.history(user_id="ann", anonymous_id=None, limit=9) == []
    await agree(shop, "ann", "personalisation", event_id="banner")
    assert (await shop.http.get("/v1/shoppers/ann/consent")).json()["purposes"] == ["training"], "a duplicate"


async def test_what_was_said_earlier_does_not_undo_what_was_said_later(shop: Shopfront) -> None:
    await agree(shop, "ann")
    yesterday = to_datetime(NOW - DAY).isoformat()
    assert (await agree(shop, "ann", "personalisation", occurred_at=yesterday))["purposes"] == []


async def test_a_visitor_has_a_consent_of_their_own_and_ids_may_hold_slashes(shop: Shopfront) -> None:
    answer = await shop.http.put("/v1/shoppers/a/51/consent?kind=anonymous", json={"purposes": []})
    assert answer.json() == {
        "shopper_id": "a/51",
        "kind": "anonymous",
        "purposes": [],
        "personalisation": False,
        "training": False,
    }
    assert (await shop.http.get("/v1/shoppers/a/51/consent")).json()["purposes"] is None, "there is no such user"
    assert (await ask(shop, anonymous_id="a/51"))["consent"] == "denied"


@pytest.mark.parametrize(
    ("purposes", "training", "named"),
    [((), False, False), (("personalisation",), False, False), (("personalisation", "training"), True, True)],
)
async def test_who_does_not_agree_is_not_named_in_the_exposure_log(
    shop: Shopfront, purposes: tuple[str, ...], training: bool, named: bool
) -> None:
    assert (await agree(shop, "ann", *purposes))["training"] is training
    answer = await ask(shop, user_id="ann")
    for _ in range(100):
        slate = await shop.store.exposure(answer["recommendation_id"])
        if slate is not None:
            break
        await asyncio.sleep(0.02)
    assert slate is not None
    assert slate.user_id == ("ann" if named else None)
    assert len(slate.items) == 30


@pytest.mark.parametrize(
    "body", [{}, {"purposes": None}, {"purposes": "all"}, {"purposes": [""]}, {"purposes": [], "type": "view"}, [1]]
)
async def test_what_is_no_statement_is_refused(shop: Shopfront, body: object) -> None:
    answer = await shop.http.put("/v1/shoppers/ann/consent", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:attune:problem:invalid-request")
    assert await shop.store.arrived(after=0, limit=1) == []


async def test_a_kind_of_shopper_that_does_not_exist_is_refused(shop: Shopfront) -> None:
    answer = await shop.http.get("/v1/shoppers/ann/consent?kind=cat")
    assert answer.status_code == 422
    assert "choose one of user, anonymous" in answer.json()["detail"]
    assert (await shop.http.put("/v1/shoppers/%01/consent", json={"purposes": []})).status_code == 422


async def test_an_event_of_type_consent_needs_to_say_something(shop: Shopfront) -> None:
    answer = await shop.http.post("/v1/events", json={"type": "consent", "user_id": "ann"})
    assert "consent event needs a consent" in answer.json()["results"][0]["reason"]


async def test_where_the_store_cannot_be_read_nothing_is_used_and_nobody_named(shop: Shopfront) -> None:
    await tell(shop, "view", "item-015", user_id="ann")
    await shop.store.close()
    answer = await ask(shop, user_id="ann")
    assert (answer["consent"], answer["knowledge"]) == (None, "cold")
    assert (await shop.http.get("/v1/shoppers/ann/consent")).status_code == 503
