"""The routes: HTTP in, domain call, HTTP out."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import JsonValue, ValidationError
from pydantic_core import from_json, to_json
from starlette.responses import Response

from recsys.errors import FilterError, StoreError
from recsys.retrieval.filter.expression import Filter
from recsys.retrieval.filter.parse import parse
from serving.api.event import MAX_BATCH, Receipts
from serving.api.health import Health, Readiness, Ready
from serving.api.problem import Problem, malformed_json, refused
from serving.api.recommendation import (
    DEADLINE,
    MAX_DEADLINE_MS,
    MIN_DEADLINE_MS,
    RecommendationRequest,
    RecommendationResponse,
)
from serving.api.spoken import REFUSALS, Json, body_of, json_of, problems_of, service_of
from serving.pipeline import Answer, Question
from serving.security.caller import caller_of, speaks_of_user
from serving.security.scope import Scope, needs, needs_none

ATTEMPT = "x-attune-attempt"
"""The header by which the proxy names a request; it is the same where the proxy sends it to another replica."""
router = APIRouter()


@router.post(
    "/v1/events",
    tags=["events"],
    summary="Tell what shoppers did",
    response_model=Receipts,
    openapi_extra=body_of("EventIn", "EventBatch") | needs(Scope.EVENTS_WRITE),
    responses=problems_of(*REFUSALS, 400, 413, 422, 503),
)
async def events(request: Request) -> Response:
    """One event, or `{"events": [...]}` with up to 1,000.

    Each event is accepted, a duplicate or rejected on its own, and answered in order. The first two mean that it is
    durably stored and that the very next answer sees it. Only if every single event was rejected is the status 422.
    """
    offered = _offered(await request.body())
    if any(isinstance(event, dict) and event.get("user_id") is not None for event in offered):
        speaks_of_user(request)
    receipts = await service_of(request).listening.hear(offered, attempt=request.headers.get(ATTEMPT))
    if receipts.rejected == len(receipts.results):
        first = receipts.results[0].reason
        more = {"results": [receipt.model_dump() for receipt in receipts.results]}
        raise Problem(422, f"no event was accepted; the first: {first}", kind="events-rejected", more=more)
    return json_of(receipts)


@router.post(
    "/v1/recommendations",
    tags=["recommendations"],
    summary="Ask what to show",
    response_model=RecommendationResponse,
    openapi_extra=body_of("RecommendationRequest") | needs(Scope.RECOMMENDATIONS_READ) | {"parameters": [DEADLINE]},
    responses=problems_of(*REFUSALS, 400, 413, 422, 503),
)
async def recommendations(request: Request) -> Response:
    """The slate for a shopper as of now, with a reason and a propensity for each item.

    When something is missing (the history cannot be read, the encoder fails, there is no time for more) there is still
    an answer; `rung` and `degraded` say what it had to do without. Only where so many are waiting that no answer could
    be in time, the question is refused with 503 and Retry-After.
    """
    try:
        asked = RecommendationRequest.model_validate_json(await request.body())
    except ValidationError as failure:
        raise refused(failure) from None
    if asked.shopper.user_id is not None:
        speaks_of_user(request)
    deadline_s = _deadline_s(request.headers.get(DEADLINE["name"]))
    answer = await service_of(request).answering.answer(_question(asked), deadline_s=deadline_s)
    return Json(to_json(_response(answer)))


@router.get(
    "/healthz",
    tags=["service"],
    summary="Is the process alive?",
    openapi_extra=needs_none(),
    responses=problems_of(*REFUSALS),
)
async def healthz() -> Health:
    """Always the same, as long as the process answers at all."""
    return Health()


@router.get(
    "/readyz",
    tags=["service"],
    summary="Can it answer and acknowledge?",
    openapi_extra=needs_none(),
    responses=problems_of(*REFUSALS, 503),
)
async def readyz(request: Request) -> Readiness | Ready:
    """Whether this replica can answer, after checking that its store can be read; to whoever may do everything, also
    what it is made of."""
    try:
        found = await service_of(request).readiness()
        return found if caller_of(request).may(Scope.ADMIN) else Ready()
    except StoreError:
        raise Problem(503, "the event store cannot be read at the moment", kind="store-unavailable") from None


STRAIGHT = [
    route for route in router.routes if isinstance(route, APIRoute) and route.endpoint in (events, recommendations)
]
"""The routes of every page view (`serving/api/straight.py`)."""


def _offered(body: bytes) -> Sequence[object]:
    """The events in a body, not yet validated: one object is a batch of one."""
    try:
        said = from_json(body, allow_inf_nan=True)  # so that a NaN is one rejected event, not a refused batch
    except ValueError as failure:
        raise malformed_json(failure) from None
    if not isinstance(said, dict):
        raise _wrong_shape(f"the body is a JSON {type(said).__name__}")
    if "events" not in said:
        return [said]
    batch = said["events"]
    if len(said) > 1:
        raise _wrong_shape(f"beside events the body holds {', '.join(sorted(set(said) - {'events'})[:20])[:200]}")
    if not isinstance(batch, list) or not 1 <= len(batch) <= MAX_BATCH:
        raise _wrong_shape(f"events must be a list of 1 to {MAX_BATCH} events")
    return batch


def _wrong_shape(fault: str) -> Problem:
    detail = f'{fault}; send one event object or {{"events": [...]}}'
    return Problem(422, detail, kind="invalid-request", title="The request is not valid")


def _question(asked: RecommendationRequest) -> Question:
    offset = asked.context.local_time.utcoffset() if asked.context.local_time else None
    return Question(
        user_id=asked.shopper.user_id,
        anonymous_id=asked.shopper.anonymous_id,
        session_id=asked.session,
        placement=asked.placement,
        utc_offset_s=None if offset is None else int(offset.total_seconds()),
        device=asked.context.device,
        channel=asked.context.channel,
        store=asked.context.store,
        item_id=asked.context.item_id,
        count=asked.count,
        exclude=tuple(asked.exclude),
        exclude_seen=asked.exclude_seen,
        wanted=None if asked.filter is None else _filter(asked.filter),
    )


def _filter(value: dict[str, JsonValue]) -> Filter:
    try:
        return parse(value)
    except FilterError as refusal:
        raise Problem(422, f"filter: {refusal}", kind="invalid-request", title="The request is not valid") from None


def _deadline_s(said: str | None) -> float | None:
    if said is None:
        return None
    if not said.isascii() or not said.isdigit() or not MIN_DEADLINE_MS <= int(said[:9]) <= MAX_DEADLINE_MS:
        detail = f"{DEADLINE['name']} is {said[:40]!r}; give whole milliseconds, {MIN_DEADLINE_MS} to {MAX_DEADLINE_MS}"
        raise Problem(422, detail, kind="invalid-request", title="The request is not valid")
    return int(said) / 1_000


def _response(answer: Answer) -> dict[str, object]:
    """By `RecommendationResponse`, which describes it; making the models themselves takes longer than all else here."""
    return {
        "recommendation_id": answer.recommendation_id,
        "model_version": answer.model_version,
        "items": [
            {
                "item_id": item.item_id,
                "title": item.title,
                "category": item.category,
                "brand": item.brand,
                "price": item.price,
                "score": chosen.score,
                "source": chosen.source,
                "reason": chosen.reason,
                "position": position,
                "propensity": chosen.propensity,
            }
            for position, (item, chosen) in enumerate(answer.items)
        ],
        "knowledge": answer.knowledge.value,
        "consent": answer.consent,
        "degraded": answer.degraded,
        "rung": answer.rung.name.lower(),
        "experiments": answer.experiments,
        "took_ms": round(answer.took_ms, 3),
    }
