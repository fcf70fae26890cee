"""`POST /v1/events`: what is accepted, what is refused, and what the sender is told."""

import json
from typing import Any

import httpx
import pytest

from recsys.clock import HOUR, MINUTE, SECOND, to_datetime
from tests.serving.conftest import Shopfront
from tests.serving.shop import NOW

VIEW = {"type": "view", "user_id": "u", "item_id": "item-001"}


async def send(shop: Shopfront, body: object) -> httpx.Response:
    return await shop.http.post("/v1/events", content=json.dumps(body))


def said_at(instant: int) -> str:
    return to_datetime(instant).isoformat()


async def stored(shop: Shopfront) -> list[str]:
    return [event.event_id for event in await shop.store.history(user_id="u", anonymous_id=None, limit=10_000)]


async def refusal(shop: Shopfront, event: dict[str, Any]) -> str:
    """The reason given for refusing a single event; nothing must have been stored."""
    answer = await send(shop, event)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert await stored(shop) == []
    reason: str = answer.json()["results"][0]["reason"]
    return reason


async def test_an_event_is_acknowledged_with_an_id_and_is_in_the_store(shop: Shopfront) -> None:
    answer = (await send(shop, VIEW)).json()
    assert (answer["accepted"], answer["duplicate"], answer["rejected"]) == (1, 0, 0)
    assert await stored(shop) == [answer["results"][0]["event_id"]]


async def test_the_same_event_sent_again_is_a_duplicate_and_a_success(shop: Shopfront) -> None:
    await send(shop, VIEW | {"event_id": "e"})
    again = await send(shop, VIEW | {"event_id": "e"})
    assert again.status_code == 200
    assert again.json()["results"] == [{"event_id": "e", "status": "duplicate", "reason": None, "note": None}]
    assert await stored(shop) == ["e"]


async def test_events_without_ids_in_a_request_that_the_proxy_repeats_are_taken_in_once(shop: Shopfront) -> None:
    body, named = json.dumps({"events": [VIEW, VIEW]}), {"x-attune-attempt": "3f1c"}
    first = (await shop.http.post("/v1/events", content=body, headers=named)).json()
    again = (await shop.http.post("/v1/events", content=body, headers=named)).json()
    other = (await shop.http.post("/v1/events", content=body, headers={"x-attune-attempt": "77aa"})).json()
    assert [one["accepted"] for one in (first, again, other)] == [2, 0, 2]
    assert len(await stored(shop)) == 4


async def test_one_bad_event_does_not_sink_its_batch(shop: Shopfront) -> None:
    batch = [VIEW | {"event_id": "a"}, VIEW | {"event_id": "b", "type": "stare"}, 7, VIEW | {"event_id": "c"}]
    answer = await send(shop, {"events": batch})
    assert answer.status_code == 200
    assert [result["status"] for result in answer.json()["results"]] == ["accepted", "rejected", "rejected", "accepted"]
    assert [result["event_id"] for result in answer.json()["results"]] == ["a", "b", None, "c"]
    assert await stored(shop) == ["a", "c"]


async def test_a_thousand_events_are_one_batch_and_one_more_is_too_many(shop: Shopfront) -> None:
    batch = [VIEW | {"event_id": str(number)} for number in range(1_001)]
    assert (await send(shop, {"events": batch})).status_code == 422
    assert (await send(shop, {"events": batch[:1_000]})).json()["accepted"] == 1_000


async def test_an_unknown_type_is_refused_with_the_list_of_known_ones(shop: Shopfront) -> None:
    reason = await refusal(shop, VIEW | {"type": "stare"})
    assert "unknown event type 'stare'" in reason
    assert "view, click, search, add_to_cart" in reason


async def test_an_item_the_catalogue_does_not_know_is_accepted_with_a_note(shop: Shopfront) -> None:
    answer = (await send(shop, VIEW | {"item_id": "brand-new"})).json()
    assert answer["accepted"] == 1
    assert "does not know 'brand-new' yet" in answer["results"][0]["note"]


@pytest.mark.parametrize("field", ["price", "list_price", "quantity"])
@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999", "-3"])
async def test_an_amount_that_is_no_amount_is_refused(shop: Shopfront, field: str, literal: str) -> None:
    body = json.dumps(VIEW)[:-1] + f', "{field}": {literal}}}'
    answer = await shop.http.post("/v1/events", content=body)
    assert answer.status_code == 422
    assert field in answer.json()["results"][0]["reason"]
    assert await stored(shop) == []


async def test_nan_in_one_event_leaves_the_others_alone(shop: Shopfront) -> None:
    body = json.dumps({"events": [VIEW | {"event_id": "good"}, VIEW | {"price": float("nan")}]})
    answer = (await shop.http.post("/v1/events", content=body)).json()
    assert [result["status"] for result in answer["results"]] == ["accepted", "rejected"]


async def test_an_event_without_a_shopper_is_refused(shop: Shopfront) -> None:
    assert "user_id or anonymous_id" in await refusal(shop, {"type": "view", "item_id": "item-001"})


async def test_a_view_without_an_item_and_a_search_without_a_query_are_refused(shop: Shopfront) -> None:
    assert "needs an item_id" in await refusal(shop, {"type": "view", "user_id": "u"})
    assert "needs a query" in await refusal(shop, {"type": "search", "user_id": "u"})
    assert (await send(shop, {"type": "search", "user_id": "u", "query": "espresso"})).status_code == 200


