"""Another release taken over while shoppers ask: nothing fails, nothing is forgotten, the way back is short."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest

from recsys.clock import ManualClock
from recsys.errors import BundleError, OverloadError, ReleaseError
from serving.api.application import create_app
from serving.follow import tell
from serving.following import REGISTRY, RELEASE, Following
from serving.service import Loaded, Service
from serving.store.protocol import Note
from serving.store.sqlite import SqliteStore
from tests.serving.shop import NOW, CategoryCounter, small_catalogue

OAT = {"title": "Oat drink", "category": ["category-1"]}


class Versioned(CategoryCounter):
    """A release with a name, and as many items as it is told."""

    def __init__(self, version: str, each: int = 10) -> None:
        super().__init__(small_catalogue(each=each))
        self.model_version = version


class Shelf:
    """Releases by the names of their folders; counts what is loaded."""

    def __init__(self) -> None:
        self.loaded: Counter[str] = Counter()

    def __call__(self, folder: Path) -> Loaded:
        self.loaded[folder.name] += 1
        if folder.name == "damaged":
            raise BundleError(f"{folder}/index.faiss does not match its SHA-256")
        if folder.name == "late" and self.loaded["late"] < 3:
            raise OverloadError("the store has too many requests waiting")
        release = Versioned(folder.name, each=20 if folder.name == "grown" else 10)
        if folder.name == "mute":
            release.anything_works = False
        return Loaded(folder, release, 1_000)


def served(folder: Path, shelf: Shelf) -> tuple[Service, SqliteStore]:
    store = SqliteStore(folder / "events.db")
    clock, rng = ManualClock(NOW), np.random.default_rng(0)
    service = Service(
        Versioned("one"), store, clock=clock, rng=rng, folder=Path("one"), load=shelf, follow_every_s=0.02
    )
    return service, store


def client(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(service)), base_url="http://shop")


async def asked(http: httpx.AsyncClient, **more: object) -> dict[str, object]:
    answer = await http.post("/v1/recommendations", json={"count": 100, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


async def wanted(store: SqliteStore, name: str) -> None:
    await store.write_note(RELEASE, Note(value=name, told_at=NOW))
    await asyncio.sleep(0.3)


def shown(answer: dict[str, object]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]  # type: ignore[attr-defined]


async def test_the_wanted_release_answers_and_sessions_and_items_survive(tmp_path: Path) -> None:
    service, store = served(tmp_path, Shelf())
    async with service, client(service) as http:
        await http.put("/v1/items/oat", json=OAT)
        await http.delete("/v1/items/item-000")
        event = {"type": "add_to_cart", "anonymous_id": "a", "item_id": "item-003"}
        await http.post("/v1/events", json={**event, "occurred_at": "2024-05-01T11:59:00+00:00"})
        before = await asked(http, shopper={"anonymous_id": "a"})
        assert before["model_version"] == "one"
        await wanted(store, "grown")
        after = await asked(http, shopper={"anonymous_id": "a"})
        assert after["model_version"] == "grown"
        assert {"oat", "item-055"} <= set(shown(after)), "what was put, and what the release brings"
        assert not {"item-000", "item-003"} & set(shown(after)), "what is gone, and what is in the basket"
        ready = (await http.get("/readyz")).json()
        assert (ready["model_version"], ready["previous_version"]) == ("grown", "one")


async def test_while_releases_are_swapped_no_question_fails_and_each_is_answered_by_one_of_them(tmp_path: Path) -> None:
    service, store = served(tmp_path, Shelf())
    async with service, client(service) as http:
        versions: Counter[object] = Counter()

        async def shop() -> None:
            for _ in range(40):
                answer = await asked(http, shopper={"anonymous_id": "a"})
                expected = 60 if answer["model_version"] == "grown" else 30
                assert len(shown(answer)) == expected, "numbers of one release are never read by another"
                versions[answer["model_version"]] += 1

        shoppers = [asyncio.create_task(shop()) for _ in range(8)]
        for name in ("grown", "one", "grown", "two"):
            await wanted(store, name)
        await asyncio.gather(*shoppers)
        last = await asked(http)
        assert last["model_version"] == "two"
        assert sum(versions.values()) == 320


async def test_the_way_back_to_the_release_before_takes_no_loading(tmp_path: Path) -> None:
    shelf = Shelf()
    service, store = served(tmp_path, shelf)
    async with service, client(service) as http:
        await wanted(store, "two")
        await http.put("/v1/items/oat", json=OAT)
        await wanted(store, "one")
        answer = await asked(http)
        assert answer["model_version"] == "one"
        assert "oat" in shown(answer), "what came meanwhile is there too"
        assert shelf.loaded == {"two": 1}


async def test_a_release_that_something_else_kept_out_is_tried_again(tmp_path: Path) -> None:
    shelf = Shelf()
    service, store = served(tmp_path, shelf)
    async with service, client(service) as http:
        await wanted(store, "late")
        deadline = asyncio.get_running_loop().time() + 10
        while (await asked(http))["model_version"] != "late":
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        assert (await http.get("/readyz")).json()["release_trouble"] is None
        assert shelf.loaded["late"] == 3


@pytest.mark.parametrize("name", ["damaged", "mute"])
async def test_a_release_that_is_no_good_is_refused_once_and_the_running_one_goes_on(tmp_path: Path, name: str) -> None:
    shelf = Shelf()
    service, store = served(tmp_path, shelf)
    async with service, client(service) as http:
        await wanted(store, name)
        assert (await asked(http))["model_version"] == "one"
        ready = (await http.get("/readyz")).json()
        assert name in ready["release_trouble"]
        assert shelf.loaded[name] == 1, "not loaded again and again"
        await wanted(store, "two")
        assert (await asked(http))["model_version"] == "two"
        assert (await http.get("/readyz")).json()["release_trouble"] is None


class Registry:
    """Says what it is told to say, or nothing."""

    def __init__(self) -> None:
        self.folder: Path | None = Path("one")

    def resolve(self) -> Path:
        if self.folder is None:
            raise ReleaseError("the registry does not answer")
        return self.folder


async def test_a_registry_that_falls_silent_is_told_by_readiness_and_nothing_else_changes(tmp_path: Path) -> None:
    registry, clock = Registry(), ManualClock(NOW)
    service, store = served(tmp_path, Shelf())
    async with service, client(service) as http:
        await tell(registry, store, clock)
        assert (await http.get("/readyz")).json()["registry"] == "asked at 2024-05-01T12:00:00+00:00"
        registry.folder = None
        await tell(registry, store, clock)
        clock.advance(60_000_000)
        await tell(registry, store, clock)
        await asyncio.sleep(0.1)
        assert (await asked(http))["model_version"] == "one"
        said = (await http.get("/readyz")).json()["registry"]
        assert said == "silent since 2024-05-01T12:00:00+00:00: the registry does not answer"
        registry.folder = Path("two")
        await tell(registry, store, clock)
        await asyncio.sleep(0.3)
        assert (await asked(http))["model_version"] == "two"
        note = await store.note(REGISTRY)
        assert note is not None
        assert note.value == "asked at 2024-05-01T12:01:00+00:00"


class Crowded(SqliteStore):
    """A store that has too many requests waiting when it is first asked for a note."""

    refusals = 3

    async def note(self, name: str) -> Note | None:
        self.refusals -= 1
        if self.refusals >= 0:
            raise OverloadError("store-reader already has 4096 requests waiting; try again in a moment")
        return await super().note(name)


async def test_who_follows_goes_on_after_the_store_was_too_busy_to_answer(tmp_path: Path) -> None:
    store, taken, done = Crowded(tmp_path / "events.db"), list[Path](), asyncio.Event()

    async def take_over(folder: Path) -> None:
        taken.append(folder)
        done.set()

    await store.open()
    await store.write_note(RELEASE, Note(value="two", told_at=NOW))
    following = Following(store, running=Path("one"), take_over=take_over, every_s=0.01)
    await following.open()
    await asyncio.wait_for(done.wait(), timeout=10)
    await following.close()
    await store.close()
    assert taken == [Path("two")]
    assert store.refusals < 0
