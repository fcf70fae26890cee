"""`POST /v1/recommendations`, health and the shape of errors; items 000-009 are category-0, 010-019 category-1, ..."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from recsys.clock import DAY, SECOND
from serving.exposure import ExposureLog
from tests.serving.conftest import Shopfront
from tests.serving.shop import broken


async def ask(shop: Shopfront, **question: object) -> dict[str, Any]:
    answer = await shop.http.post("/v1/recommendations", json=question)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def tell(shop: Shopfront, event_type: str, item_id: str, **more: object) -> None:
    """Send an event of visitor `a` and let a second pass."""
    event = {"type": event_type, "item_id": item_id, **({"anonymous_id": "a"} | more)}
    assert (await shop.http.post("/v1/events", json=event)).json()["accepted"] == 1
    shop.clock.advance(SECOND)


def shown(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


async def test_somebody_unknown_gets_a_complete_answer(shop: Shopfront) -> None:
    answer = await ask(shop, count=2)
    assert answer["knowledge"] == "cold"
    assert answer["degraded"] is None
    assert answer["model_version"] == "test-1"
    assert answer["items"][1] == {
        "item_id": "item-001",
        "title": "Item 1",
        "category": ["category-0"],
        "brand": None,
        "price": 1.0,
        "score": 0.0,
        "source": "counter",
        "reason": "from category-0",
        "position": 1,
        "propensity": 1.0,
    }


async def test_the_very_next_answer_reflects_an_event(shop: Shopfront) -> None:
    await tell(shop, "view", "item-015")
    answer = await ask(shop, shopper={"anonymous_id": "a"}, count=2)
    assert shown(answer) == ["item-010", "item-011"]
    assert answer["knowledge"] == "session"


async def test_an_answer_a_microsecond_after_the_event_reflects_it(shop: Shopfront) -> None:
    event = {"type": "view", "item_id": "item-015", "anonymous_id": "a"}
    await shop.http.post("/v1/events", json=event)
    shop.clock.advance(1)
    assert shown(await ask(shop, shopper={"anonymous_id": "a"}, count=1)) == ["item-010"]


async def test_one_shopper_does_not_see_the_history_of_another(shop: Shopfront) -> None:
    await tell(shop, "view", "item-015")
    assert (await ask(shop, shopper={"anonymous_id": "b"}))["knowledge"] == "cold"


async def test_a_visitor_who_logs_in_keeps_the_visit(shop: Shopfront) -> None:
    await tell(shop, "view", "item-025")
    await tell(shop, "view", "item-026", user_id="u")
    assert shown(await ask(shop, shopper={"user_id": "u"}, count=1)) == ["item-020"]


async def test_a_returning_shopper_is_known(shop: Shopfront) -> None:
    await tell(shop, "view", "item-015")
    shop.clock.advance(DAY)
    assert (await ask(shop, shopper={"anonymous_id": "a"}))["knowledge"] == "known"


async def test_only_what_is_new_to_the_shopper_is_shown_where_that_is_asked_for(shop: Shopfront) -> None:
    await tell(shop, "view", "item-002")
    everything = await ask(shop, shopper={"anonymous_id": "a"}, count=3)
    assert shown(everything) == ["item-000", "item-001", "item-002"]
    new = await ask(shop, shopper={"anonymous_id": "a"}, count=3, exclude_seen=True)
    assert shown(new) == ["item-000", "item-001", "item-003"]


async def test_what_is_in_the_basket_or_excluded_is_not_offered(shop: Shopfront) -> None:
    await tell(shop, "add_to_cart", "item-001")
    answer = await ask(shop, shopper={"anonymous_id": "a"}, count=3, exclude=["item-000", "never-heard-of"])
    assert shown(answer) == ["item-002", "item-003", "item-004"]


async def test_the_slate_is_as_long_as_asked(shop: Shopfront) -> None:
    assert len((await ask(shop))["items"]) == 10
    assert len((await ask(shop, count=1))["items"]) == 1
    assert len((await ask(shop, count=100))["items"]) == 30, "the shop has no more than 30 items"


async def test_what_was_shown_is_in_the_exposure_log(shop: Shopfront) -> None:
    answer = await ask(shop, shopper={"anonymous_id": "a"}, session="s", placement="basket", count=2)
    for _ in range(200):
        exposure = await shop.store.exposure(answer["recommendation_id"])
        if exposure is not None:
            break
        await asyncio.sleep(0.01)
    assert exposure is not None
    assert (exposure.anonymous_id, exposure.session_id, exposure.placement) == ("a", "s", "basket")
    assert [(item.item_id, item.position, item.propensity) for item in exposure.items] == [
        ("item-000", 0, 1.0),
        ("item-001", 1, 1.0),
    ]


async def test_without_the_encoder_there_is_an_answer_that_says_so(shop: Shopfront) -> None:
    shop.recommender.encoder_works = False
    answer = await ask(shop, count=2)
    assert shown(answer) == ["item-000", "item-001"]
    assert answer["rung"] == "without_model"
    assert "the model failed" in answer["degraded"]


async def test_without_the_store_there_is_an_answer_that_says_so(shop: Shopfront) -> None:
    await tell(shop, "view", "item-015")
    await shop.store.close()
    answer = await ask(shop, shopper={"anonymous_id": "a"}, count=1)
    assert shown(answer) == ["item-000"]
    assert "history could not be read" in answer["degraded"]


async def test_if_nothing_works_there_is_a_prepared_answer_without_internals(shop: Shopfront) -> None:
    shop.recommender.anything_works = False
    await tell(shop, "add_to_cart", "item-001")
    answer = await ask(shop, shopper={"anonymous_id": "a"}, count=2, exclude=["item-000"])
    assert shown(answer) == ["item-002", "item-003"]
    assert answer["rung"] == "static"
    assert "prepared beforehand" in answer["degraded"]
    assert "CUDA" not in str(answer)


async def test_an_unexpected_failure_is_a_500_problem_without_internals(
    shop: Shopfront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExposureLog, "record", broken)
    answer = await shop.http.post("/v1/recommendations", json={})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "CUDA" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("said", ["soon", "-5", "0", "1e3", "99999999999999999999", ""])
async def test_a_deadline_that_makes_no_sense_is_named(shop: Shopfront, said: str) -> None:
    answer = await shop.http.post("/v1/recommendations", json={}, headers={"X-Deadline-Ms": said})
    assert answer.status_code == 422
    assert "X-Deadline-Ms" in answer.json()["detail"]


async def test_an_answer_keeps_to_its_deadline(shop: Shopfront) -> None:
    shop.recommender.takes_s = 1.0
    answer = await shop.http.post("/v1/recommendations", json={"count": 2}, headers={"X-Deadline-Ms": "100"})
    assert shown(answer.json()) == ["item-000", "item-001"]
    assert answer.json()["rung"] == "static"
    assert answer.json()["took_ms"] < 500


async def test_questions_that_arrive_together_are_answered_in_fewer_batches(shop: Shopfront) -> None:
    shop.recommender.takes_s = 0.2
    answers = await asyncio.gather(*(ask(shop, count=number) for number in range(1, 41)))
    assert [len(answer["items"]) for answer in answers] == [min(number, 30) for number in range(1, 41)]
    assert sum(shop.recommender.batches) == 40
    assert len(shop.recommender.batches) < 40


@pytest.mark.parametrize(
    ("question", "pointer"),
    [
        ({"count": 0}, "/count"),
        ({"count": 101}, "/count"),
        ({"count": "5"}, "/count"),
        ({"count": 2.5}, "/count"),
        ({"placement": ""}, "/placement"),
        ({"placement": "x" * 257}, "/placement"),
        ({"exclude": ["x"] * 1_001}, "/exclude"),
        ({"shopper": {"user_id": 7}}, "/shopper/user_id"),
        ({"shopper": {"email": "a@b.c"}}, "/shopper/email"),
        ({"context": {"local_time": "2024-05-01T12:00:00"}}, "/context/local_time"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_a_question_that_is_not_valid_is_refused_naming_the_place(
    shop: Shopfront, question: dict[str, object], pointer: str
) -> None:
    answer = await shop.http.post("/v1/recommendations", json=question)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"nonsense", b'{"count": NaN}'])
async def test_a_body_that_is_not_json_is_a_problem(shop: Shopfront, body: bytes) -> None:
    answer = await shop.http.post("/v1/recommendations", content=body)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_ten_megabytes_get_413_without_being_read_whole(shop: Shopfront) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(160):
            sent += 65_536
            yield b" " * 65_536

    answer = await shop.http.post("/v1/recommendations", content=endless())
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert sent <= 2 * 1024 * 1024


async def test_a_body_announced_as_too_large_is_not_read_at_all(shop: Shopfront) -> None:
    answer = await shop.http.post("/v1/events", content=b" " * (10 * 1024 * 1024))
    assert answer.status_code == 413


async def test_a_body_of_exactly_one_mebibyte_is_read(shop: Shopfront) -> None:
    question = json.dumps({"count": 1}).encode()
    answer = await shop.http.post("/v1/recommendations", content=question + b" " * (1024 * 1024 - len(question)))
    assert answer.status_code == 200


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/v1/events", 405)])
async def test_a_wrong_address_or_method_is_a_problem_too(shop: Shopfront, method: str, path: str, status: int) -> None:
    answer = await shop.http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "request_id"}


async def test_health_and_readiness(shop: Shopfront) -> None:
    assert (await shop.http.get("/healthz")).json() == {"status": "ok"}
    ready = (await shop.http.get("/readyz")).json()
    assert ready["model_version"] == "test-1"
    assert ready["items"] == 30
    assert ready["clock"] == "2024-05-01T12:00:00Z"


async def test_without_its_store_the_service_lives_but_is_not_ready(shop: Shopfront) -> None:
    await shop.store.close()
    assert (await shop.http.get("/healthz")).status_code == 200
    assert (await shop.http.get("/readyz")).status_code == 503


async def test_too_many_requests_at_once_are_shed_with_a_503_problem() -> None:
    from serving.api.limits import Shedding

    release = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(Shedding(slow, limit=2))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        running = [asyncio.create_task(http.post("/v1/events")) for _ in range(2)]
        await asyncio.sleep(0.05)
        shed = await http.post("/v1/events")
        release.set()
        health = await http.get("/healthz")
        assert [answer.status_code for answer in await asyncio.gather(*running)] == [200, 200]
    assert shed.status_code == 503
    assert shed.headers["retry-after"] == "1"
    assert health.status_code == 200


async def test_the_documentation_describes_both_bodies_and_has_examples(shop: Shopfront) -> None:
    described = (await shop.http.get("/openapi.json")).json()
    schemas = described["components"]["schemas"]
    assert schemas["EventIn"]["examples"]
    assert schemas["RecommendationRequest"]["examples"]
    assert (await shop.http.get("/docs")).status_code == 200
