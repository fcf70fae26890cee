"""What browsers are told: which pages may ask, and how answers are to be treated."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from serving.exposure import ExposureLog
from serving.security.key import Kind
from serving.security.keys import Keys
from serving.security.loopback import Loopback
from serving.security.scope import PUBLISHABLE, Scope
from tests.serving.locked import VIEW, Locked, a_key, bearer, locked
from tests.serving.shop import broken
from tests.serving.test_items_api import replica

SHOP, OTHER = "https://shop.example", "https://attacker.example"
ASKED = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type"}
WEB, WEB_TEXT = a_key(*PUBLISHABLE, kind=Kind.PUBLISHABLE, origins=(SHOP,))
SERVER, SERVER_TEXT = a_key(Scope.ADMIN)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Locked]:
    async with locked(tmp_path, Keys(rate_per_s=0.01, burst=3), [WEB, SERVER]) as shop:
        yield shop


def allowed(answer: httpx.Response) -> str | None:
    assert "*" not in answer.headers.get("access-control-allow-origin", "")
    assert "access-control-allow-credentials" not in answer.headers
    return answer.headers.get("access-control-allow-origin")


async def test_a_preflight_is_answered_for_pages_of_a_key_and_refused_to_others(shop: Locked) -> None:
    yes = await shop.http.options("/v1/events", headers={"origin": SHOP, **ASKED})
    assert (yes.status_code, yes.content, allowed(yes)) == (204, b"", SHOP)
    assert "POST" in yes.headers["access-control-allow-methods"]
    assert {"authorization", "content-type"} <= set(yes.headers["access-control-allow-headers"].split(", "))
    assert yes.headers["vary"] == "origin"
    for origin in (OTHER, "null", f"{SHOP}.attacker.example", f"{SHOP}:444", "http://shop.example", "*", ""):
        no = await shop.http.options("/v1/events", headers={"origin": origin, **ASKED})
        assert (no.status_code, allowed(no)) == (403, None)


async def test_a_page_of_the_key_may_ask_and_read_and_no_other_page(shop: Locked) -> None:
    yes = await shop.http.post("/v1/events", json=VIEW, headers=bearer(WEB_TEXT, origin=SHOP))
    assert (yes.status_code, allowed(yes), yes.headers["vary"]) == (200, SHOP, "origin")
    no = await shop.http.post("/v1/events", json=VIEW, headers=bearer(WEB_TEXT, origin=OTHER))
    assert (no.status_code, allowed(no), no.json()["type"]) == (403, None, "urn:attune:problem:wrong-origin")
    app = await shop.http.post("/v1/events", json=VIEW, headers=bearer(WEB_TEXT))
    assert (app.status_code, allowed(app)) == (200, None)


async def test_a_page_may_read_why_it_was_refused(shop: Locked) -> None:
    mistyped = await shop.http.post("/v1/events", json=VIEW, headers=bearer(f"{WEB_TEXT}0", origin=SHOP))
    assert (mistyped.status_code, allowed(mistyped)) == (401, SHOP)
    invalid = await shop.http.post("/v1/events", json={}, headers=bearer(WEB_TEXT, origin=SHOP))
    assert (invalid.status_code, allowed(invalid)) == (422, SHOP)
    for _ in range(3):
        often = await shop.http.post("/v1/events", json=VIEW, headers=bearer(WEB_TEXT, origin=SHOP))
    assert (often.status_code, allowed(often)) == (429, SHOP)
    assert "retry-after" in often.headers["access-control-expose-headers"]


async def test_no_page_may_read_what_a_secret_key_is_told(shop: Locked) -> None:
    answer = await shop.http.post("/v1/recommendations", json={}, headers=bearer(SERVER_TEXT, origin=SHOP))
    assert (answer.status_code, allowed(answer)) == (200, None)


async def test_pages_can_be_allowed_by_setting_for_every_publishable_key(tmp_path: Path) -> None:
    async with locked(tmp_path, Keys(origins=[OTHER]), [WEB]) as shop:
        for origin in (SHOP, OTHER):
            preflight = await shop.http.options("/v1/events", headers={"origin": origin, **ASKED})
            answer = await shop.http.post("/v1/events", json=VIEW, headers=bearer(WEB_TEXT, origin=origin))
            assert (preflight.status_code, answer.status_code, allowed(answer)) == (204, 200, origin)


async def test_on_loopback_pages_of_this_machine_may_ask_without_a_key(tmp_path: Path) -> None:
    async with locked(tmp_path, Loopback()) as shop:
        for origin in ("http://localhost:3000", "http://127.0.0.1:8000", "http://[::1]:5173"):
            preflight = await shop.http.options("/v1/events", headers={"origin": origin, **ASKED})
            answer = await shop.http.post("/v1/events", json=VIEW, headers={"origin": origin})
            assert (preflight.status_code, answer.status_code, allowed(answer)) == (204, 200, origin)
        refused = await shop.http.options("/v1/events", headers={"origin": OTHER, **ASKED})
        assert (refused.status_code, allowed(refused)) == (403, None)


async def test_every_answer_says_how_it_is_to_be_treated(shop: Locked) -> None:
    asked = [
        shop.http.post("/v1/recommendations", json={}, headers=bearer(SERVER_TEXT)),
        shop.http.post("/v1/recommendations", json={}),
        shop.http.post("/v1/events", content="{", headers=bearer(SERVER_TEXT)),
        shop.http.get("/readyz"),
        shop.http.get("/nothing"),
    ]
    for answer in [await one for one in asked]:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
        if answer.status_code != 401 or "/v1/" in str(answer.url):
            assert answer.headers["cache-control"] == "no-store"


async def test_even_the_answer_that_something_broke_says_so_and_names_nothing_inside(
    shop: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExposureLog, "record", broken)
    answer = await shop.http.post("/v1/recommendations", json={}, headers=bearer(SERVER_TEXT))
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
    assert "CUDA" not in answer.text


async def test_without_a_guard_no_page_is_told_that_it_may_read(tmp_path: Path) -> None:
    async with replica(tmp_path) as http:
        answer = await http.post("/v1/recommendations", json={}, headers={"origin": SHOP})
        assert (answer.status_code, allowed(answer)) == (200, None)


async def test_the_documentation_may_be_read_and_is_shown_in_no_frame(shop: Locked, tmp_path: Path) -> None:
    assert (await shop.http.get("/docs")).status_code == 401
    async with locked(tmp_path / "told", Keys(documentation=True)) as told:
        for path in ("/docs", "/redoc", "/openapi.json"):
            answer = await told.http.get(path)
            assert (answer.status_code, answer.headers["x-frame-options"]) == (200, "DENY")


async def test_below_a_prefix_answers_and_scopes_are_the_same(tmp_path: Path) -> None:
    async with locked(tmp_path, Keys(), [SERVER]) as shop:
        app = shop.http._transport.app  # type: ignore[attr-defined]
        mounted = httpx.ASGITransport(app, root_path="/shop")
        async with httpx.AsyncClient(transport=mounted, base_url="http://localhost") as http:
            refused = await http.post("/shop/v1/events", json=VIEW)
            assert (refused.status_code, refused.headers["cache-control"]) == (401, "no-store")
            told = await http.post("/shop/v1/events", json=VIEW, headers=bearer(SERVER_TEXT))
            assert (told.status_code, told.headers["cache-control"]) == (200, "no-store")
