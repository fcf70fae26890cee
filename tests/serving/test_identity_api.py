"""`POST /v1/identity:link` and `:unlink`: whose history and basket an answer knows, in the next request."""

from typing import Any

import pytest

from recsys.clock import MINUTE, SECOND, to_datetime
from recsys.event import EventType
from tests.serving.conftest import Shopfront
from tests.serving.shop import NOW

BOTH = {"user_id": "ann", "anonymous_id": "laptop"}


async def told(shop: Shopfront, what: str, **said: str) -> dict[str, Any]:
    """Link or unlink, a second later; the answer, which must be a success."""
    shop.clock.advance(SECOND)
    answer = await shop.http.post(f"/v1/identity:{what}", json=BOTH | said)
    assert answer.status_code == 200, answer.text
    shop.clock.advance(SECOND)
    receipt: dict[str, Any] = answer.json()
    return receipt


async def put(shop: Shopfront, item_id: str, **who: str) -> None:
    """Somebody puts an item into their basket."""
    shop.clock.advance(SECOND)
    event = {"type": "add_to_cart", "item_id": item_id, **who}
    assert (await shop.http.post("/v1/events", json=event)).json()["accepted"] == 1
    shop.clock.advance(SECOND)


async def missing(shop: Shopfront, **who: str) -> set[str]:
    """What is not offered to somebody, who could be shown everything: what is in the basket."""
    answer = (await shop.http.post("/v1/recommendations", json={"shopper": who, "count": 100})).json()
    assert answer["degraded"] is None
    return {f"item-{n:03d}" for n in range(30)} - {item["item_id"] for item in answer["items"]}


async def test_a_basket_begun_on_the_laptop_is_there_on_the_phone_in_the_next_request(shop: Shopfront) -> None:
    await put(shop, "item-004", anonymous_id="laptop")
    await put(shop, "item-007", anonymous_id="phone")
    assert await missing(shop, user_id="ann") == set()
    await told(shop, "link")
    assert await missing(shop, user_id="ann") == {"item-004"}
    await told(shop, "link", anonymous_id="phone")
    for who in ({"user_id": "ann"}, {"anonymous_id": "phone"}, {"user_id": "ann", "anonymous_id": "laptop"}):
        assert await missing(shop, **who) == {"item-004", "item-007"}


async def test_after_the_sign_out_the_basket_from_before_is_the_devices_again_and_the_rest_the_users(
    shop: Shopfront,
) -> None:
    await put(shop, "item-004", anonymous_id="laptop")
    await told(shop, "link")
    await put(shop, "item-007", anonymous_id="laptop")
    await told(shop, "unlink")
    assert await missing(shop, user_id="ann") == {"item-007"}
    assert await missing(shop, anonymous_id="laptop") == {"item-004"}


async def test_another_user_of_the_device_gets_nothing_of_the_first_and_leaves_them_theirs(shop: Shopfront) -> None:
    await put(shop, "item-004", anonymous_id="laptop")
    await told(shop, "link")
    await told(shop, "link", user_id="bob")
    await put(shop, "item-007", anonymous_id="laptop")
    assert await missing(shop, user_id="bob") == {"item-007"}
    assert await missing(shop, user_id="ann") == {"item-004"}
    await told(shop, "unlink")
    assert await missing(shop, anonymous_id="laptop") == {"item-007"}, "bob is still signed in: ann's sign-out is late"


async def test_a_link_is_an_event_like_any_other_and_sent_again_a_duplicate(shop: Shopfront) -> None:
    assert await told(shop, "link", event_id="sign-in", device="phone") == {
        "event_id": "sign-in",
        "status": "accepted",
        "reason": None,
        "note": None,
    }
    assert (await told(shop, "link", event_id="sign-in"))["status"] == "duplicate"
    await told(shop, "unlink", event_id="sign-out")
    events = [arrival.event for arrival in await shop.store.arrived(after=0, limit=9)]
    assert [(event.event_id, event.type, event.device) for event in events] == [
        ("sign-in", EventType.LINK, "phone"),
        ("sign-out", EventType.UNLINK, None),
    ]
    assert {(event.user_id, event.anonymous_id) for event in events} == {("ann", "laptop")}
    assert events[0].occurred_at == NOW + SECOND


async def test_times_are_judged_as_those_of_events(shop: Shopfront) -> None:
    async def status(instant: int) -> int:
        body = BOTH | {"occurred_at": to_datetime(instant).isoformat()}
        return (await shop.http.post("/v1/identity:link", json=body)).status_code

    assert await status(NOW - MINUTE) == await status(NOW + 4 * MINUTE) == 200
    assert await status(NOW + 6 * MINUTE) == await status(0) == 422


@pytest.mark.parametrize(
    "body",
    [
        {"user_id": "ann"},
        {"anonymous_id": "laptop"},
        {"user_id": "", "anonymous_id": "laptop"},
        BOTH | {"type": "view"},
        BOTH | {"item_id": "item-001"},
        BOTH | {"occurred_at": 1714564800},
        [BOTH],
        "ann",
    ],
)
async def test_what_is_no_visitor_and_user_is_refused_and_nothing_is_kept(shop: Shopfront, body: object) -> None:
    for what in ("link", "unlink"):
        answer = await shop.http.post(f"/v1/identity:{what}", json=body)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:attune:problem:invalid-request")
    assert await shop.store.arrived(after=0, limit=1) == []


async def test_when_the_store_cannot_write_nothing_is_acknowledged(shop: Shopfront) -> None:
    await shop.store.close()
    answer = await shop.http.post("/v1/identity:link", json=BOTH)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:attune:problem:store-unavailable")
