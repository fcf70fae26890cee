"""Items over HTTP: put, patched, deleted, many at once, on every replica, across a restart."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from recsys.clock import ManualClock
from serving.api.application import create_app
from serving.service import Service
from serving.store.sqlite import SqliteStore
from tests.serving.shop import NOW, CategoryCounter

OAT = {"title": "Oat drink", "category": ["category-1"], "price": 2.5, "attributes": {"organic": True}}


@asynccontextmanager
async def replica(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """One replica on the store in `folder`."""
    service = Service(
        CategoryCounter(), SqliteStore(folder / "events.db"), clock=ManualClock(NOW), rng=np.random.default_rng(0)
    )
    transport = httpx.ASGITransport(create_app(service))
    async with service, httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        yield http


async def shown(http: httpx.AsyncClient, **asked: Any) -> list[dict[str, Any]]:
    answer = await http.post("/v1/recommendations", json={"count": 100, **asked})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def ids(http: httpx.AsyncClient, **asked: Any) -> list[str]:
    return [item["item_id"] for item in await shown(http, **asked)]


async def test_a_new_item_is_shown_by_the_very_next_answer_and_deleted_by_the_one_after(tmp_path: Path) -> None:
    async with replica(tmp_path) as http:
        put = await http.put("/v1/items/oat", json=OAT)
        assert (put.status_code, put.json()["outcome"]) == (200, "created")
        [oat] = [item for item in await shown(http) if item["item_id"] == "oat"]
        assert (oat["title"], oat["price"], oat["category"]) == ("Oat drink", 2.5, ["category-1"])
        assert (await http.get("/v1/items/oat")).json()["title"] == "Oat drink"
        assert (await http.delete("/v1/items/oat")).json()["outcome"] == "deleted"
        assert "oat" not in await ids(http)
        assert (await http.get("/v1/items/oat")).status_code == 404
        assert (await http.delete("/v1/items/oat")).status_code == 404


async def test_what_is_sold_out_disappears_at_once_and_a_price_that_changed_is_shown(tmp_path: Path) -> None:
    async with replica(tmp_path) as http:
        assert "item-003" in await ids(http)
        patched = await http.patch("/v1/items/item-003", json={"available": False, "price": 7.5})
        assert patched.json() == {"item_id": "item-003", "outcome": "patched", "row": None, "reason": None}
        assert "item-003" not in await ids(http)
        await http.patch("/v1/items/item-003", json={"available": True})
        [item] = [item for item in await shown(http) if item["item_id"] == "item-003"]
        assert (item["price"], item["title"], item["category"]) == (7.5, "Item 3", ["category-0"])


async def test_a_store_without_stock_does_not_show_the_item_and_others_do(tmp_path: Path) -> None:
    async with replica(tmp_path) as http:
        await http.patch("/v1/items/item-003", json={"available_in": {"berlin": False}})
        assert "item-003" not in await ids(http, context={"store": "berlin"})
        assert "item-003" in await ids(http, context={"store": "paris"})
        await http.patch("/v1/items/item-003", json={"available_in": {"berlin": None}})
        assert "item-003" in await ids(http, context={"store": "berlin"})


async def test_an_answer_holds_only_what_the_filter_matches(tmp_path: Path) -> None:
    async with replica(tmp_path) as http:
        await http.put("/v1/items/oat", json=OAT)
        wanted = {"category": "category-1", "price": {"lt": 13}}
        assert sorted(await ids(http, filter=wanted)) == ["item-010", "item-011", "item-012", "oat"]
        assert await ids(http, filter={"attributes": {"organic": True}}) == ["oat"]
        assert await ids(http, filter={"not": {"price": {"gte": 0}}}) == []
        refused = await http.post("/v1/recommendations", json={"filter": {"colour": "red"}})
        assert refused.status_code == 422
        assert "colour" in refused.json()["detail"]


async def test_every_line_of_a_bulk_request_has_its_own_outcome(tmp_path: Path) -> None:
    lines: list[object] = [
        {"op": "put", "item_id": "oat", "item": OAT},
        {"op": "patch", "item_id": "oat", "item": {"price": 3.0}},
        {"op": "patch", "item_id": "nobody", "item": {"price": 3.0}},
        {"op": "delete", "item_id": "item-004"},
        {"op": "delete", "item_id": "item-004"},
        {"op": "put", "item_id": "bad", "item": {"title": "x", "price": -1}},
        {"op": "patch", "item_id": "bad", "item": {}},
        {"op": "burn", "item_id": "bad"},
        {"op": "delete", "item_id": "bad", "item": {}},
        "text",
    ]
    body = "\n".join(json.dumps(line) for line in lines) + '\n\n{"op": "put"\n{"op": "put", "item_id": NaN}'
    async with replica(tmp_path) as http:
        answer = await http.post("/v1/items:bulk", content=body)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        outcomes = [result["outcome"] for result in told["results"]]
        assert outcomes == ["created", "patched", "unknown", "deleted", "unknown", *["rejected"] * 7]
        assert (told["changed"], told["unknown"], told["rejected"]) == (3, 2, 7)
        assert [result["row"] for result in told["results"]] == list(range(12))
        assert "price" in told["results"][5]["reason"]
        assert "changes nothing" in told["results"][6]["reason"]
        listed = await ids(http)
        assert "item-004" not in listed
        assert "oat" in listed
        assert (await http.post("/v1/items:bulk", content="")).status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/items/a", {"title": ""}, "title"),
        ("/v1/items/a", {"title": "A", "colour": "red"}, "colour"),
        ("/v1/items/a", {"title": "A", "price": "12"}, "price"),
        ("/v1/items/a", {"title": "A", "category": "Food"}, "category"),
        ("/v1/items/a", {"title": "A", "attributes": {"x": {"y": 1}}}, "attributes"),
        ("/v1/items/" + "x" * 300, {"title": "A"}, "item_id"),
        ("/v1/items/a%00b", {"title": "A"}, "item_id"),
    ],
)
async def test_what_is_no_item_is_refused_and_named(tmp_path: Path, path: str, body: object, words: str) -> None:
    async with replica(tmp_path) as http:
        answer = await http.put(path, json=body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert words in answer.json()["detail"]


async def test_an_id_may_hold_whatever_shops_put_into_ids(tmp_path: Path) -> None:
    async with replica(tmp_path) as http:
        for name in ("a/b", "ä ö", "12:34", "a%2Fb"):
            assert (await http.put(f"/v1/items/{quote(name, safe='')}", json={"title": name})).json()["item_id"] == name
            assert name in await ids(http)


async def test_a_change_reaches_every_replica_within_a_second_and_outlives_them(tmp_path: Path) -> None:
    async with replica(tmp_path) as one, replica(tmp_path) as other:
        for number in range(5):
            await one.put(f"/v1/items/new-{number}", json=OAT)
        await other.delete("/v1/items/item-000")
        await asyncio.sleep(0.8)
        assert {f"new-{number}" for number in range(5)} <= set(await ids(other))
        assert "item-000" not in await ids(one)
    async with replica(tmp_path) as again:
        listed = await ids(again)
        assert "new-4" in listed
        assert "item-000" not in listed
        assert (await again.get("/readyz")).json()["items_revision"] == 6


async def test_an_item_in_the_basket_or_bought_is_not_offered_though_the_model_never_saw_it(tmp_path: Path) -> None:
    async with replica(tmp_path) as http:
        await http.put("/v1/items/oat", json=OAT)
        asked = {"shopper": {"anonymous_id": "a"}}
        event = {"anonymous_id": "a", "item_id": "oat", "occurred_at": "2024-05-01T11:00:00+00:00"}
        first = await http.post("/v1/events", json={**event, "type": "add_to_cart"})
        assert "the model does not know 'oat' yet" in first.json()["results"][0]["note"]
        assert "oat" not in await ids(http, **asked)
        later = {**event, "occurred_at": "2024-05-01T11:10:00+00:00"}
        await http.post("/v1/events", json={**later, "type": "remove_from_cart"})
        assert "oat" in await ids(http, **asked)
        await http.post("/v1/events", json={**later, "type": "purchase", "occurred_at": "2024-05-01T11:20:00+00:00"})
        assert "oat" not in await ids(http, **asked)
        assert "oat" not in await ids(http, exclude=["oat"])
