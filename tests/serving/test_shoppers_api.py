"""The rights of a shopper over HTTP: what is held of them, and that it goes, from every replica."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from recsys.clock import ManualClock
from recsys.errors import StoreError
from recsys.log.erase import Named
from serving.api.application import create_app
from serving.pipeline import Question, ids_in, name_of
from serving.security.keys import Keys
from serving.security.scope import Scope
from serving.service import Service
from serving.store.protocol import Held
from serving.store.sqlite import SqliteStore
from tests.serving.conftest import Shopfront
from tests.serving.locked import a_key, bearer, locked
from tests.serving.shop import NOW, CategoryCounter

USER, VISITOR = "ute-7319", "cookie-4402"


async def live(http: httpx.AsyncClient) -> None:
    """A visitor looks at the third category, signs in, is shown something and buys; so does somebody else."""
    events: list[dict[str, Any]] = [
        {"type": "view", "event_id": "e1", "anonymous_id": VISITOR, "item_id": "item-020"},
        {"type": "view", "event_id": "e2", "anonymous_id": VISITOR, "item_id": "item-021"},
        {"type": "link", "event_id": "e3", "anonymous_id": VISITOR, "user_id": USER},
        {"type": "purchase", "event_id": "e4", "user_id": USER, "item_id": "item-022", "quantity": 2, "price": 3.5},
        {"type": "view", "event_id": "e5", "user_id": "vera", "item_id": "item-010"},
    ]
    answer = await http.post("/v1/events", json={"events": events})
    assert answer.json()["accepted"] == 5


async def asked(http: httpx.AsyncClient, **shopper: str) -> dict[str, Any]:
    answer = await http.post("/v1/recommendations", json={"shopper": shopper, "count": 3})
    body: dict[str, Any] = answer.json()
    return body


def lines_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_an_erased_shopper_is_answered_as_a_stranger_and_the_receipt_lists_every_place(shop: Shopfront) -> None:
    await live(shop.http)
    shop.clock.advance(1_000_000)
    before = await asked(shop.http, user_id=USER)
    assert (before["knowledge"], before["items"][0]["category"]) != ("cold", ["category-0"])
    await asyncio.sleep(0.1)  # the slate is recorded behind the answer
    answer = await shop.http.delete(f"/v1/shoppers/{USER}")
    assert answer.status_code == 200, answer.text
    receipt = answer.json()
    assert (receipt["kind"], receipt["erased_at"], receipt["visitors"]) == ("user", "2024-05-01T12:00:01Z", 1)
    places = {one["place"]: (one["outcome"], one["removed"], one["blanked"]) for one in receipt["places"]}
    assert places == {
        "store: table events": ("erased", 4, 0),
        "store: table links": ("erased", 1, None),
        "store: table exposures": ("erased", 1, 0),
        "store: pages of the file": ("erased", None, None),
        "store: write-ahead log": ("erased", None, None),
        "memory of the replicas": ("erased", None, None),
        "exported files": ("due", None, None),
        "event log": ("due", None, None),
        "models and bundles": ("unchanged", None, None),
        "backups and copies": ("unchanged", None, None),
    }
    assert USER not in answer.text
    assert VISITOR not in answer.text
    stranger = await asked(shop.http)
    for shopper in ({"user_id": USER}, {"anonymous_id": VISITOR}, {"user_id": USER, "anonymous_id": VISITOR}):
        after = await asked(shop.http, **shopper)
        assert after["knowledge"] == "cold"
        assert [item["item_id"] for item in after["items"]] == [item["item_id"] for item in stranger["items"]]
    shop.clock.advance(60_000_000)
    assert (await shop.http.delete(f"/v1/shoppers/{USER}")).json() == receipt
    assert (await shop.store.history(user_id="vera", anonymous_id=None, limit=9))[0].event_id == "e5"


async def test_events_of_the_erased_are_acknowledged_and_not_kept(shop: Shopfront) -> None:
    await live(shop.http)
    await shop.http.delete(f"/v1/shoppers/{USER}")
    again = {"type": "view", "event_id": "late", "user_id": USER, "item_id": "item-001"}
    answer = await shop.http.post("/v1/events", json=again)
    assert (answer.status_code, answer.json()["duplicate"]) == (200, 1)
    assert await shop.store.history(user_id=USER, anonymous_id=None, limit=9) == []


async def test_a_visitor_is_erased_by_their_own_kind_of_id(shop: Shopfront) -> None:
    await live(shop.http)
    receipt = (await shop.http.delete(f"/v1/shoppers/{VISITOR}", params={"kind": "anonymous"})).json()
    assert (receipt["kind"], receipt["visitors"], receipt["places"][0]["removed"]) == ("anonymous", 0, 3)
    left = await shop.store.history(user_id=USER, anonymous_id=None, limit=9)
    assert [one.event_id for one in left] == ["e4"]


async def test_an_export_holds_who_they_were_what_they_did_and_what_they_saw_and_nothing_of_others(
    shop: Shopfront,
) -> None:
    await live(shop.http)
    shop.clock.advance(1_000_000)
    shown = await asked(shop.http, user_id=USER)
    await asyncio.sleep(0.1)
    answer = await shop.http.get(f"/v1/shoppers/{USER}/export")
    first, link, slate, *events, last = lines_of(answer)
    assert first == {
        "record": "shopper",
        "kind": "user",
        "id": USER,
        "visitors": [VISITOR],
        "asked_at": "2024-05-01T12:00:01Z",
    }
    assert link == {"record": "link", "anonymous_id": VISITOR, "at": "2024-05-01T12:00:00Z", "user_id": USER}
    assert (slate["recommendation_id"], slate["user_id"]) == (shown["recommendation_id"], USER)
    assert [item["item_id"] for item in slate["items"]] == [item["item_id"] for item in shown["items"]]
    assert [event["event_id"] for event in events] == ["e1", "e2", "e3", "e4"]
    assert events[3] == {
        "record": "event",
        "event_id": "e4",
        "type": "purchase",
        "occurred_at": "2024-05-01T12:00:00Z",
        "user_id": USER,
        "item_id": "item-022",
        "quantity": 2.0,
        "price": 3.5,
    }
    assert last == {"record": "end", "links": 1, "recommendations": 1, "events": 4}
    assert "vera" not in answer.text


async def test_a_long_export_is_read_page_by_page_and_each_event_is_in_it_once(shop: Shopfront) -> None:
    for page in range(11):
        batch = [
            {"type": "view", "event_id": f"{page}-{number}", "user_id": USER, "item_id": "item-001"}
            for number in range(1_000)
        ]
        assert (await shop.http.post("/v1/events", json={"events": batch})).json()["accepted"] == 1_000
    lines = lines_of(await shop.http.get(f"/v1/shoppers/{USER}/export"))
    assert len({line["event_id"] for line in lines if line["record"] == "event"}) == 11_000
    assert lines[-1]["events"] == 11_000


async def test_of_the_unknown_and_of_the_erased_an_export_is_empty(shop: Shopfront) -> None:
    await live(shop.http)
    await shop.http.delete(f"/v1/shoppers/{USER}")
    for shopper, kind in (("nobody", "user"), ("nobody", "anonymous"), (USER, "user"), (VISITOR, "anonymous")):
        first, last = lines_of(await shop.http.get(f"/v1/shoppers/{shopper}/export", params={"kind": kind}))
        assert (first["record"], last) == ("shopper", {"record": "end", "links": 0, "recommendations": 0, "events": 0})


class Breaking(SqliteStore):
    """Can be read once."""

    reads = 0

    async def held(self, shopper: Named, *, after: int, limit: int) -> Held:
        self.reads += 1
        if self.reads == 2:
            raise StoreError("the disk is gone")
        return await super().held(shopper, after=after, limit=limit)


async def test_an_export_that_breaks_off_says_so_and_one_that_cannot_begin_is_refused(tmp_path: Path) -> None:
    store = Breaking(tmp_path / "events.db")
    async with opened(CategoryCounter(), store) as (http, _):
        for page in range(5):
            batch = [
                {"type": "view", "event_id": f"{page}-{number}", "user_id": USER, "item_id": "item-001"}
                for number in range(1_000)
            ]
            await http.post("/v1/events", json={"events": batch})
        *_, last = lines_of(await http.get(f"/v1/shoppers/{USER}/export"))
        assert last == {"record": "incomplete", "detail": "the event store could not be read to the end; ask again"}
        store.reads = 1
        answer = await http.get(f"/v1/shoppers/{USER}/export")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:attune:problem:store-unavailable")


@pytest.mark.parametrize("path", ["a%0Ab", "x" * 257, "a%00b"])
async def test_an_id_that_no_event_may_have_is_refused(shop: Shopfront, path: str) -> None:
    for answer in (await shop.http.delete(f"/v1/shoppers/{path}"), await shop.http.get(f"/v1/shoppers/{path}/export")):
        assert answer.status_code in (404, 422)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_an_unknown_kind_of_id_is_refused_with_those_there_are(shop: Shopfront) -> None:
    answer = await shop.http.delete("/v1/shoppers/a", params={"kind": "email"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "kind is 'email'; choose of user, anonymous")


async def test_an_id_with_slashes_and_spaces_is_one_id(shop: Shopfront) -> None:
    strange = "shop/user 7/export"
    await shop.http.post("/v1/events", json={"type": "view", "user_id": strange, "item_id": "item-001"})
    path = "/v1/shoppers/shop%2Fuser%207%2Fexport"
    assert lines_of(await shop.http.get(f"{path}/export"))[-1]["events"] == 1
    assert (await shop.http.delete(path)).json()["places"][0]["removed"] == 1


async def test_to_erase_and_to_export_are_scopes_of_their_own(tmp_path: Path) -> None:
    keys = {scope: a_key(scope) for scope in Scope}
    async with locked(tmp_path, Keys(), [key for key, _ in keys.values()]) as shop:
        for scope, (_, text) in keys.items():
            exported = await shop.http.get("/v1/shoppers/a/export", headers=bearer(text))
            erased = await shop.http.delete("/v1/shoppers/a", headers=bearer(text))
            assert exported.status_code == (200 if scope in (Scope.SHOPPERS_READ, Scope.ADMIN) else 403)
            assert erased.status_code == (200 if scope in (Scope.SHOPPERS_ERASE, Scope.ADMIN) else 403)


class Remembering(CategoryCounter):
    """Keeps whom it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[str] = set()

    def forget(self, whose: Callable[[str], bool]) -> None:
        self.known = {name for name in self.known if not whose(name)}


