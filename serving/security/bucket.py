"""How often somebody may ask: a bucket of tokens that fills at a constant rate (one per key and replica)."""

import time
from collections.abc import Callable


class TokenBucket:
    """Holds up to `burst` tokens, gains `rate_per_s` of them a second, and is full at first.

    Turner, J. S. (1986), New directions in communications (or which way to the information age?), IEEE Communications
    Magazine 24(10). What is in it is worked out when somebody asks, so nobody has to fill it.
    """

    __slots__ = ("_filled_at", "_held", "_ticks", "burst", "rate_per_s")

    def __init__(self, rate_per_s: float, burst: int, *, ticks: Callable[[], float] = time.monotonic) -> None:
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._ticks = ticks
        self._held = float(burst)
        self._filled_at = ticks()

    def take(self) -> float:
        """Take one token; 0 if there was one, else the seconds until there will be."""
        now = self._ticks()
        held = min(self.burst, self._held + (now - self._filled_at) * self.rate_per_s)
        self._filled_at = now
        if held < 1:
            self._held = held
            return (1 - held) / self.rate_per_s
        self._held = held - 1
        return 0.0
