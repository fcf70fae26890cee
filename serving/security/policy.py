"""What is the same however strangers are treated: the settings of keys, and who may start such a server."""

import ipaddress
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache

from recsys.errors import ConfigError
from serving.security.caller import Caller
from serving.security.key import Key

Headers = Mapping[bytes, bytes]
"""The headers of a request by their names in lower case."""


class Security(ABC):
    """How a service is guarded.

    Args:
        rate_per_s: how many requests a second a key may send to one replica, unless the key itself says; None is as
            many as it likes.
        burst: how many of them at once.
        origins: pages that may use any publishable key, beside those the key itself names.
        documentation: whether /docs, /redoc and /openapi.json are there.
        open_paths: further paths that need no key, with all that is below them.
    """

    def __init__(
        self,
        *,
        rate_per_s: float | None = None,
        burst: int = 1_000,
        origins: Sequence[str] = (),
        documentation: bool = False,
        open_paths: Sequence[str] = (),
    ) -> None:
        if (rate_per_s is not None and rate_per_s <= 0) or burst < 1:
            raise ConfigError(
                f"security.rate_per_s={rate_per_s}, security.burst={burst} would let nothing through; give rates above "
                "0, or null for none"
            )
        if any(not path.startswith("/") or path == "/" for path in open_paths):
            raise ConfigError(f"security.open_paths={list(open_paths)}: give paths such as /shop")
        self.rate_per_s = rate_per_s
        self.burst = burst
        self.origins = frozenset(origins)
        self.documentation = documentation
        self.open_paths = tuple(open_paths)

    @abstractmethod
    def stranger(self, headers: Headers) -> Caller:
        """Who asks without a key; a Problem says why they may not."""

    @abstractmethod
    def page_here(self, origin: str) -> bool:
        """Whether a page may ask because it is from this machine."""

    @abstractmethod
    def check(self, host: str, living: Sequence[Key]) -> None:
        """Raise ConfigError where a server that listens on `host` must not start, given the keys it would accept."""

    @abstractmethod
    def words(self) -> str:
        """One line for whoever starts the server."""


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@lru_cache(maxsize=256)
def names_loopback(authority: bytes) -> bool:
    """Whether the host of a Host header, or of an Origin after its scheme, is this machine."""
    text = authority.decode("latin-1").lower()
    host, _, port = text.rpartition(":") if not text.endswith("]") and ":" in text else (text, "", "")
    return (not port or port.isdigit()) and is_loopback(host)
