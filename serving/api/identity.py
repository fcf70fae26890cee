"""Who a visitor is: the routes that link a visitor to a user, and part them again.

Both are events like any other, through the same line, so that training sees what answers saw; what belongs to whom is
told in `recsys/log/identity.py`. They ask for the scope of events, because an event says the same.
"""

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json
from starlette.responses import Response

from recsys.event import EventType
from serving.api.event import Moment, Receipt, Text
from serving.api.problem import Problem, invalid, malformed_json
from serving.api.spoken import REFUSALS, body_of, json_of, problems_of, service_of
from serving.security.caller import speaks_of_user
from serving.security.scope import Scope, needs

router = APIRouter(tags=["identity"])
_ANSWERS = problems_of(*REFUSALS, 400, 413, 422, 503)
_ASKED = body_of("Identity") | needs(Scope.EVENTS_WRITE)


class IdentityIn(BaseModel):
    """A visitor and a user."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        title="Identity",
        json_schema_extra={
            "examples": [
                {"event_id": "3b9c0c1e-sign-in", "user_id": "u-12", "anonymous_id": "a-51"},
                {
                    "user_id": "u-12",
                    "anonymous_id": "a-51",
                    "occurred_at": "2017-12-05T18:30:00+01:00",
                    "device": "phone",
                },
            ]
        },
    )

    event_id: Text | None = Field(
        default=None, description="Unique; sent again, it is a duplicate. Made up if left out."
    )
    user_id: Text = Field(description="The known shopper.")
    anonymous_id: Text = Field(description="The visitor.")
    occurred_at: Moment | None = Field(default=None, description="When, with offset; now if left out.")
    session_id: Text | None = None
    channel: Text | None = None
    device: Text | None = None


@router.post(
    "/v1/identity:link",
    summary="A visitor signed in",
    response_model=Receipt,
    openapi_extra=_ASKED,
    responses=_ANSWERS,
)
async def link(request: Request) -> Response:
    """From `occurred_at` on the visitor is this user; what they did before as nobody, their basket too, joins the
    user's. The next answer to either, on any device and replica, knows it. Another user's sign-in ends the link.

    Durable when it is answered, and the same as an event of type `link`: send it from your server, because a page's
    publishable key may not name users.
    """
    return await _told(request, EventType.LINK)


@router.post(
    "/v1/identity:unlink",
    summary="A visitor signed out",
    response_model=Receipt,
    openapi_extra=_ASKED,
    responses=_ANSWERS,
)
async def unlink(request: Request) -> Response:
    """From `occurred_at` on the visitor is nobody again. What was done while they were linked stays the user's; what
    was theirs before goes back to the visitor, for on a shared device it may be anybody's.

    It says nothing where the visitor is somebody else by now.
    """
    return await _told(request, EventType.UNLINK)


async def _told(request: Request, kind: EventType) -> Response:
    try:
        said = from_json(await request.body(), allow_inf_nan=False)
    except ValueError as failure:
        raise malformed_json(failure) from None
    try:
        IdentityIn.model_validate(said)
    except ValidationError as failure:
        raise invalid(failure) from None
    speaks_of_user(request)
    [receipt] = (await service_of(request).listening.hear([{**said, "type": kind.value}])).results
    if receipt.status == "rejected":
        raise Problem(422, receipt.reason or "", kind="invalid-request", title="The request is not valid")
    return json_of(receipt)
