"""What happens in the shop is counted and timed; seen through `/v1/admin/metrics`, as Prometheus sees it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from recsys.clock import SECOND, ManualClock
from recsys.errors import StoreError
from recsys.event import Event
from serving.api.application import create_app
from serving.service import Service
from serving.store.protocol import Exposure, Known
from serving.store.sqlite import SqliteStore
from serving.watching.meter import Meter, Stage
from tests.serving.conftest import Shopfront
from tests.serving.shop import NOW, CategoryCounter
from tests.serving.watching.scrape import Scraped

VIEW = {"type": "view", "item_id": "item-015", "anonymous_id": "a"}


class BrokenStore(SqliteStore):
    """A store that cannot be written, and not be read either once `reads` is off."""

    reads = True

    async def append(self, events: Sequence[Event]) -> list[bool]:
        raise StoreError("the disk is full")

    async def record_exposures(self, exposures: Sequence[Exposure]) -> None:
        raise StoreError("the disk is full")

    async def known(
        self, *, user_id: str | None, anonymous_id: str | None, limit: int, before: int | None = None
    ) -> Known:
        if not self.reads:
            raise StoreError("the disk is gone")
        return await super().known(user_id=user_id, anonymous_id=anonymous_id, limit=limit, before=before)


@asynccontextmanager
async def open_shop(store: SqliteStore, *, max_concurrent: int = 128) -> AsyncIterator[Shopfront]:
    clock, recommender = ManualClock(NOW), CategoryCounter()
    service = Service(recommender, store, clock=clock, rng=np.random.default_rng(0))
    transport = httpx.ASGITransport(create_app(service, max_concurrent=max_concurrent), raise_app_exceptions=False)
    async with service, httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        yield Shopfront(http, clock, recommender, store)


@pytest.fixture
async def broken(tmp_path: Path) -> AsyncIterator[Shopfront]:
    async with open_shop(BrokenStore(tmp_path / "events.db")) as shop:
        yield shop


async def scraped(shop: Shopfront) -> Scraped:
    answer = await shop.http.get("/v1/admin/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return Scraped.of(answer.text)


async def counted(shop: Shopfront, name: str, value: float) -> Scraped:
    """The page once it says so: a batch is recorded after its answers have left."""
    for _ in range(500):
        found = await scraped(shop)
        if found(name) >= value:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name} is {found(name)}, not {value}")


async def ask(shop: Shopfront, **question: object) -> httpx.Response:
    return await shop.http.post("/v1/recommendations", json=question)


async def test_requests_are_counted_by_route_and_status_and_paths_with_ids_in_them_never_appear(
    shop: Shopfront,
) -> None:
    await ask(shop)
    await ask(shop, count=1_000)
    await shop.http.get("/v1/items/item-003")
    await shop.http.get("/v1/items/no-such-item")
    await shop.http.get("/v1/nowhere/visitor-17")
    found = await scraped(shop)
    count = "attune_request_seconds_count"
    assert found(count, method="POST", route="/v1/recommendations", status="200") == 1
    assert found(count, method="POST", route="/v1/recommendations", status="422") == 1
    assert found(count, method="GET", route="/v1/items/{item_id}", status="200") == 1
    assert found(count, method="GET", route="/v1/items/{item_id}", status="404") == 1
    assert found(count, method="GET", route="unrouted", status="404") == 1
    assert found("attune_requests_in_flight") == 1  # this one


async def test_every_stage_of_every_answer_is_timed_and_the_whole_is_no_less_than_its_parts(shop: Shopfront) -> None:
    shop.recommender.takes_s = 0.02
    before = await scraped(shop)
    for _ in range(3):
        await ask(shop)
    after = await counted(shop, "attune_batch_size_count", before("attune_batch_size_count") + 3)

    def grown(name: str, stage: Stage) -> float:
        return after(name, stage=stage) - before(name, stage=stage)

    assert [grown("attune_answer_stage_seconds_count", stage) for stage in Stage] == [3] * len(Stage)
    assert grown("attune_answer_stage_seconds_sum", Stage.RECOMMENDER) >= 0.06
    parts = sum(
        grown("attune_answer_stage_seconds_sum", stage) for stage in (Stage.STORE, Stage.WAIT, Stage.RECOMMENDER)
    )
    assert parts <= grown("attune_answer_stage_seconds_sum", Stage.WHOLE) * 1.01


async def test_questions_that_came_while_the_recommender_was_busy_are_one_batch(shop: Shopfront) -> None:
    before = await scraped(shop)
    shop.recommender.takes_s = 0.05
    await asyncio.gather(*(ask(shop) for _ in range(6)))
    after = await counted(shop, "attune_batch_size_sum", before("attune_batch_size_sum") + 6)
    sizes = shop.recommender.batches
    assert after("attune_batch_size_count") - before("attune_batch_size_count") == len(sizes)
    assert after("attune_batch_size_sum") - before("attune_batch_size_sum") == sum(sizes) == 6


async def test_an_answer_without_encoder_is_on_another_rung_and_the_failure_is_counted(shop: Shopfront) -> None:
    await ask(shop)
    shop.recommender.encoder_works = False
    await ask(shop)
    found = await scraped(shop)
    assert found("attune_answers_total", rung="full") == 1
    assert found("attune_answers_total") == 2
    assert found("attune_answers_total", rung="without_model") == 1
    assert found("attune_rung_failures_total", rung="full") == 1


async def test_the_age_of_the_newest_event_that_an_answer_knew_is_measured(shop: Shopfront) -> None:
    await ask(shop, shopper={"anonymous_id": "a"})
    await shop.http.post("/v1/events", json=VIEW)
    shop.clock.advance(5 * SECOND)
    await ask(shop, shopper={"anonymous_id": "a"})
    found = await scraped(shop)
    assert found("attune_answer_newest_event_age_seconds_count") == 1
    assert found("attune_answer_newest_event_age_seconds_sum") == 5


async def test_events_are_counted_by_what_became_of_them(shop: Shopfront) -> None:
    first = VIEW | {"event_id": "e-1"}
    await shop.http.post("/v1/events", json={"events": [first, VIEW, VIEW | {"type": "dance"}]})
    await shop.http.post("/v1/events", json=first)
    found = await scraped(shop)
    assert [found("attune_events_total", status=status) for status in ("accepted", "duplicate", "rejected")] == [
        2,
        1,
        1,
    ]
    assert found("attune_event_append_seconds_count") == 2


async def test_what_the_store_could_not_do_is_counted_by_what_was_asked(broken: Shopfront) -> None:
    assert (await broken.http.post("/v1/events", json=VIEW)).status_code == 503
    assert isinstance(broken.store, BrokenStore)
    broken.store.reads = False
    assert "history could not be read" in (await ask(broken, shopper={"anonymous_id": "a"})).json()["degraded"]
    await asyncio.sleep(0.2)
    found = await scraped(broken)
    errors = "attune_store_errors_total"
    assert found.labels(errors, "operation") == {"POST /v1/events", "history", "record_exposures"}
    assert found(errors) == 3
    assert [found("attune_exposures_total", outcome=outcome) for outcome in ("written", "lost")] == [0, 1]


async def test_recorded_slates_are_counted(shop: Shopfront) -> None:
    for _ in range(4):
        await ask(shop)
    await asyncio.sleep(0.2)
    found = await scraped(shop)
    assert [found("attune_exposures_total", outcome=outcome) for outcome in ("written", "lost")] == [4, 0]


async def test_the_last_change_of_an_item_that_was_taken_over_is_told(shop: Shopfront) -> None:
    assert (await scraped(shop))("attune_items_revision") == 0
    await shop.http.patch("/v1/items/item-003", json={"price": 9.5})
    await shop.http.delete("/v1/items/item-004")
    assert (await scraped(shop))("attune_items_revision") == 2


async def test_refused_requests_are_counted_and_metrics_can_be_had_meanwhile(tmp_path: Path) -> None:
    async with open_shop(SqliteStore(tmp_path / "events.db"), max_concurrent=1) as shop:
        await ask(shop)
        shop.recommender.takes_s = 0.3
        first = asyncio.create_task(ask(shop))
        await asyncio.sleep(0.1)
        assert (await ask(shop)).status_code == 503
        found = await scraped(shop)
        assert found("attune_requests_shed_total") == 1
        assert found("attune_request_seconds_count", route="/v1/recommendations", status="503") == 1
        assert found("attune_requests_in_flight") == 2
        assert (await first).status_code == 200


async def test_a_question_that_cannot_be_answered_in_time_is_counted_as_refused(shop: Shopfront) -> None:
    shop.recommender.takes_s = 0.5
    await ask(shop)
    running = asyncio.create_task(ask(shop))
    for _ in range(500):
        if len(shop.recommender.batches) == 2:
            break
        await asyncio.sleep(0.001)
    waiting = asyncio.create_task(ask(shop))
    await asyncio.sleep(0.1)
    hopeless = await shop.http.post("/v1/recommendations", json={}, headers={"x-deadline-ms": "400"})
    assert (hopeless.status_code, hopeless.json()["type"]) == (503, "urn:attune:problem:overloaded")
    assert (await scraped(shop))("attune_requests_shed_total") == 1
    assert [(await one).status_code for one in (running, waiting)] == [200, 200]


async def test_the_release_is_named_and_only_the_one_that_answers(shop: Shopfront) -> None:
    found = await scraped(shop)
    assert found.labels("attune_release_info", "model_version") == {"test-1"}
    assert found("attune_release_items") == 30
    meter = Meter()
    meter.released("1", items=10, data_end_s=0.0)
    meter.released("2", items=12, data_end_s=0.0)
    [told] = [family for family in meter.registry.collect() if family.name == "attune_release_info"]
    assert [sample.labels["model_version"] for sample in told.samples] == ["2"]


async def test_what_was_exported_is_added_up_and_the_lag_is_the_latest() -> None:
    meter = Meter()
    meter.exported(100, lag_s=30.0)
    meter.exported(20, lag_s=12.5)
    told = {sample.name: sample.value for family in meter.registry.collect() for sample in family.samples}
    assert (told["attune_events_exported_total"], told["attune_export_lag_seconds"]) == (120, 12.5)


async def test_the_items_of_the_latest_slates_are_counted_once_each(shop: Shopfront) -> None:
    await ask(shop, count=3)
    await ask(shop, count=5)
    assert (await scraped(shop))("attune_slate_items_distinct") == 5
