"""What goes wrong with Redis, as a StoreError that names the place and the remedy and never holds a password."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as TooLate

from recsys.errors import StoreError

_REMEDIES: Mapping[type[Exception], str] = {
    AuthenticationError: "the name or password in store.url is not accepted",
    NoPermissionError: "give the user in store.url the permission",
    BusyLoadingError: "it is reading its data after a start; try again in a moment",
    OutOfMemoryError: "its maxmemory is reached; raise it, or let events and slates expire",
    ReadOnlyError: "name the primary in store.url",
    TooLate: "see whether it hangs or is overloaded; store.timeout_s says how long to wait",
    ResponseError: "see its log",
    RedisError: "start it, or set store.url",
    OSError: "start it, or set store.url",
    ValueError: "it cannot be kept; send it otherwise",
}
"""What to do, by the first kind that fits."""


class Placed(Protocol):
    """Whoever is somewhere."""

    @property
    def where(self) -> str:
        """The place, without name and password."""
        ...


Where = TypeVar("Where", bound=Placed)
Asked = ParamSpec("Asked")
Found = TypeVar("Found")


def explained(
    work: Callable[Concatenate[Where, Asked], Awaitable[Found]],
) -> Callable[Concatenate[Where, Asked], Coroutine[Any, Any, Found]]:
    """A method of a store whose every failure is a StoreError."""

    @wraps(work)
    async def explaining(store: Where, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Found:
        try:
            return await work(store, *args, **kwargs)
        except StoreError as failure:
            raise StoreError(f"event store {store.where}: {failure}") from failure
        except tuple(_REMEDIES) as failure:
            remedy = next(said for kind, said in _REMEDIES.items() if isinstance(failure, kind))
            raise StoreError(f"event store {store.where}: {str(failure).rstrip('.')}; {remedy}") from failure

    return explaining
