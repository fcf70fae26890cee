"""For those who run the service: its metrics for machines, its status for people."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from recsys.errors import StoreError
from serving.api.spoken import REFUSALS, problems_of, service_of
from serving.security.scope import Scope, needs
from serving.watching import status as views
from serving.watching.exposition import MEDIA_TYPE, page

router = APIRouter(prefix="/v1/admin", tags=["service"])
_NOTHING_FROM_ELSEWHERE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    openapi_extra=needs(Scope.ADMIN),
    responses=problems_of(*REFUSALS),
)
async def metrics(request: Request) -> Response:
    """All replicas of the machine that answers, in Prometheus' text format; the label `replica` tells them apart."""
    found = await asyncio.to_thread(page, service_of(request).lookout.replicas)
    return Response(found, media_type=MEDIA_TYPE)


@router.get(
    "/status",
    summary="Status for people",
    response_class=PlainTextResponse,
    openapi_extra=needs(Scope.ADMIN),
    responses=problems_of(*REFUSALS),
)
async def status(request: Request) -> Response:
    """What runs, how fast and how fresh it answers and what went wrong lately, of all replicas of the machine that
    answers: a page for a browser, plain text for everybody else."""
    service = service_of(request)
    found = views.sections(await _about(request), await asyncio.to_thread(service.lookout.replicas.reports))
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(views.html(found), headers=_NOTHING_FROM_ELSEWHERE)
    return PlainTextResponse(views.plain(found))


async def _about(request: Request) -> dict[str, object]:
    service = service_of(request)
    try:
        ready, exported = await service.readiness(), await service.exports.look()
    except StoreError as failure:
        return {"ready": f"no: {failure}"}
    return {
        "ready": "yes",
        "release": ready.model_version,
        "trained until": f"{ready.data_end:%Y-%m-%d %H:%M:%S} UTC",
        "registry": ready.registry,
        "store": ready.store,
        "now": f"{ready.clock:%Y-%m-%d %H:%M:%S} UTC",
        **({} if exported is None else exported.said()),
    }
