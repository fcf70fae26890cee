"""What a key may be used for, and how a route says which of it it needs."""

from enum import StrEnum
from typing import Any

SCHEME = "key"
"""The name of the security scheme in the OpenAPI document."""


class Scope(StrEnum):
    """One thing that a key may be used for; `admin` opens every route."""

    EVENTS_WRITE = "events:write"
    EVENTS_BACKFILL = "events:backfill"
    RECOMMENDATIONS_READ = "recommendations:read"
    CATALOGUE_WRITE = "catalogue:write"
    SHOPPERS_READ = "shoppers:read"
    SHOPPERS_ERASE = "shoppers:erase"
    ADMIN = "admin"


PUBLISHABLE = frozenset({Scope.EVENTS_WRITE, Scope.RECOMMENDATIONS_READ})
"""All that a key in a browser may ever do."""
UNDECLARED = [{SCHEME: [Scope.ADMIN.value]}]
"""What a route needs that says nothing: a forgotten declaration closes a door and opens none."""
SCHEMES: dict[str, Any] = {
    SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "A key made by `recsys-keys`: `Authorization: Bearer sk_...` (servers), `pk_...` (browsers). "
        "On a server that listens on loopback with `security=loopback` none is needed.",
    }
}


def needs(scope: Scope) -> dict[str, Any]:
    """The declaration of a route (part of its `openapi_extra`): a key with this scope, or with `admin`."""
    return {"security": [{SCHEME: [scope.value]}]}


def needs_none() -> dict[str, Any]:
    """The declaration of a route that answers anybody."""
    return {"security": []}
