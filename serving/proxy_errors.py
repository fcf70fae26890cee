"""What HAProxy itself says when something is wrong, as problem bodies (RFC 9457): one file per status."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of the proxy; `kind` names it in `urn:attune:problem:`."""

    status: int
    kind: str
    detail: str
    more: str = ""


_UNAVAILABLE = Said(
    503, "unavailable", "no replica can answer at the moment; ask again in a second", "Retry-After: 1\r\n"
)
ANSWERS: Mapping[int, Said] = {
    400: Said(400, "malformed-request", "this is not an HTTP request that can be read, or its headers are too large"),
    408: Said(408, "request-too-slow", "the request was not there in time; send it at once"),
    500: Said(500, "proxy-failed", "something went wrong on the way to the service"),
    501: Said(501, "unknown-method", "this method or coding is not known here; see /docs"),
    502: _UNAVAILABLE,
    503: _UNAVAILABLE,
    504: _UNAVAILABLE,
}
"""By the status that HAProxy would give: a replica that is gone, or not there yet, is one thing to a client."""


def write(folder: Path) -> None:
    """Write every answer as HAProxy's `errorfile` wants it: STATUS.http, a whole HTTP response."""
    for status, said in ANSWERS.items():
        (folder / f"{status}.http").write_text(_response(said), newline="")


def _response(said: Said) -> str:
    title = HTTPStatus(said.status).phrase
    body = json.dumps(
        {"type": f"urn:attune:problem:{said.kind}", "title": title, "status": said.status, "detail": said.detail}
    )
    return (
        f"HTTP/1.1 {said.status} {title}\r\nContent-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{said.more}Connection: close\r\n\r\n{body}"
    )