@asynccontextmanager
async def opened(recommender: CategoryCounter, store: SqliteStore) -> AsyncIterator[tuple[httpx.AsyncClient, Service]]:
    """One replica."""
    service = Service(recommender, store, clock=ManualClock(NOW), rng=np.random.default_rng(0), follow_every_s=0.2)
    transport = httpx.ASGITransport(create_app(service), raise_app_exceptions=False)
    async with service, httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        yield http, service


async def test_every_replica_lets_go_of_what_it_remembers_within_a_second(tmp_path: Path) -> None:
    one, other = Remembering(), Remembering()
    names = {
        name_of(Question(user_id=user, anonymous_id=visitor))
        for user, visitor in ((USER, None), (None, VISITOR), (USER, "else"), ("vera", VISITOR), ("vera", "else"))
    }
    async with (
        opened(one, SqliteStore(tmp_path / "events.db")) as (http, _),
        opened(other, SqliteStore(tmp_path / "events.db")),
    ):
        await live(http)
        one.known, other.known = set(names), set(names)  # type: ignore[arg-type]
        await http.delete(f"/v1/shoppers/{USER}")
        kept = {name_of(Question(user_id="vera", anonymous_id="else"))}
        assert one.known == kept
        await asyncio.sleep(0.9)
        assert other.known == kept


