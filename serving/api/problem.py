"""RFC 9457 problem bodies: every error leaves as `application/problem+json`, saying what to do and nothing internal."""

import reprlib
from collections.abc import Mapping
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, to_json
from starlette.responses import Response

from recsys.event import EventType
from serving.watching.request import CURRENT

MEDIA_TYPE = "application/problem+json"
_SHOWN = 20
_MOST = 100
TOO_MANY = f"more than {_MOST} things are wrong with it; send what /docs describes"


class _Shortly(reprlib.Repr):
    """What somebody sent, in few characters and little time, however large or deep it is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, 80, 80

    def repr_int(self, x: int, level: int) -> str:
        """Python itself refuses to write out an integer of thousands of digits."""
        return repr(x) if x.bit_length() <= 128 else f"<an integer of {x.bit_length()} bits>"


_shortly = _Shortly()


class Fault(BaseModel):
    """One thing that is wrong with a request, and where."""

    pointer: str = Field(description="Where, as a JSON pointer.")
    detail: str


class ProblemBody(BaseModel):
    """An error as RFC 9457 has it."""

    model_config = ConfigDict(
        title="Problem",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:attune:problem:invalid-request",
                    "title": "The request is not valid",
                    "status": 422,
                    "detail": "count: Input should be less than or equal to 100 (got 500)",
                    "errors": [{"pointer": "/count", "detail": "Input should be less than or equal to 100 (got 500)"}],
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = Field(default=None, description="As in the header x-request-id; please quote it.")
    errors: list[Fault] | None = None


class Problem(Exception):
    """An error on its way out; `more` are further members of the body."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str | None = None,
        title: str | None = None,
        more: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.body: dict[str, object] = {
            "type": f"urn:attune:problem:{kind}" if kind else "about:blank",
            "title": title or HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            **(more or {}),
        }
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The problem as an HTTP response; it names the request, so that its lines in the log can be found."""
        body = self.body if (request_id := CURRENT.get()) is None else {**self.body, "request_id": request_id}
        return Response(to_json(body), self.status, self.headers, MEDIA_TYPE)


def malformed_json(failure: ValueError) -> Problem:
    """The body is not JSON at all."""
    return Problem(400, f"the body is not JSON: {failure}", kind="malformed-json", title="The body is not JSON")


def errors_of(failure: ValidationError) -> list[ErrorDetails]:
    """What is wrong, one by one; nothing where there is so much of it that telling would take longer than the request
    (a body of a mebibyte has room for a hundred thousand unknown fields)."""
    return [] if failure.error_count() > _MOST else failure.errors(include_url=False, include_context=False)


def refused(failure: ValidationError) -> Problem:
    """The body is no JSON, or not what was asked for."""
    if failure.error_count() == 1 and (only := failure.errors(include_url=False)[0])["type"] == "json_invalid":
        return malformed_json(ValueError(only["ctx"]["error"]))
    return invalid(failure)


def invalid(failure: ValidationError) -> Problem:
    """The body is JSON but not what was asked for."""
    faults = [
        Fault(pointer="/" + "/".join(str(part)[:_SHOWN] for part in error["loc"]), detail=words(error))
        for error in errors_of(failure)[:_SHOWN]
    ] or [Fault(pointer="/", detail=TOO_MANY)]
    return Problem(
        422,
        "; ".join(f"{fault.pointer.strip('/').replace('/', '.') or 'body'}: {fault.detail}" for fault in faults[:3]),
        kind="invalid-request",
        title="The request is not valid",
        more={"errors": [fault.model_dump() for fault in faults]},
    )


def words(error: ErrorDetails) -> str:
    """One validation error in words, with the value that caused it, shortened."""
    value = _shortly.repr(error.get("input"))
    shown = value if len(value) <= 80 else value[:77] + "..."
    if error["type"] == "enum" and error["loc"] and error["loc"][-1] == "type":
        return f"unknown event type {shown}; known types: {', '.join(EventType)}"
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "extra_forbidden":
        return "is not a known field"
    return f"{error['msg'].removeprefix('Value error, ')} (got {shown})"
