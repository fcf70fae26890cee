"""For one machine and whoever sits at it: no key is needed, because nobody else can reach the server."""

from collections.abc import Sequence

from recsys.errors import ConfigError
from serving.api.problem import Problem
from serving.security.caller import Caller
from serving.security.key import Key
from serving.security.policy import Headers, Security, is_loopback, names_loopback
from serving.security.scope import Scope

_GATEWAYS = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"x-forwarded-host")
_LOCAL = Caller(name="loopback", scopes=frozenset(Scope))


class Loopback(Security):
    """Anybody on this machine may do everything; whoever shows a key is judged by it, so that keys can be tried.

    What makes this safe is the address that the server listens on, and never the address that a request comes from:
    behind a proxy (and Ray Serve puts HAProxy in front) everybody comes from loopback. Two ways lead around it, both
    closed here: web pages that the machine's browser has open may send requests to loopback, or find it under a name
    of their own (DNS rebinding), which Host and Origin tell; and a gateway may pass the outside on, which its headers
    tell.
    """

    def stranger(self, headers: Headers) -> Caller:
        """The one at this machine."""
        host, origin = headers.get(b"host"), headers.get(b"origin")
        if host is not None and not names_loopback(host):
            raise _refused("the request asks for another host than this machine")
        if origin is not None and not _is_local(origin):
            raise _refused("the request comes from a web page of another machine")
        for name in _GATEWAYS:
            if name in headers:
                raise _refused(f"the header {name.decode()} says that a gateway passed the request on")
        return _LOCAL

    def page_here(self, origin: str) -> bool:
        """Pages of this machine may ask."""
        return _is_local(origin.encode("latin-1"))

    def check(self, host: str, living: Sequence[Key]) -> None:
        """Only on loopback."""
        if not is_loopback(host):
            raise ConfigError(
                f"server.host={host} can be reached from outside, and security=loopback lets anybody in without a key; "
                "make keys with recsys-keys and set security=keys, or listen on server.host=127.0.0.1"
            )

    def words(self) -> str:
        """What that means."""
        return "no key is needed: whoever can reach this machine's loopback may read and write (security=keys asks)"


def _is_local(origin: bytes) -> bool:
    scheme, separator, authority = origin.partition(b"://")
    return bool(separator) and scheme in (b"http", b"https") and names_loopback(authority)


def _refused(why: str) -> Problem:
    return Problem(
        403,
        f"{why}, and without a key this service answers its own machine only; set security=keys and send a key",
        kind="not-from-here",
    )
