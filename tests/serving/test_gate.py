"""What a key opens and what it does not; how often; and what happens without one."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import ConfigError
from serving.security.bucket import TokenBucket
from serving.security.key import Kind, development_key
from serving.security.keyring import change
from serving.security.keys import Keys
from serving.security.loopback import Loopback
from serving.security.policy import is_loopback, names_loopback
from serving.security.scope import Scope, needs, needs_none
from serving.security.table import RouteTable
from tests.serving.locked import VIEW, Locked, Ticks, a_key, bearer, described, locked
from tests.serving.shop import NOW

ITEM = {"title": "Oat drink"}
PAST = "2001-02-03T04:05:06Z"
ROUTES: list[tuple[str, str, Any, Scope]] = [
    ("POST", "/v1/events", VIEW, Scope.EVENTS_WRITE),
    ("POST", "/v1/identity:link", {"user_id": "u", "anonymous_id": "v"}, Scope.EVENTS_WRITE),
    ("POST", "/v1/identity:unlink", {"user_id": "u", "anonymous_id": "v"}, Scope.EVENTS_WRITE),
    ("POST", "/v1/events:backfill", VIEW | {"event_id": "e", "occurred_at": PAST}, Scope.EVENTS_BACKFILL),
    ("PUT", "/v1/shoppers/u/consent", {"purposes": []}, Scope.EVENTS_WRITE),
    ("GET", "/v1/shoppers/u/consent", None, Scope.RECOMMENDATIONS_READ),
    ("POST", "/v1/recommendations", {}, Scope.RECOMMENDATIONS_READ),
    ("PUT", "/v1/items/oat", ITEM, Scope.CATALOGUE_WRITE),
    ("PATCH", "/v1/items/item-001", {"price": 1.0}, Scope.CATALOGUE_WRITE),
    ("GET", "/v1/items/item-001", None, Scope.CATALOGUE_WRITE),
    ("DELETE", "/v1/items/item-002", None, Scope.CATALOGUE_WRITE),
    ("POST", "/v1/items:bulk", {"op": "delete", "item_id": "item-003"}, Scope.CATALOGUE_WRITE),
]


async def ask(shop: Locked, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> Any:
    sent = headers if key is None else bearer(key, **headers)
    return await shop.http.request(method, path, json=body, headers=sent)


async def test_without_a_key_nothing_is_answered_but_health(tmp_path: Path) -> None:
    async with locked(tmp_path, Keys()) as shop:
        for method, path, body, _ in ROUTES:
            answer = await ask(shop, method, path, body)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"] == 'Bearer realm="attune"'
            assert answer.json()["type"] == "urn:attune:problem:no-key"
        for path in ("/docs", "/redoc", "/openapi.json", "/nothing", "/v1/", "/metrics"):
            assert (await ask(shop, "GET", path)).status_code == 401
        assert (await ask(shop, "GET", "/healthz")).json() == {"status": "ok"}
        assert (await ask(shop, "GET", "/readyz")).json() == {"status": "ready"}
        assert shop.recommender.batches == [1, 1, 1], "only what the service asked itself for practice"
        assert await shop.store.history(user_id=None, anonymous_id="a", limit=9) == []


@pytest.mark.parametrize("scope", list(Scope))
async def test_a_key_opens_the_routes_of_its_scope_and_admin_opens_all(tmp_path: Path, scope: Scope) -> None:
    key, text = a_key(scope)
    async with locked(tmp_path, Keys(documentation=True), [key]) as shop:
        for method, path, body, needed in ROUTES:
            answer = await ask(shop, method, path, body, key=text)
            if scope in (needed, Scope.ADMIN):
                assert answer.status_code == 200, answer.text
            else:
                assert answer.status_code == 403
                assert answer.json()["detail"] == f"this key lacks the scope {needed}"
                assert f'scope="{needed}"' in answer.headers["www-authenticate"]
        details = (await ask(shop, "GET", "/readyz", key=text)).json()
        assert ("replica" in details) == (scope is Scope.ADMIN)


def test_every_route_declares_what_it_needs() -> None:
    for path, operations in described()["paths"].items():
        for method, operation in operations.items():
            assert "security" in operation, f"{method} {path} says nothing, so it would need admin"


async def test_a_wrong_ended_or_mangled_key_is_refused_and_never_repeated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (key, text), (ended, old) = a_key(Scope.ADMIN), a_key(Scope.ADMIN, ends_at=NOW - 1)
    async with locked(tmp_path, Keys(), [key, ended]) as shop:
        secret = text.split("_")[2]
        for shown in (f"Bearer {text}0", f"Basic {text}", text, f"Bearer {old}", "Bearer ", "", "Bearer sk_ä_ö"):
            sent = {"authorization": shown.encode("latin-1")}
            answer = await shop.http.post("/v1/events", json=VIEW, headers=sent)
            assert answer.status_code == 401
            assert answer.json()["type"] == "urn:attune:problem:unknown-key"
            assert secret not in answer.text + str(answer.headers)
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=text)).status_code == 200
        assert (await shop.http.post("/v1/events", json=VIEW, headers={"authorization": f"bEARER {text}"})).is_success
    assert secret not in caplog.text
    assert key.digest not in caplog.text


async def test_a_new_key_counts_and_a_revoked_one_does_not_within_moments_and_without_a_restart(tmp_path: Path) -> None:
    (first, text), (second, newer) = a_key(Scope.EVENTS_WRITE), a_key(Scope.EVENTS_WRITE)
    async with locked(tmp_path, Keys(), [first], every_s=0.05) as shop:
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=newer)).status_code == 401
        await change(shop.store, shop.clock, lambda keys: keys.with_key(second).ending(first.id, NOW), settles_s=0)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if (await ask(shop, "POST", "/v1/events", VIEW, key=newer)).status_code == 200:
                break
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=newer)).status_code == 200
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=text)).status_code == 401


async def test_a_key_that_ends_while_the_server_runs_ends_on_time(tmp_path: Path) -> None:
    key, text = a_key(Scope.EVENTS_WRITE, ends_at=NOW + 10)
    async with locked(tmp_path, Keys(), [key]) as shop:
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=text)).status_code == 200
        shop.clock.advance(10)
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=text)).status_code == 401


async def test_while_the_store_is_away_the_known_keys_go_on(tmp_path: Path) -> None:
    key, text = a_key(Scope.RECOMMENDATIONS_READ)
    async with locked(tmp_path, Keys(), [key], every_s=0.01) as shop:
        await shop.store.close()
        await asyncio.sleep(0.1)
        assert (await ask(shop, "POST", "/v1/recommendations", {}, key=text)).status_code == 200


async def test_what_routes_do_not_know_is_for_admins_alone(tmp_path: Path) -> None:
    (key, text), (chief, boss) = a_key(Scope.EVENTS_WRITE), a_key(Scope.ADMIN)
    async with locked(tmp_path, Keys(), [key, chief]) as shop:
        for method, path in (("GET", "/nothing"), ("GET", "/v1/events"), ("POST", "/v1/recommendations%0A")):
            refused, told = [await ask(shop, method, path, key=one) for one in (text, boss)]
            assert (refused.status_code, refused.headers["content-type"]) == (404, "application/problem+json")
            assert told.status_code in (400, 404, 405)


def test_a_bucket_lets_a_burst_through_and_then_as_many_as_flow_in() -> None:
    ticks = Ticks()
    bucket = TokenBucket(2.0, 3, ticks=ticks)
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]
    ticks.at = 0.25
    assert bucket.take() == 0.25
    ticks.at = 0.5
    assert [bucket.take(), bucket.take()] == [0, 0.5]
    ticks.at = 1_000.0
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5], "never more than a burst"


async def test_who_asks_too_often_is_told_when_to_come_back_and_others_are_not_disturbed(tmp_path: Path) -> None:
    (one, text), (two, other) = a_key(Scope.EVENTS_WRITE), a_key(Scope.EVENTS_WRITE)
    async with locked(tmp_path, Keys(rate_per_s=0.1, burst=2), [one, two]) as shop:
        answers = [await ask(shop, "POST", "/v1/events", VIEW, key=text) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["retry-after"] == "10"
        assert answers[2].headers["content-type"] == "application/problem+json"
        assert answers[2].json()["type"] == "urn:attune:problem:too-many-requests"
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=other)).status_code == 200
        shop.ticks.at += 10
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=text)).status_code == 200


async def test_a_key_may_have_a_rate_of_its_own_and_new_keys_do_not_fill_old_buckets(tmp_path: Path) -> None:
    (one, text), (two, _) = a_key(Scope.EVENTS_WRITE, rate_per_s=1.0, burst=1), a_key(Scope.ADMIN)
    async with locked(tmp_path, Keys(), [one]) as shop:
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=text)).status_code == 200
        await change(shop.store, shop.clock, lambda keys: keys.with_key(two), settles_s=0)
        await shop.guard.look()
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=text)).status_code == 429


async def test_on_loopback_no_key_is_needed_but_one_that_is_shown_must_be_good(tmp_path: Path) -> None:
    key, text = a_key(Scope.EVENTS_WRITE)
    async with locked(tmp_path, Loopback(documentation=True), [key]) as shop:
        for method, path, body, _ in ROUTES:
            assert (await ask(shop, method, path, body)).status_code == 200
        assert (await ask(shop, "GET", "/docs")).status_code == 200
        assert "replica" in (await ask(shop, "GET", "/readyz")).json()
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=text)).status_code == 200
        assert (await ask(shop, "POST", "/v1/recommendations", {}, key=text)).status_code == 403
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=f"{text}0")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.attacker.example"},
        {"host": "localhost.attacker.example:8000"},
        {"host": "192.168.0.7:8000"},
        {"origin": "https://attacker.example"},
        {"origin": "http://localhost.attacker.example"},
        {"origin": "null"},
        {"x-forwarded-for": "203.0.113.7"},
        {"forwarded": "for=203.0.113.7"},
    ],
)
async def test_pages_of_others_rebound_names_and_gateways_do_not_pass_for_this_machine(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with locked(tmp_path, Loopback()) as shop:
        answer = await shop.http.post(
            "/v1/items:bulk", content='{"op": "delete", "item_id": "item-001"}', headers=headers
        )
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:attune:problem:not-from-here"
        assert (await shop.http.get("/readyz", headers=headers)).json() == {"status": "ready"}
        assert (await shop.http.get("/v1/items/item-001")).status_code == 200


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        *((host, True) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost", "[::1]")),
        *((host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "shop.example", "127.0.0.1.nip.io", "")),
    ],
)
def test_loopback_is_told_by_the_address_that_is_listened_on(host: str, is_here: bool) -> None:
    assert is_loopback(host) is is_here
    if is_here:
        Loopback().check(host, [])
        Keys().check(host, [])
    else:
        with pytest.raises(ConfigError, match="security=keys"):
            Loopback().check(host, [])
        with pytest.raises(ConfigError, match="no living key"):
            Keys().check(host, [])
        Keys().check(host, [a_key(Scope.ADMIN)[0]])


@pytest.mark.parametrize(
    ("authority", "is_here"),
    [
        *((said, True) for said in (b"localhost", b"LOCALHOST:80", b"127.0.0.1:8000", b"[::1]", b"[::1]:8000")),
        *((said, False) for said in (b"", b":80", b"localhost:80:80", b"a@localhost", b"localhost:http", b"\xff")),
    ],
)
def test_a_host_header_names_this_machine_or_does_not(authority: bytes, is_here: bool) -> None:
    assert names_loopback(authority) is is_here


async def test_a_development_key_is_worth_nothing_where_others_can_reach_the_server(tmp_path: Path) -> None:
    key, text = development_key(NOW)
    async with locked(tmp_path / "here", Keys(), [key]) as shop:
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=text)).status_code == 200
    async with locked(tmp_path / "there", Keys(), [key], on_loopback=False) as shop:
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=text)).status_code == 401


async def test_a_publishable_key_speaks_of_visitors_and_of_users_only_where_that_is_wanted(tmp_path: Path) -> None:
    scopes = (Scope.EVENTS_WRITE, Scope.RECOMMENDATIONS_READ)
    shy, text = a_key(*scopes, kind=Kind.PUBLISHABLE, names_users=False)
    bold, other = a_key(*scopes, kind=Kind.PUBLISHABLE, names_users=True)
    of_user = VIEW | {"user_id": "u"}
    async with locked(tmp_path, Keys(), [shy, bold]) as shop:
        for body in (of_user, {"events": [VIEW, of_user]}):
            refused = await ask(shop, "POST", "/v1/events", body, key=text)
            assert (refused.status_code, refused.json()["type"]) == (403, "urn:attune:problem:visitors-only")
        for path in ("/v1/identity:link", "/v1/identity:unlink"):
            both = {"user_id": "u", "anonymous_id": "a"}
            assert (await ask(shop, "POST", path, both, key=text)).json()["type"] == "urn:attune:problem:visitors-only"
            assert (await ask(shop, "POST", path, both, key=other)).status_code == 200
        for method, body in (("PUT", {"purposes": []}), ("GET", None)):
            assert (await ask(shop, method, "/v1/shoppers/u/consent", body, key=text)).status_code == 403
            assert (await ask(shop, method, "/v1/shoppers/a/consent?kind=anonymous", body, key=text)).status_code == 200
            assert (await ask(shop, method, "/v1/shoppers/u/consent", body, key=other)).status_code == 200
        question = {"shopper": {"user_id": "u"}}
        assert (await ask(shop, "POST", "/v1/recommendations", question, key=text)).status_code == 403
        assert (await ask(shop, "POST", "/v1/events", VIEW, key=text)).status_code == 200
        asked = {"shopper": {"anonymous_id": "a"}}
        assert (await ask(shop, "POST", "/v1/recommendations", asked, key=text)).status_code == 200
        assert (await ask(shop, "POST", "/v1/events", of_user, key=other)).status_code == 200
        assert (await ask(shop, "POST", "/v1/recommendations", question, key=other)).status_code == 200


def test_of_all_templates_that_a_path_could_mean_every_scope_is_needed() -> None:
    table = RouteTable(
        {
            "paths": {
                "/open": {"get": needs_none()},
                "/v1/items/{item_id}": {"get": needs(Scope.CATALOGUE_WRITE), "put": needs(Scope.CATALOGUE_WRITE)},
                "/v1/items/{item_id}/stock": {"get": needs(Scope.EVENTS_WRITE)},
                "/v1/silent": {"post": {}},
            }
        },
        open_paths=["/shop"],
    )
    assert table.needed("GET", "/open") == frozenset()
    assert table.needed("PUT", "/v1/items/a") == {Scope.CATALOGUE_WRITE}
    assert table.needed("GET", "/v1/items/a/stock") == {Scope.CATALOGUE_WRITE, Scope.EVENTS_WRITE}
    assert table.needed("GET", "/v1/items/a\n") == {Scope.CATALOGUE_WRITE}
    assert table.needed("POST", "/v1/silent") == {Scope.ADMIN}
    assert table.needed("GET", "/shop") == table.needed("GET", "/shop/index.html") == frozenset()
    for method, path in (("GET", "/shopping"), ("DELETE", "/v1/items/a"), ("GET", "/open\n"), ("GET", "/OPEN")):
        assert table.needed(method, path) is None
