"""Who asks, as far as routes care."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection
from starlette.types import Scope as Connection

from serving.api.problem import Problem
from serving.security.bucket import TokenBucket
from serving.security.scope import Scope

_PLACE = "attune.caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """`name` is the key's id, or says why none was needed; `origins` are the pages a browser may ask from."""

    name: str
    scopes: frozenset[Scope]
    bucket: TokenBucket | None = None
    publishable: bool = False
    names_users: bool = True
    origins: frozenset[str] = frozenset()

    def may(self, scope: Scope) -> bool:
        """Whether they may do what needs this scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


ANYBODY = Caller(name="anybody", scopes=frozenset(Scope))
"""Who asks an application that was made without security, as tests and notebooks do."""


def enter(connection: Connection, caller: Caller) -> None:
    """Tell everything further in who asks."""
    connection[_PLACE] = caller


def caller_in(connection: Connection) -> Caller | None:
    """Who asks, once that is known."""
    caller: Caller | None = connection.get(_PLACE)
    return caller


def caller_of(request: HTTPConnection) -> Caller:
    """Who asks."""
    return caller_in(request.scope) or ANYBODY


def speaks_of_user(request: HTTPConnection) -> None:
    """Somebody is about to write or read what belongs to a known user.

    A publishable key is in everybody's hands. Could it name users, anybody who knows or guesses a user's id could read
    from answers what that user did, or link themselves to it. A visitor's random id cannot be guessed.

    Raises:
        Problem: 403, the key may speak of visitors only.
    """
    if not caller_of(request).names_users:
        raise Problem(
            403,
            "this publishable key may speak of visitors (anonymous_id) only; send user_id, and the event that links "
            "the two, from your server with a secret key: the visitor is answered as that user from then on",
            kind="visitors-only",
        )
