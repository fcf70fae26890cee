"""Schemathesis against our own OpenAPI document, every route it has, keys on: no 500, and every answer is as described.

The quick part runs a few dozen requests of each kind, the slow one many, and some through the real server.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from recsys.clock import ManualClock
from serving.api.application import create_app
from serving.security.guard import Guard
from serving.security.key import Key
from serving.security.keyring import change
from serving.security.keys import Keys
from serving.security.scope import Scope
from serving.service import Service
from serving.store.sqlite import SqliteStore
from tests.serving.live import LiveServer
from tests.serving.locked import a_key, bearer, described
from tests.serving.shop import NOW, CategoryCounter

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    pytest.param((method.upper(), path), mode, id=f"{method} {path} {mode.name.lower()}")
    for path, operations in described()["paths"].items()
    for method, operation in operations.items()
    if method in ("get", "put", "post", "delete", "patch")
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or {"parameters", "requestBody"} & operation.keys()  # else nothing can be wrong
]
CHIEF, CHIEF_TEXT = a_key(Scope.ADMIN)
NARROW, NARROW_TEXT = a_key(Scope.RECOMMENDATIONS_READ)
ENDED, ENDED_TEXT = a_key(Scope.ADMIN, ends_at=NOW - 1)
SENT = {"admin": bearer(CHIEF_TEXT), "narrow": bearer(NARROW_TEXT), "ended": bearer(ENDED_TEXT), "none": {}}


@schemathesis.serializer("application/x-ndjson")
def lines_of(_: schemathesis.SerializationContext, value: object) -> bytes:
    """One JSON value per line, or a text as it is."""
    if isinstance(value, str):
        return value.encode(errors="replace")
    return b"\n".join(json.dumps(row).encode() for row in (value if isinstance(value, list) else [value]))


def bounded(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


async def _keep(store: SqliteStore, keys: list[Key]) -> None:
    await store.open()
    for key in keys:
        await change(store, ManualClock(NOW), lambda ring, key=key: ring.with_key(key), settles_s=0)
    await store.close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    path = Path(tmp_path_factory.mktemp("fuzz")) / "events.db"
    asyncio.run(_keep(SqliteStore(path), [CHIEF, NARROW, ENDED]))
    clock, store = ManualClock(NOW), SqliteStore(path)
    service = Service(CategoryCounter(), store, clock=clock, rng=np.random.default_rng(0))
    app = create_app(service, guard=Guard(Keys(documentation=True), store, clock=clock))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def api() -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_dict(described())


def send(client: httpx.Client, case: schemathesis.Case, headers: dict[str, str]) -> httpx.Response:
    sent = case.as_transport_kwargs(base_url=str(client.base_url))
    kept = {name: value for name, value in (sent.get("headers") or {}).items() if name.lower() != "authorization"}
    return client.request(
        sent["method"],
        sent["url"],
        params=sent.get("params"),
        headers={**kept, **headers},
        json=sent.get("json"),
        content=sent.get("data"),
    )


def fuzz(
    api: schemathesis.BaseSchema, client: httpx.Client, *, at: tuple[str, str], mode: GenerationMode, examples: int
) -> None:
    """Every case is sent as an admin, and must be answered as described; then as others, who must get nothing."""
    method, path = at
    is_open = api.raw_schema["paths"][path][method.lower()]["security"] == []
    needed = {"recommendations:read"} == {
        scope for one in api.raw_schema["paths"][path][method.lower()]["security"] for scope in one["key"]
    }

    @given(case=api[path][method].as_strategy(generation_mode=mode))
    @bounded(examples)
    def check(case: schemathesis.Case) -> None:
        for who, headers in SENT.items():
            answer = send(client, case, headers)
            case.validate_response(answer, checks=CHECKS)
            if who == "ended" or (who == "none" and not is_open):
                assert answer.status_code in (401, 414, 415, 431)
            if who == "narrow" and not is_open and not needed:
                assert answer.status_code in (403, 404, 414, 415, 431)

    check()


@pytest.mark.parametrize(("at", "mode"), OPERATIONS)
def test_every_route_answers_as_described_whatever_it_is_asked_and_by_whom(
    api: schemathesis.BaseSchema, client: TestClient, at: tuple[str, str], mode: GenerationMode
) -> None:
    fuzz(api, client, at=at, mode=mode, examples=12)


PIECES = ["/v1", "/events", "/items", "/items:bulk", "/a", "/", "/.", "/..", "//", "/readyz", "/V1", "é", ";x", "?x"]
PIECES += ["%0A", "%0D", "%2F", "%2e%2e", "%00", "%25", "%C2%85", "%E2%80%A8"]


@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "PoSt", "TRACE"]),
    pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=5),
    prefix=st.sampled_from(["/", "/v1", "/v1/events", "/v1/items/a", "/v1/items:bulk"]),
)
@bounded(400)
def test_no_spelling_of_a_path_leads_around_the_scopes(
    client: TestClient, method: str, pieces: list[str], prefix: str
) -> None:
    headers = SENT["narrow"] | {"content-type": "application/json"}
    answer = client.request(method, f"http://testserver{prefix}{''.join(pieces)}", headers=headers, content="{}")
    if answer.status_code not in (403, 404, 414, 415, 431):
        assert answer.request.url.path in ("/readyz", "/healthz")
        assert answer.status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(("at", "mode"), OPERATIONS)
def test_and_so_it_does_hundreds_of_times(
    api: schemathesis.BaseSchema, client: TestClient, at: tuple[str, str], mode: GenerationMode
) -> None:
    fuzz(api, client, at=at, mode=mode, examples=300)


@pytest.mark.slow
@pytest.mark.parametrize(("at", "mode"), OPERATIONS)
def test_the_real_server_answers_as_described_too(
    api: schemathesis.BaseSchema, server: LiveServer, at: tuple[str, str], mode: GenerationMode
) -> None:
    method, path = at
    with httpx.Client(base_url=server.url, timeout=30) as client:

        @given(case=api[path][method].as_strategy(generation_mode=mode))
        @bounded(60)
        def check(case: schemathesis.Case) -> None:
            case.validate_response(send(client, case, {}), checks=CHECKS)

        check()
