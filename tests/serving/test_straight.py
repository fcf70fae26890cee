"""The short way to busy routes: whatever is asked, it answers as FastAPI's own way does."""

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.routing import Mount

from recsys.clock import ManualClock
from recsys.errors import OverloadError, StoreError
from serving.api import routes
from serving.api.application import create_app
from serving.service import Service
from serving.store.memory import MemoryStore
from tests.serving.shop import NOW, CategoryCounter, broken

VIEW = {"type": "view", "anonymous_id": "a", "item_id": "item-003", "event_id": "e"}
ASKED = [
    ("POST", "/v1/recommendations", b'{"shopper": {"anonymous_id": "a"}, "count": 3}', {}),
    ("POST", "/v1/recommendations?debug=1", b"{}", {}),
    ("POST", "/v1/recommendations", b'{"count": 0}', {}),
    ("POST", "/v1/recommendations", b"{", {}),
    ("POST", "/v1/recommendations", b"{}", {"x-deadline-ms": "soon"}),
    ("POST", "/v1/recommendations", b"{}", {"content-type": "text/plain"}),
    ("POST", "/v1/recommendations", b" " * 2**21, {}),
    ("POST", "/v1/recommendations/", b"{}", {}),
    ("GET", "/v1/recommendations", b"", {}),
    ("HEAD", "/v1/events", b"", {}),
    ("POST", "/v1/events", b'{"type": "view", "anonymous_id": "a", "item_id": "item-003", "event_id": "f"}', {}),
    ("POST", "/v1/events", b'{"type": "gaze"}', {}),
    ("POST", "/v1/events", b"[]", {}),
]
_DIFFERENT = {"recommendation_id", "took_ms", "request_id"}


def service() -> Service:
    return Service(CategoryCounter(), MemoryStore(), clock=ManualClock(NOW), rng=np.random.default_rng(0))


def applications(monkeypatch: pytest.MonkeyPatch) -> tuple[FastAPI, FastAPI]:
    """With the short way, and without."""
    straight = create_app(service())
    monkeypatch.setattr(routes, "STRAIGHT", [])
    return straight, create_app(service())


def client(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://shop",
        headers={"x-request-id": "r"},
    )


async def answers(app: FastAPI) -> list[tuple[object, ...]]:
    """What is said to each of `ASKED`, but for what is drawn anew each time, and what was counted of it."""
    found: list[tuple[object, ...]] = []
    async with app.state.service, client(app) as http:
        for method, path, body, headers in ASKED:
            answer = await http.request(
                method, path, content=body, headers={"content-type": "application/json", **headers}
            )
            said = answer.json() if answer.content else None
            if isinstance(said, dict):
                said = {name: value for name, value in said.items() if name not in _DIFFERENT}
            kept = [(name, value) for name, value in answer.headers.items() if name != "content-length"]
            found.append((answer.status_code, sorted(kept), said))
        lines = generate_latest(app.state.service.lookout.meter.registry).decode().splitlines()
        return [*found, tuple(line for line in lines if line.startswith("attune_request_seconds_count"))]


async def test_both_ways_answer_everything_alike_and_are_counted_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    straight, long = applications(monkeypatch)
    short_answers = await answers(straight)
    assert short_answers == await answers(long)
    statuses = [answer[0] for answer in short_answers[:-1]]
    assert statuses == [200, 200, 422, 400, 422, 415, 413, 404, 405, 405, 200, 422, 422]


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (StoreError("the disk is full"), 503, "urn:attune:problem:store-unavailable"),
        (OverloadError("too many"), 503, "urn:attune:problem:overloaded"),
        (RuntimeError("nobody expected this"), 500, "about:blank"),
    ],
)
async def test_failures_become_problems(
    failure: Exception, status: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise failure

    app = create_app(service())
    monkeypatch.setattr(app.state.service.answering, "answer", fails)
    async with app.state.service, client(app) as http:
        answer = await http.post("/v1/recommendations", json={})
    assert (answer.status_code, answer.json()["type"]) == (status, kind)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_router_is_not_asked_also_where_the_application_is_mounted_below_a_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = create_app(service())
    monkeypatch.setattr(app.router, "middleware_stack", broken)
    async with app.state.service, client(Starlette(routes=[Mount("/shop", app)])) as http:
        assert (await http.post("/shop/v1/events", json=VIEW)).json()["accepted"] == 1
        assert (await http.post("/shop/v1/recommendations", json={})).status_code == 200
        assert (await http.get("/shop/healthz")).status_code == 500
