"""Whatever is sent, as far as schemathesis can think of it in a bounded time: no 500, and every error is a problem."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from recsys.clock import ManualClock
from serving.api.application import create_app
from serving.service import Service
from serving.store.sqlite import SqliteStore
from tests.serving.shop import NOW, CategoryCounter

_BOUNDED = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    store = SqliteStore(Path(tmp_path_factory.mktemp("openapi")) / "events.db")
    service = Service(CategoryCounter(), store, clock=ManualClock(NOW), rng=np.random.default_rng(0))
    with TestClient(create_app(service), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def api(client: TestClient) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_dict(client.get("/openapi.json").json())


def _is_problem_if_error(answer: httpx.Response) -> bool:
    return answer.status_code < 400 or "application/problem+json" in str(answer.headers["content-type"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", "/v1/events"), ("POST", "/v1/recommendations"), ("GET", "/healthz"), ("GET", "/readyz")),
        *(("POST", "/v1/identity:link"), ("POST", "/v1/identity:unlink")),
        *((method, "/v1/shoppers/{shopper_id}/consent") for method in ("PUT", "GET")),
        *(("GET", "/v1/admin/status"), ("GET", "/v1/admin/metrics")),
        *((method, "/v1/items/{item_id}") for method in ("PUT", "PATCH", "DELETE", "GET")),
        *(("DELETE", "/v1/shoppers/{shopper_id}"), ("GET", "/v1/shoppers/{shopper_id}/export")),
    ],
)
def test_no_described_request_makes_the_service_fail(
    api: schemathesis.BaseSchema, client: TestClient, method: str, path: str
) -> None:
    @given(case=api[path][method].as_strategy())
    @_BOUNDED
    def check(case: schemathesis.Case) -> None:
        sent = case.as_transport_kwargs(base_url="http://testserver")
        answer = client.request(
            sent["method"],
            sent["url"],
            params=sent.get("params"),
            headers=sent.get("headers"),
            json=sent.get("json"),
            content=sent.get("data"),
        )
        assert answer.status_code < 500
        assert _is_problem_if_error(answer)

    check()


@given(body=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode(errors="ignore"))))
@_BOUNDED
@pytest.mark.parametrize(
    "path",
    ["/v1/events", "/v1/events:backfill", "/v1/identity:link", "/v1/recommendations", "/v1/items:bulk"],
)
def test_no_body_makes_the_service_fail(client: TestClient, path: str, body: bytes) -> None:
    answer = client.post(path, content=body)
    assert answer.status_code < 500
    assert _is_problem_if_error(answer)
