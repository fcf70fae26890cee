"""`POST /v1/events:backfill`: years of history, in any order, beside the live traffic and never taken for it."""

import asyncio
import json
import random
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.clock import DAY, HOUR, MINUTE, ManualClock, SystemClock, to_datetime
from recsys.data.exports import exported_files, with_exports
from recsys.event import ACTS, EventType
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from serving.api.backfill import MAX_BYTES, MAX_ROWS
from serving.api.limits import MAX_BODY_BYTES
from serving.events import PAST, Listening
from serving.exporter import export
from serving.security.keys import Keys
from serving.security.scope import Scope
from serving.store.memory import MemoryStore
from serving.store.redis import RedisStore
from tests.made_up_shop import MadeUpShop
from tests.serving.conftest import Shopfront
from tests.serving.live import LiveServer, ask
from tests.serving.locked import a_key, bearer, locked
from tests.serving.redis_server import RedisServer
from tests.serving.shop import NOW, CategoryCounter
from tests.serving.stores import Place
from tests.serving.watching.scrape import Scraped

YEAR = 365 * DAY


def row(event_id: str, at: int, **said: Any) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "type": "view",
        "user_id": "u",
        "item_id": "item-001",
        "occurred_at": to_datetime(at).isoformat(),
        **said,
    }


async def send(http: httpx.AsyncClient, *rows: object) -> httpx.Response:
    lines = [one if isinstance(one, str) else json.dumps(one) for one in rows]
    return await http.post("/v1/events:backfill", content="\n".join(lines))


async def history(shop: Shopfront) -> list[str]:
    return [event.event_id for event in await shop.store.history(user_id="u", anonymous_id=None, limit=99_999)]


async def test_each_row_gets_its_own_answer_and_late_ones_their_place_in_time(shop: Shopfront) -> None:
    live = {"event_id": "live", "type": "view", "user_id": "u", "item_id": "item-002"}
    assert (await shop.http.post("/v1/events", json=live)).status_code == 200
    rows = [row("b", NOW - YEAR), row("a", NOW - 9 * YEAR), {"event_id": "c"}, "{", "", row("b", 5), row("live", NOW)]
    answer = (await send(shop.http, *rows)).json()
    assert [(one["row"], one["event_id"], one["status"]) for one in answer["results"]] == [
        (0, "b", "accepted"),
        (1, "a", "accepted"),
        (2, "c", "rejected"),
        (3, None, "rejected"),
        (4, "b", "rejected"),
        (5, "live", "duplicate"),
    ]
    assert (answer["accepted"], answer["duplicate"], answer["rejected"]) == (2, 1, 3)
    assert "type: is missing" in answer["results"][2]["reason"]
    assert "not JSON" in answer["results"][3]["reason"]
    assert "before 1970-01-02" in answer["results"][4]["reason"]
    shop.clock.advance(1)
    assert await history(shop) == ["a", "b", "live"]
    assert [arrival.event.event_id for arrival in await shop.store.arrived(after=0, limit=9)] == ["live", "b", "a"]


async def test_what_the_ordinary_route_takes_for_a_broken_clock_is_history_here(shop: Shopfront) -> None:
    old = row("old", DAY)
    refused = await shop.http.post("/v1/events", json=old)
    assert (refused.status_code, "before 1990-01-01" in refused.text) == (422, True)
    assert (await send(shop.http, old)).json()["accepted"] == 1
    assert (await send(shop.http, row("older", DAY - 1))).json()["rejected"] == 1
    assert (await send(shop.http, row("ahead", NOW + 6 * MINUTE))).json()["rejected"] == 1
    for missing in ("event_id", "occurred_at"):
        lacking = {name: value for name, value in old.items() if name != missing}
        assert f"needs an {missing}" in (await send(shop.http, lacking)).json()["results"][0]["reason"]


async def test_a_backfill_is_not_taken_for_live_traffic(shop: Shopfront) -> None:
    async def counted() -> Scraped:
        return Scraped.of((await shop.http.get("/v1/admin/metrics")).text)

    before = await counted()
    await send(shop.http, *(row(f"e{number}", NOW - number * HOUR) for number in range(500)), row("e1", NOW))
    after = await counted()
    assert after("attune_events_backfilled_total", status="accepted") == 500
    assert after("attune_events_backfilled_total", status="duplicate") == 1
    for name in ("attune_events_total", "attune_event_append_seconds_count"):
        assert after(name) == before(name) == 0


