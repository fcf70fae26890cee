"""What all routes share: their service, their bodies in the description, their JSON."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response

from serving.api.problem import MEDIA_TYPE
from serving.service import Service

SCHEMA_REF = "#/components/schemas/{model}"
REFUSALS = (401, 403, 408, 414, 415, 429, 431)
"""What any route may answer before it looks at what it was asked."""


def service_of(request: Request) -> Service:
    """The service that this application was made for."""
    service: Service = request.app.state.service
    return service


class Json(Response):
    """Bytes that are JSON already, with status 200 and the two headers that say so."""

    media_type = "application/json"

    def __init__(self, body: bytes) -> None:
        super().__init__(body)

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Starlette's own looks first what of them is there already."""
        self.raw_headers = [(b"content-length", b"%d" % len(self.body)), (b"content-type", b"application/json")]


def json_of(model: BaseModel) -> Response:
    """A model as it is sent."""
    return Json(model.__pydantic_serializer__.to_json(model))


def body_of(*models: str) -> dict[str, Any]:
    """The description of a body that the route parses itself: one of these models."""
    schemas = [{"$ref": SCHEMA_REF.format(model=model)} for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def problems_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The description of the problems that a route may answer with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": SCHEMA_REF.format(model="ProblemBody")}}}
    return {status: {"description": "Problem", "content": content} for status in statuses}
