"""The FastAPI application around one service; no Ray here, so tests call it in process.

Bodies are read and written by pydantic's own JSON parser in one pass; FastAPI contributes routing and documentation.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.responses import Response

from recsys.errors import OverloadError, StoreError
from recsys.retrieval.filter.parse import json_schema
from serving.api import admin, backfill, consent, identity, items, routes, shoppers
from serving.api.consent import ConsentIn
from serving.api.envelope import Envelope
from serving.api.event import EventBatch, EventIn
from serving.api.identity import IdentityIn
from serving.api.item import BulkRow, ItemIn, ItemPatch
from serving.api.limits import BodyLimit, Shedding
from serving.api.problem import Problem, ProblemBody
from serving.api.recommendation import RecommendationRequest
from serving.api.spoken import SCHEMA_REF
from serving.api.straight import Straight
from serving.security.gate import Gate
from serving.security.guard import Guard
from serving.security.scope import SCHEMES, UNDECLARED
from serving.service import Service
from serving.watching.request import Requests

_log = logging.getLogger("attune.api")
_DESCRIPTION = """Personalised slates, and the events that make them personal.

Send what shoppers do to `/v1/events`, ask `/v1/recommendations` for what to show: an acknowledged event is seen by the
very next answer. Errors are `application/problem+json` (RFC 9457)."""


def create_app(service: Service, *, max_concurrent: int = 128, guard: Guard | None = None) -> FastAPI:
    """The application; starting it opens the service and stopping it closes it. Without a guard anybody may ask."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service, guard or nullcontext():
            yield

    app = FastAPI(
        title="Attune",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/openapi.json" if guard is None or guard.security.documentation else None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # who might want it is asked at every request
        redirect_slashes=False,  # a redirect would repeat whatever host the request names
    )
    app.state.service = service
    app.include_router(routes.router)
    app.include_router(backfill.router)
    app.include_router(consent.router)
    app.include_router(identity.router)
    app.include_router(items.router)
    app.include_router(shoppers.router)
    app.include_router(admin.router)
    app.add_middleware(Straight, routes=routes.STRAIGHT)
    app.add_middleware(BodyLimit, larger={backfill.PATH: backfill.MAX_BYTES})
    meter = service.lookout.meter
    app.add_middleware(Shedding, limit=max_concurrent, shed=meter.shed)
    if guard is not None:
        app.add_middleware(Gate, guard=guard, describe=lambda: _openapi(app))
    app.add_middleware(Envelope)
    app.add_middleware(Requests, meter=meter, failed=_on_anything)  # the last one added is the outermost
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(StoreError, _on_store)
    app.add_exception_handler(OverloadError, _on_overload)
    app.add_exception_handler(Exception, _on_anything)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


async def _on_problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response()


async def _on_http(request: Request, failure: Exception) -> Response:
    assert isinstance(failure, HTTPException)
    details = {
        404: f"there is nothing at {request.scope['path']}; see /docs for what there is",
        405: f"{request.method} is not possible at {request.scope['path']}; see /docs",
    }
    return Problem(
        failure.status_code, details.get(failure.status_code, str(failure.detail)), headers=failure.headers
    ).response()


async def _on_store(request: Request, failure: Exception) -> Response:
    _log.error("store: %s", failure)
    service: Service = request.app.state.service
    service.lookout.meter.store_failed(f"{request.method} {getattr(request.scope.get('route'), 'path_format', '')}")
    detail = "the event store cannot do this at the moment; nothing was acknowledged, so send it again"
    return Problem(503, detail, kind="store-unavailable", headers={"retry-after": "1"}).response()


async def _on_overload(request: Request, failure: Exception) -> Response:
    service: Service = request.app.state.service
    service.lookout.meter.shed()
    return Problem(503, str(failure), kind="overloaded", headers={"retry-after": "1"}).response()


async def _on_anything(_: Request, failure: Exception) -> Response:
    _log.error("unexpected error", exc_info=failure)
    headers = {"x-content-type-options": "nosniff", "cache-control": "no-store"}  # made outside the envelope
    return Problem(500, "something went wrong here; the cause is in the service's log", headers=headers).response()


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description plus the models of the bodies that the routes parse themselves."""
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        said = (EventIn, EventBatch, IdentityIn, ConsentIn)
        models = (*said, RecommendationRequest, ItemIn, ItemPatch, BulkRow, ProblemBody)
        _, extra = models_json_schema([(model, "validation") for model in models], ref_template=SCHEMA_REF)
        schemas = described.setdefault("components", {}).setdefault("schemas", {})
        reference = SCHEMA_REF.format(model="Filter")
        schemas.update(extra["$defs"], Filter=json_schema(reference))
        asked = schemas["RecommendationRequest"]["properties"]["filter"]
        asked["anyOf"] = [{"$ref": reference}, {"type": "null"}]
        described["components"]["securitySchemes"] = SCHEMES
        described["security"] = UNDECLARED
        app.openapi_schema = described
    return app.openapi_schema
