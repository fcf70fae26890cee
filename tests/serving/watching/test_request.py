"""Every request has an id: in the header of its answer, in the lines of the log, in problem bodies."""

import asyncio
import json
import logging

import httpx
import pytest

from serving.exposure import ExposureLog
from serving.watching.logs import JsonLines
from serving.watching.request import CURRENT
from tests.serving.conftest import Shopfront
from tests.serving.shop import broken


async def ask(shop: Shopfront, request_id: str | None = None, **question: object) -> httpx.Response:
    headers = {} if request_id is None else {"x-request-id": request_id}
    return await shop.http.post("/v1/recommendations", json=question, headers=headers)


async def test_a_sane_id_is_taken_over(shop: Shopfront) -> None:
    assert (await ask(shop, "click-17.page_3")).headers["x-request-id"] == "click-17.page_3"


@pytest.mark.parametrize("mad", ["", "two words", "x" * 129, "<script>", "a/b", "{}", "a;b=c"])
async def test_any_other_id_is_replaced(shop: Shopfront, mad: str) -> None:
    answer = await ask(shop, mad)
    assert len(answer.headers["x-request-id"]) == 32
    assert answer.headers.get_list("x-request-id") == [answer.headers["x-request-id"]]


async def test_ids_that_are_made_are_different(shop: Shopfront) -> None:
    assert len({(await ask(shop)).headers["x-request-id"] for _ in range(20)}) == 20


async def test_a_problem_names_its_request(shop: Shopfront) -> None:
    answer = await ask(shop, "r-1", count=1_000)
    assert answer.status_code == 422
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "r-1"


async def test_so_do_what_is_not_there_and_what_is_too_large(shop: Shopfront) -> None:
    nowhere = await shop.http.get("/nowhere", headers={"x-request-id": "r-2"})
    large = await shop.http.post("/v1/events", content=b" " * 2_000_000, headers={"x-request-id": "r-3"})
    assert [(nowhere.status_code, nowhere.json()["request_id"]), (large.status_code, large.json()["request_id"])] == [
        (404, "r-2"),
        (413, "r-3"),
    ]


async def test_what_nobody_expected_is_a_problem_that_can_be_found_in_the_log(
    shop: Shopfront, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExposureLog, "record", broken)
    caplog.handler.setFormatter(JsonLines())
    with caplog.at_level(logging.ERROR, "attune"):
        answer = await ask(shop, "r-4")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "r-4"
    assert "illegal memory access" not in answer.text
    lines = [json.loads(line) for line in caplog.handler.stream.getvalue().splitlines()]
    [line] = [line for line in lines if line["message"] == "unexpected error"]
    assert line["request_id"] == "r-4"
    assert "illegal memory access" in line["exception"]


async def test_what_the_recommender_s_thread_logs_names_the_request_too(
    shop: Shopfront, caplog: pytest.LogCaptureFixture
) -> None:
    shop.recommender.encoder_works = False
    shop.recommender.takes_s = 0.05
    caplog.handler.setFormatter(JsonLines())
    with caplog.at_level(logging.WARNING, "attune"):
        await asyncio.gather(*(ask(shop, f"r-{number}") for number in range(5)))
    lines = [json.loads(line) for line in caplog.handler.stream.getvalue().splitlines()]
    failed = {line.get("request_id") for line in lines if line["message"].startswith("rung full failed")}
    assert failed - {None} == {f"r-{number}" for number in range(5)}, (
        "of a batch that failed as a whole nobody is named"
    )


async def test_no_id_is_left_behind(shop: Shopfront) -> None:
    await ask(shop, "r-5")
    assert CURRENT.get() is None
