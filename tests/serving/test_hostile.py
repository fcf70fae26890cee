"""What nobody sends by accident: envelopes, depths, numbers and characters that break things elsewhere."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from serving.api.limits import BodyLimit
from serving.api.problem import TOO_MANY, Problem, words
from tests.serving.conftest import Shopfront

VIEW = {"type": "view", "anonymous_id": "a", "item_id": "item-001"}
DEEP = 100_000


async def send(shop: Shopfront, path: str, body: str | bytes, method: str = "POST", **headers: str) -> httpx.Response:
    """The answer, which must be a problem that names nothing inside."""
    answer = await shop.http.request(method, path, content=body, headers=headers)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail"} <= answer.json().keys()
        assert len(answer.content) < 20_000
    assert answer.status_code < 500, answer.text
    for inside in ("Traceback", "pydantic", "site-packages", 'File "'):
        assert inside not in answer.text
    return answer


@pytest.mark.parametrize("path", ["/v1/events", "/v1/recommendations", "/v1/items:bulk"])
@pytest.mark.parametrize(
    "body",
    [
        "[" * DEEP + "]" * DEEP,
        '{"a":' * DEEP + "1" + "}" * DEEP,
        '{"filter":' + '{"not":' * DEEP + "{}" + "}" * DEEP + "}",
        '{"filter":' + '{"not":' * 190 + "{}" + "}" * 190 + "}",
        '{"events": [' + "[" * 180 + "]" * 180 + "]}",
        '{"op": "put", "item_id": "a", "item": {"attributes": {"x": ' + "[" * 180 + "]" * 180 + "}}}",
        "9" * 100_000,
        '{"count": ' + "9" * 5_000 + "}",
        '{"count": ' + "9" * 4_000 + "}",
        '{"type": "view", "item_id": "a", "user_id": "u", "position": ' + "9" * 4_000 + "}",
        '{"type": "view", "item_id": "a", "user_id": "u", "quantity": ' + "9" * 4_000 + "}",
        '{"type": ' + "9" * 4_000 + "}",
        '{"filter": {"price": {"lt": ' + "9" * 4_000 + "}}}",
        '{"op": ' + "9" * 4_000 + "}",
        '{"op": "put", "item_id": "a", "item": {"title": "A", "price": ' + "9" * 4_000 + "}}",
        '{"op": "put", "item_id": "a", "item": {"title": "A", "attributes": {"x": ' + "9" * 4_000 + "}}}",
        '{"count": 1e999}',
        '{"count": -0.0}',
        r'{"placement": "\ud800"}',
        r'{"type": "view", "user_id": "\udfff", "item_id": "a"}',
        b'{"placement": "\xff\xfe"}',
        b'\xff\xfe{\x00"\x00a\x00"\x00',
        "\ufeff{}",
        "\x00",
        "NaN",
        "-Infinity",
        '{"filter": {"price": {"lt": NaN}}}',
        '{"filter": {"attributes": {"x": [NaN, Infinity]}}}',
    ],
    ids=range(28),
)
async def test_what_breaks_parsers_is_refused(shop: Shopfront, path: str, body: str | bytes) -> None:
    answer = await send(shop, path, body)
    if answer.status_code == 200:
        assert path == "/v1/items:bulk"
        assert answer.json()["changed"] == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/events", json.dumps(VIEW | {f"x{number}": 1 for number in range(80_000)})),
        ("/v1/events", json.dumps({"events": [VIEW | {f"x{n}": 1 for n in range(90)} for _ in range(1_000)]})),
        ("/v1/recommendations", json.dumps({f"x{number}": 1 for number in range(80_000)})),
        ("/v1/recommendations", json.dumps({"filter": {f"x{number}": 1 for number in range(80_000)}})),
        ("/v1/recommendations", json.dumps({"exclude": [0] * 200_000})),
        ("/v1/items:bulk", json.dumps({"op": "put", "item_id": "a", "item": {f"x{n}": 1 for n in range(80_000)}})),
        ("/v1/items:bulk", "1\n" * 500_000),
        ("/v1/items:bulk", "\n" * 1_000_000),
    ],
    ids=range(8),
)
async def test_a_mebibyte_of_nonsense_is_refused_in_a_moment_and_in_few_words(
    shop: Shopfront, path: str, body: str
) -> None:
    assert len(body) <= 1024 * 1024
    started = time.process_time()
    answer = await send(shop, path, body) if '"events"' not in body else await shop.http.post(path, content=body)
    assert answer.status_code in (200, 422)
    assert time.process_time() - started < 1.5


async def test_of_too_many_faults_none_is_listed_and_of_a_few_each_one(shop: Shopfront) -> None:
    many = await send(shop, "/v1/recommendations", json.dumps({f"x{number}": 1 for number in range(101)}))
    assert many.json()["errors"] == [{"pointer": "/", "detail": TOO_MANY}]
    few = await send(shop, "/v1/recommendations", json.dumps({f"x{number}": 1 for number in range(3)}))
    assert [fault["pointer"] for fault in few.json()["errors"]] == ["/x0", "/x1", "/x2"]


@pytest.mark.parametrize(
    "value", ["x" * 10**6, [[1] * 1000] * 1000, {"a": {"b": {"c": {"d": 1}}}}, 10**5000, None], ids=range(5)
)
def test_what_was_sent_is_repeated_in_few_characters(value: Any) -> None:
    assert len(words({"type": "x", "loc": (), "msg": "is wrong", "input": value})) < 120


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/events", VIEW | {"type": "search", "query": "a\0b"}),
        ("POST", "/v1/events", VIEW | {"anonymous_id": "a\0b"}),
        ("POST", "/v1/events", VIEW | {"anonymous_id": "a\nb"}),
        ("POST", "/v1/recommendations", {"placement": "a\0b"}),
        ("POST", "/v1/recommendations", {"session": "a\x7fb"}),
        ("PUT", "/v1/items/a", {"title": "a\0b"}),
        ("PUT", "/v1/items/a", {"title": "a", "text": "a\0b"}),
        ("PUT", "/v1/items/a", {"title": "a", "attributes": {"x": "a\0b"}}),
        ("PUT", "/v1/items/a", {"title": "a", "attributes": {"a\0b": "x"}}),
        ("PATCH", "/v1/items/item-001", {"title": "a\0b"}),
    ],
)
async def test_characters_that_stores_and_files_disagree_on_are_refused(
    shop: Shopfront, method: str, path: str, body: Any
) -> None:
    assert (await send(shop, path, json.dumps(body), method)).status_code == 422


async def test_a_description_may_have_lines(shop: Shopfront) -> None:
    assert (await send(shop, "/v1/items/a", json.dumps({"title": "A", "text": "a\nb\tc"}), "PUT")).status_code == 200


@pytest.mark.parametrize(
    "moment",
    ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2262-04-12T00:00:00Z", "1677-09-21T00:00:00Z"],
)
async def test_times_at_the_ends_of_the_calendar_are_refused(shop: Shopfront, moment: str) -> None:
    answer = await send(shop, "/v1/events", json.dumps(VIEW | {"occurred_at": moment}))
    assert answer.status_code == 422
    assert "occurred_at" in answer.json()["results"][0]["reason"]


async def test_an_offset_is_one_that_a_place_on_earth_could_have(shop: Shopfront) -> None:
    def asked(local_time: str) -> str:
        return json.dumps({"context": {"local_time": local_time}})

    for offset in ("+14:00", "-12:00", "+05:45"):
        assert (await send(shop, "/v1/recommendations", asked(f"2024-05-01T12:00:00{offset}"))).status_code == 200
    for moment in ("2024-05-01T12:00:00+23:59", "2024-05-01T12:00:00-18:01"):
        assert "farther from UTC" in (await send(shop, "/v1/recommendations", asked(moment))).json()["detail"]
    for moment in ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"):
        assert (await send(shop, "/v1/recommendations", asked(moment))).status_code == 200


async def test_of_a_field_that_is_said_twice_the_last_counts_everywhere(shop: Shopfront) -> None:
    answer = await send(shop, "/v1/recommendations", '{"count": 3, "count": 2}')
    assert len(answer.json()["items"]) == 2
    twice = '{"type": "view", "item_id": "item-001", "anonymous_id": "first", "anonymous_id": "last"}'
    assert (await send(shop, "/v1/events", twice)).json()["accepted"] == 1
    assert len(await shop.store.history(user_id=None, anonymous_id="last", limit=9)) == 1
    assert await shop.store.history(user_id=None, anonymous_id="first", limit=9) == []


async def test_a_filter_has_an_end_in_every_direction(shop: Shopfront) -> None:
    nested: Any = {"brand": "x"}
    for _ in range(8):
        nested = {"not": nested}
    for wanted in (
        nested,
        {"and": [{"brand": "x"}] * 65},
        {"brand": ["x"] * 257},
        {"brand": "x" * 257},
        {"attributes": {str(n): 1 for n in range(257)}},
    ):
        assert (await send(shop, "/v1/recommendations", json.dumps({"filter": wanted}))).status_code == 422


@pytest.mark.parametrize(
    ("status", "kind", "asked"),
    [
        (414, "address-too-long", {"url": "/v1/items/" + "x" * 5_000, "method": "GET"}),
        (414, "address-too-long", {"url": "/healthz?" + "x" * 5_000, "method": "GET"}),
        (431, "headers-too-large", {"headers": {"cookie": "x" * 13_000}}),
        (431, "headers-too-large", {"headers": {f"x-{number}": "1" for number in range(101)}}),
        (415, "not-json", {"headers": {"content-type": "text/plain"}}),
        (415, "not-json", {"headers": {"content-type": "application/x-www-form-urlencoded"}}),
        (415, "not-json", {"headers": {"content-type": "multipart/form-data; boundary=x"}}),
        (415, "not-json", {"headers": {"content-type": ""}}),
        (415, "encoded-body", {"headers": {"content-type": "application/json", "content-encoding": "gzip"}}),
        (413, "body-too-large", {"content": b" " * (1024 * 1024 + 1)}),
    ],
)
async def test_an_envelope_that_is_refused_says_why(shop: Shopfront, status: int, kind: str, asked: Any) -> None:
    answer = await shop.http.request(**({"method": "POST", "url": "/v1/recommendations", "content": "{}"} | asked))
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:attune:problem:{kind}")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("kind", [None, "application/json", "Application/JSON; charset=utf-8", "application/x-ndjson"])
async def test_json_may_be_called_by_its_names_or_not_at_all(shop: Shopfront, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    assert (await shop.http.post("/v1/recommendations", content="{}", headers=headers)).status_code == 200


@pytest.mark.parametrize("host", ["[", "a b", "", "\x7f"])
@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/v1/events", 405)])
async def test_a_host_that_is_none_breaks_no_error(
    shop: Shopfront, host: str, method: str, path: str, status: int
) -> None:
    answer = await shop.http.request(method, path, headers={"host": host})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_nothing_redirects_to_the_host_that_a_request_names(shop: Shopfront) -> None:
    answer = await shop.http.get("/readyz/", headers={"host": "attacker.example"})
    assert answer.status_code == 404
    assert "attacker.example" not in answer.text + str(answer.headers)


async def test_a_body_that_does_not_come_gives_its_place_back() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass

    async def dripping() -> dict[str, Any]:
        await asyncio.sleep(0.03)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def nowhere(_: Any) -> None:
        return None

    scope = {"type": "http", "headers": [], "path": "/v1/events"}
    with pytest.raises(Problem) as refusal:
        await asyncio.wait_for(BodyLimit(app, timeout_s=0.1)(scope, dripping, nowhere), 5)
    assert (refusal.value.status, refusal.value.headers) == (408, {"connection": "close"})


async def test_after_the_body_a_client_may_wait_for_its_answer_as_long_as_it_likes() -> None:
    messages = [{"type": "http.request", "body": b"{}", "more_body": False}, {"type": "http.disconnect"}]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["body"] == b"{}"
        assert (await receive())["type"] == "http.disconnect"

    async def slow() -> dict[str, Any]:
        await asyncio.sleep(0.0 if len(messages) == 2 else 0.2)
        return messages.pop(0)

    async def nowhere(_: Any) -> None:
        return None

    await BodyLimit(app, timeout_s=0.1)({"type": "http", "headers": [], "path": "/v1/events"}, slow, nowhere)
    assert messages == []