async def test_ten_thousand_rows_of_eight_mebibytes_are_one_request_and_more_are_too_many(shop: Shopfront) -> None:
    rows = [row(f"e{number}", NOW - number * HOUR, session_id="s" * 200) for number in range(MAX_ROWS)]
    assert MAX_BODY_BYTES < sum(len(json.dumps(one)) for one in rows) < MAX_BYTES
    assert (await send(shop.http, *rows)).json()["accepted"] == MAX_ROWS
    assert (await send(shop.http, *rows)).json()["duplicate"] == MAX_ROWS
    assert (await send(shop.http, *rows, row("more", NOW))).status_code == 422
    assert (await send(shop.http, "", " ")).status_code == 422
    assert (await send(shop.http, " " * (MAX_BYTES + 1))).status_code == 413
    assert (await shop.http.post("/v1/events", content=" " * (MAX_BODY_BYTES + 1))).status_code == 413
    assert len(await history(shop)) == MAX_ROWS


async def test_one_backfill_at_a_time_and_live_events_and_answers_go_on_beside_it(shop: Shopfront) -> None:
    rows = [row(f"e{number}", NOW - number * HOUR) for number in range(5_000)]
    running = asyncio.create_task(send(shop.http, *rows))
    for _ in range(10_000):
        if await shop.store.last_number():
            break
    refused = await send(shop.http, row("other", NOW))
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    shop.clock.advance(1)
    live = await shop.http.post("/v1/events", json={"type": "view", "anonymous_id": "v", "item_id": "item-025"})
    shop.clock.advance(1)
    answer = await shop.http.post("/v1/recommendations", json={"shopper": {"anonymous_id": "v"}})
    assert (live.status_code, answer.json()["knowledge"], answer.json()["degraded"]) == (200, "session", None)
    assert not running.done()
    assert (await running).json()["accepted"] == 5_000
    assert (await send(shop.http, row("other", NOW))).json()["accepted"] == 1


async def test_a_key_for_backfills_does_nothing_else_and_has_a_rate_of_its_own(tmp_path: Path) -> None:
    past, text = a_key(Scope.EVENTS_BACKFILL, rate_per_s=1.0, burst=1)
    live, other = a_key(Scope.EVENTS_WRITE, rate_per_s=1.0, burst=1)
    async with locked(tmp_path, Keys(), [past, live]) as shop:
        body = json.dumps(row("e", NOW))

        async def status(path: str, key: str) -> int:
            return (await shop.http.post(path, content=body, headers=bearer(key))).status_code

        assert await status("/v1/events:backfill", text) == 200
        assert await status("/v1/events:backfill", text) == 429
        assert await status("/v1/events", other) == 200, "the others' rate is theirs"
        shop.ticks.at = 10.0
        assert await status("/v1/events", text) == 403
        assert await status("/v1/events:backfill", other) == 403


async def test_in_redis_an_event_sent_again_after_its_id_was_forgotten_is_still_in_the_history_once(
    redis_server: RedisServer,
) -> None:
    store = RedisStore(redis_server.url, prefix="forgetful", known_days=1)
    await store.open()
    listening = Listening(store, CategoryCounter().offer, ManualClock(NOW))
    old, young = row("old", NOW - YEAR), row("young", NOW - DAY)
    await listening.hear([old, young], PAST)
    with redis.Redis.from_url(redis_server.url) as client:
        seconds = client.time()[0]
        client.zadd("forgetful:ids", {"old": seconds - 86_400 - 60, "young": seconds - 86_400 + 60})
    assert (await listening.hear([row("another", NOW)], PAST)).accepted == 1, "with it what is too old is forgotten"
    again = await listening.hear([old, young], PAST)
    assert [receipt.status for receipt in again.results] == ["accepted", "duplicate"]
    found = await store.history(user_id="u", anonymous_id=None, limit=9)
    assert [event.event_id for event in found] == ["old", "young", "another"]
    arrived = await store.arrived(after=0, limit=9)
    assert [one.event.event_id for one in arrived] == ["old", "young", "another", "old"], "the log takes an id once"
    await store.close()


