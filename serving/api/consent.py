"""What a shopper agrees to: the routes that say it and look it up; the rules: `recsys/consent.py`.

What is said here is an event of type `consent`, through the same line as all others, so that it is exported, and
training knows it, too.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.responses import Response

from recsys.event import EventType
from serving.api.event import Moment, Text
from serving.api.problem import Problem, invalid, malformed_json, words
from serving.api.spoken import REFUSALS, body_of, json_of, problems_of, service_of
from serving.security.caller import speaks_of_user
from serving.security.scope import Scope, needs

router = APIRouter(tags=["consent"])
_PATH = "/v1/shoppers/{shopper_id:path}/consent"
_ID: TypeAdapter[str] = TypeAdapter(Text)
_FIELDS: Mapping[str, str] = {"user": "user_id", "anonymous": "anonymous_id"}
_KIND: dict[str, Any] = {
    "name": "kind",
    "in": "query",
    "required": False,
    "description": "Whether the id is a user's or a visitor's.",
    "schema": {"type": "string", "enum": list(_FIELDS), "default": "user"},
}


class ConsentIn(BaseModel):
    """Everything that a shopper agrees to."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        title="Consent",
        json_schema_extra={"examples": [{"purposes": ["personalisation", "training"]}, {"purposes": []}]},
    )

    purposes: list[Text] = Field(max_length=32, description="All purposes agreed to; what is not named is not.")
    event_id: Text | None = Field(
        default=None, description="Unique; sent again, it is a duplicate. Made up if left out."
    )
    occurred_at: Moment | None = Field(default=None, description="When it was said, with offset; now if left out.")


class ConsentOut(BaseModel):
    """What holds for a shopper now, and what follows from it."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "shopper_id": "u-12",
                    "kind": "user",
                    "purposes": ["personalisation"],
                    "personalisation": True,
                    "training": False,
                }
            ]
        },
    )

    shopper_id: str
    kind: str = Field(description="user or anonymous.")
    purposes: list[str] | None = Field(
        description="What they agree to; where visitors linked to them said otherwise, what all of them agree to. Null "
        "where nobody ever said anything."
    )
    personalisation: bool = Field(description="Whether answers use what is known of them.")
    training: bool = Field(description="Whether models may learn from their events.")


@router.put(
    _PATH,
    summary="Say what a shopper agrees to",
    response_model=ConsentOut,
    openapi_extra=body_of("Consent") | needs(Scope.EVENTS_WRITE) | {"parameters": [_KIND]},
    responses=problems_of(*REFUSALS, 400, 404, 413, 422, 503),
)
async def put(shopper_id: str, request: Request) -> Response:
    """The shopper agrees to these purposes from `occurred_at` on, and to no others, unless they said otherwise later.

    Durable when it is answered, and kept to by the very next answer on any replica. It is the same as an event of type
    `consent`; one of those with both ids speaks for the user and the visitor at once.
    """
    named = _named(shopper_id, request)
    try:
        said = from_json(await request.body(), allow_inf_nan=False)
    except ValueError as failure:
        raise malformed_json(failure) from None
    try:
        purposes = ConsentIn.model_validate(said).purposes
    except ValidationError as failure:
        raise invalid(failure) from None
    told = {name: value for name, value in said.items() if name != "purposes"}
    event = told | named | {"type": EventType.CONSENT.value, "consent": purposes}
    [receipt] = (await service_of(request).listening.hear([event])).results
    if receipt.status == "rejected":
        raise Problem(422, receipt.reason or "", kind="invalid-request", title="The request is not valid")
    return await _held(named, request)


@router.get(
    _PATH,
    summary="What a shopper agrees to",
    response_model=ConsentOut,
    openapi_extra=needs(Scope.RECOMMENDATIONS_READ) | {"parameters": [_KIND]},
    responses=problems_of(*REFUSALS, 404, 422, 503),
)
async def get(shopper_id: str, request: Request) -> Response:
    """What holds now, for answers and for training."""
    return await _held(_named(shopper_id, request), request)


async def _held(named: Mapping[str, str], request: Request) -> Response:
    service = service_of(request)
    agreed = await service.agreed(user_id=named.get("user_id"), anonymous_id=named.get("anonymous_id"))
    [shopper_id] = named.values()
    held = ConsentOut(
        shopper_id=shopper_id,
        kind="user" if "user_id" in named else "anonymous",
        purposes=None if agreed is None else sorted(agreed),
        personalisation=service.consent.personalisation.allows(agreed),
        training=service.consent.training.allows(agreed),
    )
    return json_of(held)


def _named(shopper_id: str, request: Request) -> dict[str, str]:
    """The shopper as an event names them."""
    kind = request.query_params.get("kind", "user")
    if kind not in _FIELDS:
        raise Problem(422, f"kind is {kind[:40]!r}; choose one of {', '.join(_FIELDS)}", kind="invalid-request")
    try:
        _ID.validate_python(shopper_id)
    except ValidationError as failure:
        fault = words(failure.errors(include_url=False, include_context=False)[0])
        raise Problem(422, f"shopper_id: {fault}", kind="invalid-request") from None
    if kind == "user":
        speaks_of_user(request)
    return {_FIELDS[kind]: shopper_id}