@pytest.mark.parametrize("kind", ["offer", "redeem"])
async def test_an_offer_needs_to_be_named_and_needs_no_item(shop: Shopfront, kind: str) -> None:
    assert "needs an offer_id" in await refusal(shop, {"type": kind, "user_id": "u", "item_id": "item-001"})
    assert (await send(shop, {"type": kind, "user_id": "u", "offer_id": "spring"})).json()["accepted"] == 1


@pytest.mark.parametrize("kind", ["link", "unlink"])
async def test_a_link_and_its_end_need_both_ids_and_nothing_else(shop: Shopfront, kind: str) -> None:
    assert f"{kind} event needs an anonymous_id" in await refusal(shop, {"type": kind, "user_id": "u"})
    assert f"{kind} event needs a user_id" in await refusal(shop, {"type": kind, "anonymous_id": "a"})
    assert (await send(shop, {"type": kind, "user_id": "u", "anonymous_id": "a"})).json()["accepted"] == 1


async def test_filters_ratings_offers_and_list_prices_reach_the_store(shop: Shopfront) -> None:
    said = {"filters": ["colour:red"], "rating": 4.5, "offer_id": "spring", "list_price": 9.5, "position": 3}
    await send(shop, VIEW | said | {"device": "phone", "channel": "web", "query": "red shoes"})
    [event] = await shop.store.history(user_id="u", anonymous_id=None, limit=1)
    assert (event.filters, event.rating, event.offer_id) == (("colour:red",), 4.5, "spring")
    assert (event.list_price, event.position, event.device, event.channel) == (9.5, 3, "phone", "web")
    assert event.query == "red shoes"


async def test_what_a_visitor_did_is_the_users_after_the_sign_in_and_given_back_at_its_end(shop: Shopfront) -> None:
    async def seen(**who: str) -> list[str | None]:
        ids = {"user_id": who.get("user"), "anonymous_id": who.get("visitor")}
        return [event.item_id for event in await shop.store.history(**ids, limit=9, before=NOW + 1)]

    both = {"user_id": "u", "anonymous_id": "a"}
    await send(shop, {"type": "view", "anonymous_id": "a", "item_id": "item-001", "occurred_at": said_at(NOW - 9)})
    assert await seen(user="u") == []
    await send(shop, {"type": "link", **both, "occurred_at": said_at(NOW - 8)})
    await send(shop, {"type": "view", "anonymous_id": "a", "item_id": "item-002", "occurred_at": said_at(NOW - 7)})
    assert await seen(user="u") == await seen(visitor="a") == ["item-001", "item-002"]
    await send(shop, {"type": "unlink", **both, "occurred_at": said_at(NOW - 6)})
    assert await seen(user="u") == ["item-002"], "what was adopted is given back"
    assert await seen(visitor="a") == ["item-001"], "what was done while linked stays the user's"


async def test_an_unknown_field_is_refused_rather_than_ignored(shop: Shopfront) -> None:
    assert "prize: is not a known field" in await refusal(shop, VIEW | {"prize": 3})


async def test_without_a_time_an_event_happened_now(shop: Shopfront) -> None:
    await send(shop, VIEW)
    [event] = await shop.store.history(user_id="u", anonymous_id=None, limit=1)
    assert event.occurred_at == NOW


async def test_a_time_is_understood_with_its_offset(shop: Shopfront) -> None:
    await send(shop, VIEW | {"occurred_at": "2024-05-01T13:00:00+02:00"})
    [event] = await shop.store.history(user_id="u", anonymous_id=None, limit=1)
    assert event.occurred_at == NOW - HOUR


async def test_a_clock_that_is_a_little_ahead_counts_as_now(shop: Shopfront) -> None:
    answer = (await send(shop, VIEW | {"occurred_at": said_at(NOW + 30 * SECOND)})).json()
    assert "30.0 s ahead" in answer["results"][0]["note"]
    [event] = await shop.store.history(user_id="u", anonymous_id=None, limit=1)
    assert event.occurred_at == NOW


async def test_five_minutes_ahead_is_tolerated_and_a_second_more_is_not(shop: Shopfront) -> None:
    assert "5 minutes ahead" in await refusal(shop, VIEW | {"occurred_at": said_at(NOW + 5 * MINUTE + SECOND)})
    assert (await send(shop, VIEW | {"occurred_at": said_at(NOW + 5 * MINUTE)})).status_code == 200


@pytest.mark.parametrize("moment", ["1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
async def test_a_time_before_there_were_shops_like_this_is_refused(shop: Shopfront, moment: str) -> None:
    assert "before 1990-01-01" in await refusal(shop, VIEW | {"occurred_at": moment})


@pytest.mark.parametrize("moment", [1714564800, "2024-05-01T12:00:00", "yesterday", "", None.__class__.__name__])
async def test_a_time_that_could_mean_two_things_or_none_is_refused(shop: Shopfront, moment: object) -> None:
    assert "occurred_at" in await refusal(shop, VIEW | {"occurred_at": moment})


async def test_a_body_that_is_not_json_is_a_400_problem(shop: Shopfront) -> None:
    answer = await shop.http.post("/v1/events", content=b'{"type": "view", ')
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:attune:problem:malformed-json"


@pytest.mark.parametrize("body", [[VIEW], "view", 1, None, {"events": []}, {"events": {}}, {"events": [VIEW], "x": 1}])
async def test_json_of_another_shape_is_a_422_problem(shop: Shopfront, body: object) -> None:
    answer = await send(shop, body)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:attune:problem:invalid-request"


async def test_when_the_store_cannot_write_nothing_is_acknowledged(shop: Shopfront) -> None:
    await shop.store.close()
    answer = await send(shop, VIEW)
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:attune:problem:store-unavailable"
    assert answer.headers["retry-after"] == "1"
    assert str(shop.store.path) not in answer.text
