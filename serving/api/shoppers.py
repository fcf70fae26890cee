"""The rights of a shopper: to be forgotten, and to be told what is known of them."""

import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse

from recsys.clock import to_datetime
from recsys.errors import StoreError
from recsys.log.erase import Named
from recsys.log.erasures import KINDS
from serving.api.event import Text
from serving.api.items import NDJSON
from serving.api.problem import Problem, words
from serving.api.shopper import ErasureReceipt, receipt_of, said_of
from serving.api.spoken import REFUSALS, json_of, problems_of, service_of
from serving.security.scope import Scope, needs
from serving.service import Service
from serving.store.protocol import Held

router = APIRouter(tags=["shoppers"])
_PAGE = 5_000
_ID: TypeAdapter[str] = TypeAdapter(Text)
_KIND: dict[str, Any] = {
    "name": "kind",
    "in": "query",
    "required": False,
    "description": "Whose id the path holds: that of a known user, or of a visitor (`anonymous_id`).",
    "schema": {"type": "string", "enum": list(KINDS), "default": KINDS[0]},
}
_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One JSON object a line; `record` says what it is.",
        "content": {
            NDJSON: {
                "schema": {"type": "string"},
                "example": '{"record":"shopper","kind":"user","id":"u-12","visitors":["a-51"],'
                '"asked_at":"2024-05-01T12:00:00Z"}\n'
                '{"record":"link","anonymous_id":"a-51","at":"2024-04-30T18:00:00Z","user_id":"u-12"}\n'
                '{"record":"recommendation","recommendation_id":"r-1","at":"2024-04-30T18:01:00Z","items":[]}\n'
                '{"record":"event","event_id":"e-1","type":"view","occurred_at":"2024-04-30T18:02:00Z",'
                '"user_id":"u-12","item_id":"item-017"}\n'
                '{"record":"end","links":1,"recommendations":1,"events":1}\n',
            }
        },
    }
}
_log = logging.getLogger("attune.api")


class Lines(StreamingResponse):
    """JSON, an object a line, as it is read."""

    media_type = NDJSON


@router.delete(
    "/v1/shoppers/{shopper_id:path}",
    summary="Erase a shopper",
    response_model=ErasureReceipt,
    openapi_extra=needs(Scope.SHOPPERS_ERASE) | {"parameters": [_KIND]},
    responses=problems_of(*REFUSALS, 404, 422, 503),  # 404: an id with a line break is no path
)
async def erase(shopper_id: str, request: Request) -> Response:
    """Take a user, with the visitors they ever were, or a visitor out of everything; the receipt lists every place.

    Whether they were known or not, nothing more of them is taken in from now on: events sent under their ids are
    acknowledged as duplicates and not kept, and they are answered as strangers. A repeat gives the first receipt; after
    a 503 it goes on where the first came to. A large store takes its time; whoever stops waiting asks again.
    """
    shopper, service = _named(shopper_id, request), service_of(request)
    forgotten = await service.forgetting.erase(shopper)
    return json_of(receipt_of(forgotten, service.forgetting.places(forgotten)))


@router.get(
    "/v1/shoppers/{shopper_id:path}/export",
    summary="Everything that is held of a shopper",
    response_class=Lines,
    openapi_extra=needs(Scope.SHOPPERS_READ) | {"parameters": [_KIND]},
    responses=_LINES | problems_of(*REFUSALS, 404, 422, 503),
)
async def export(shopper_id: str, request: Request) -> Response:
    """Who they were, what they did, what they were shown: all that an erasure would take, and nothing of others.

    Read page by page; a whole export ends with a line whose `record` is `end` and counts the lines before. Of somebody
    unknown there are only the first line and the last.
    """
    shopper, service = _named(shopper_id, request), service_of(request)
    first = await service.forgetting.held(shopper, after=0, limit=_PAGE)
    lines = _lines(shopper, first, service)
    return Lines(lines, headers={"content-disposition": 'attachment; filename="shopper.ndjson"'})


async def _lines(shopper: Named, page: Held, service: Service) -> AsyncIterator[bytes]:
    counts = {"links": len(page.links), "recommendations": len(page.exposures), "events": 0}
    yield _line("shopper", kind=shopper.kind, id=shopper.id, visitors=page.visitors, asked_at=service.forgetting.now())
    for visitor, at, user in page.links:
        yield _line("link", anonymous_id=visitor, at=_moment(at), user_id=user)
    for exposure in page.exposures:
        yield _line("recommendation", **said_of(exposure))
    while True:
        for arrival in page.events:
            yield _line("event", **said_of(arrival.event))
        counts["events"] += len(page.events)
        if len(page.events) < _PAGE or not page.events[-1].number:
            break
        try:
            page = await service.forgetting.held(shopper, after=page.events[-1].number, limit=_PAGE)
        except StoreError as failure:
            _log.error("store: %s", failure)
            yield _line("incomplete", detail="the event store could not be read to the end; ask again")
            return
    yield _line("end", **counts)


def _line(record: str, **said: object) -> bytes:
    return to_json({"record": record, **said}) + b"\n"


def _moment(at: int) -> object:
    """An instant as people write it; one before the calendar is no instant, but since ever."""
    try:
        return to_datetime(at)
    except OverflowError:
        return None


def _named(shopper_id: str, request: Request) -> Named:
    asked = request.query_params.get("kind", KINDS[0])
    for kind in KINDS:
        if kind == asked:
            return Named(kind, _checked(shopper_id))
    raise Problem(422, f"kind is {asked[:40]!r}; choose of {', '.join(KINDS)}", kind="invalid-request")


def _checked(shopper_id: str) -> str:
    try:
        return _ID.validate_python(shopper_id)
    except ValidationError as failure:
        fault = words(failure.errors(include_url=False, include_context=False)[0])
        raise Problem(422, f"the id of a shopper: {fault}", kind="invalid-request") from None
