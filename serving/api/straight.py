"""The short way to the routes that every page of a shop asks: a look into a table, then the route's own function.

FastAPI's way there (its router, what a route may depend on, what is to be closed behind it, three layers that each wait
for exceptions) takes as long as all other code around an answer; a function that takes a request and gives a response
needs none of it. The routes stay declared as any others, which is how they are described, and found on the long way.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.envelope import path_of


class Straight:
    """The innermost layer: answers what `routes` are asked, and passes on everything else.

    Args:
        routes: with paths that have no parts to fill in, and functions that take the request alone and give a response.
    """

    def __init__(self, app: ASGIApp, *, routes: Sequence[APIRoute]) -> None:
        self.app = app
        self._routes = {(method, route.path): route for route in routes for method in route.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        route = self._routes.get((scope["method"], path_of(scope))) if scope["type"] == "http" else None
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, {}
        request = Request(scope, receive)
        try:
            response: Response = await route.endpoint(request)
        except Exception as failure:
            handler = _handler(scope["app"].exception_handlers, failure)
            if handler is None:
                raise
            response = await handler(request, failure)
        await response(scope, receive, send)


def _handler(handlers: Mapping[Any, Any], failure: Exception) -> Any | None:
    """What the application makes of such a failure; None of one that nobody expected, which is for the outermost layer
    to answer."""
    kinds = type(failure).__mro__
    return next((handlers[kind] for kind in kinds if kind is not Exception and kind in handlers), None)
