"""The route by which years of history come in."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from serving.api.items import NDJSON
from serving.api.problem import Problem
from serving.api.spoken import REFUSALS, json_of, problems_of, service_of
from serving.security.scope import Scope, needs

PATH = "/v1/events:backfill"
MAX_ROWS = 10_000
MAX_BYTES = 8 * 1024 * 1024
router = APIRouter(tags=["events"])
_EXAMPLE = (
    '{"event_id": "order-1-1", "type": "purchase", "occurred_at": "2015-03-01T10:00:00+01:00", "user_id": "u-12", '
    '"item_id": "item-017", "price": 3.49, "currency": "EUR"}\n'
    '{"event_id": "visit-7-3", "type": "view", "occurred_at": "2015-02-27T21:14:09Z", "anonymous_id": "a-51", '
    '"item_id": "item-017"}\n'
)
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        NDJSON: {
            "schema": {"type": "string", "description": "One Event, as JSON, per line.", "examples": [_EXAMPLE]},
        }
    },
}


class BackfillRow(BaseModel):
    """What became of one row; `accepted` and `duplicate` mean that it is durably stored."""

    model_config = ConfigDict(frozen=True)

    row: int = Field(description="Its line, from 0, empty ones left out.")
    event_id: str | None
    status: Literal["accepted", "duplicate", "rejected"]
    reason: str | None = Field(default=None, description="Why it was rejected.")


class BackfillReceipts(BaseModel):
    """What became of every row, in order."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "accepted": 1,
                    "duplicate": 0,
                    "rejected": 1,
                    "results": [
                        {"row": 0, "event_id": "order-1-1", "status": "accepted", "reason": None},
                        {
                            "row": 1,
                            "event_id": "visit-7-3",
                            "status": "rejected",
                            "reason": "a view event needs an item_id",
                        },
                    ],
                }
            ]
        },
    )

    accepted: int
    duplicate: int
    rejected: int
    results: list[BackfillRow]


@router.post(
    PATH,
    summary="Tell what shoppers did in the past years",
    response_model=BackfillReceipts,
    openapi_extra={"requestBody": _BODY} | needs(Scope.EVENTS_BACKFILL),
    responses=problems_of(*REFUSALS, 413, 422, 503),
)
async def backfill(request: Request) -> Response:
    """One event per line, as JSON, up to 10,000 and 8 MiB, in any order: each finds its place in time. Every one needs
    an `event_id`, so that it can be sent again, and `occurred_at`, which may be as early as 1970-01-02.

    Each is accepted, a duplicate or rejected on its own. They take half of a replica's time at most, one request at a
    time: while another is taken in, the answer is 503 with Retry-After. After that, or no answer, send the same again.
    """
    lines = [line for line in (await request.body()).splitlines() if line.strip()]
    if not 1 <= len(lines) <= MAX_ROWS:
        raise Problem(422, f"{len(lines)} lines; send 1 to {MAX_ROWS}, a JSON object each", kind="invalid-request")
    receipts = await service_of(request).backfill.take(lines)
    rows = [
        BackfillRow(row=row, event_id=receipt.event_id, status=receipt.status, reason=receipt.reason)
        for row, receipt in enumerate(receipts)
    ]
    counts = {status: sum(row.status == status for row in rows) for status in ("accepted", "duplicate", "rejected")}
    return json_of(BackfillReceipts(**counts, results=rows))
