"""For every server that somebody else can reach: no key, no answer."""

from collections.abc import Sequence

from recsys.errors import ConfigError
from serving.api.problem import Problem
from serving.security.caller import Caller
from serving.security.key import Key
from serving.security.policy import Headers, Security, is_loopback

CHALLENGE = {"www-authenticate": 'Bearer realm="attune"'}


class Keys(Security):
    """Every request but those to open paths needs a key that has the route's scope."""

    def stranger(self, headers: Headers) -> Caller:
        """There are none."""
        raise Problem(
            401,
            "send an API key as `Authorization: Bearer sk_...`; recsys-keys makes one",
            kind="no-key",
            headers=CHALLENGE,
        )

    def page_here(self, origin: str) -> bool:
        """Where a page comes from is said by its key alone."""
        return False

    def check(self, host: str, living: Sequence[Key]) -> None:
        """Nobody could ask a server without keys; on loopback a development key is made instead."""
        if not living and not is_loopback(host):
            raise ConfigError(
                f"server.host={host} can be reached from outside and there is no living key, so nobody could ask; make "
                "one first: recsys-keys create=NAME scopes=[admin]"
            )

    def words(self) -> str:
        """What that means."""
        return "every request needs a key; recsys-keys makes, lists and revokes them"