FACTS = st.lists(
    st.tuples(
        st.integers(0, 3 * 365),
        st.sampled_from([("u", None), (None, "v"), ("u", "w"), ("t", None)]),
        st.sampled_from([EventType.VIEW, EventType.PURCHASE, EventType.SEARCH, EventType.IMPRESSION]),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=FACTS, seed=st.integers(0, 999), batch=st.sampled_from([1, 7, 50]))
def test_histories_are_in_order_of_time_whatever_the_order_of_arrival(
    facts: list[tuple[int, tuple[str | None, str | None], EventType]], seed: int, batch: int, place: Place
) -> None:
    rows = [
        row(f"{number:02d}", NOW - day * DAY, type=kind.value, user_id=who[0], anonymous_id=who[1], query="q")
        for number, (day, who, kind) in enumerate(facts)
    ]
    random.Random(seed).shuffle(rows)

    async def check() -> None:
        async with place.opened() as store:
            listening = Listening(store, CategoryCounter().offer, ManualClock(NOW))
            for first in range(0, len(rows), batch):
                await listening.hear(rows[first : first + batch])
            for user in ("u", "t"):
                found = await store.history(user_id=user, anonymous_id=None, limit=99)
                theirs = [one for one in rows if one["user_id"] == user and EventType(one["type"]) in ACTS]
                expected = sorted(theirs, key=lambda one: (one["occurred_at"], one["event_id"]))
                assert [event.event_id for event in found] == [one["event_id"] for one in expected]

    asyncio.run(check())


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=FACTS, seed=st.integers(0, 999), half=st.integers(0, 30))
def test_export_and_log_are_in_order_whatever_the_order_of_arrival(
    facts: list[tuple[int, tuple[str | None, str | None], EventType]], seed: int, half: int
) -> None:
    """Files hold each event once, in the order of arrival; the log has them by shopper, instant and id."""
    rows = [
        row(f"{number:02d}", NOW - day * DAY, type=kind.value, user_id=who[0], anonymous_id=who[1], query="q")
        for number, (day, who, kind) in enumerate(facts)
    ]
    random.Random(seed).shuffle(rows)

    async def exported(folder: Path) -> None:
        async with Place(lambda _: MemoryStore()).opened() as store:
            listening = Listening(store, CategoryCounter().offer, ManualClock(NOW))
            for part in (rows[:half], rows[half:]):
                await listening.hear(part + rows[:3], PAST)  # the first three again and again
                await export(store, folder)

    with tempfile.TemporaryDirectory() as scratch:
        folder, log = Path(scratch, "exports"), Path(scratch, "log")
        asyncio.run(exported(folder))
        files = [one for path in exported_files(folder) for one in pq.read_table(path)["event_id"].to_pylist()]
        write_log(with_exports(MadeUpShop(shoppers=1), folder), log)
        events = EventLog(log).events().select(["shopper", "occurred_at", "event_id"])
    came = [one["event_id"] for one in rows]
    assert files == list(dict.fromkeys([*came[:half], *came[:3], *came[half:]]))
    ours = {one["event_id"]: one for one in rows}
    found = [one for one in zip(*(column.to_pylist() for column in events.columns), strict=True) if one[2] in ours]
    shopper = {one: said["user_id"] or f"anonymous:{said['anonymous_id']}" for one, said in ours.items()}
    expected = sorted((shopper[one], datetime.fromisoformat(said["occurred_at"]), one) for one, said in ours.items())
    assert found == expected


def test_a_large_backfill_goes_through_the_proxy_and_the_next_answers_know_it(server: LiveServer) -> None:
    now = SystemClock().now()
    rows = [row(f"live-{n}", now - (n + 1) * HOUR, user_id="old customer", session_id="s" * 200) for n in range(5_000)]
    body = "\n".join(json.dumps(one) for one in rows)
    assert len(body) > 1.5 * MAX_BODY_BYTES
    with httpx.Client(base_url=server.url, timeout=60) as http:
        answer = http.post("/v1/events:backfill", content=body, headers={"content-type": "application/x-ndjson"})
        assert (answer.status_code, answer.json()["accepted"]) == (200, 5_000)
        known = [ask(http, shopper={"user_id": "old customer"})["knowledge"] for _ in range(10)]
        assert known == ["known"] * 10