async def test_whoever_stops_waiting_does_not_stop_the_erasure(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "events.db")
    async with opened(CategoryCounter(), store) as (http, service):
        await live(http)
        waiting = asyncio.create_task(service.forgetting.erase(Named("user", USER)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        both = await asyncio.gather(*(service.forgetting.erase(Named("user", USER)) for _ in range(2)))
        assert (both[0], both[0].events) == (both[1], 4)
        waiting = asyncio.create_task(service.forgetting.erase(Named("user", "vera")))
        await asyncio.sleep(0)
        waiting.cancel()
    await store.open()
    assert [one.event for one in await store.arrived(after=0, limit=9)] == []
    await store.close()


async def test_what_a_question_on_its_way_left_behind_goes_a_little_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.forgetting._SETTLES_S", 0.3)
    recommender, name = Remembering(), name_of(Question(user_id=USER))
    assert name is not None
    async with opened(recommender, SqliteStore(tmp_path / "events.db")) as (http, _):
        await http.delete(f"/v1/shoppers/{USER}")
        recommender.known = {name}
        await asyncio.sleep(1)
        assert not recommender.known


@pytest.mark.parametrize("user", [None, "u", "12", "a:b", "None"])
@pytest.mark.parametrize("visitor", [None, "v", ":", "1:u:v"])
def test_from_a_shoppers_name_follow_their_ids(user: str | None, visitor: str | None) -> None:
    name = name_of(Question(user_id=user, anonymous_id=visitor))
    if name is not None:
        assert ids_in(name) == [("user", user or ""), ("anonymous", visitor or "None")]
