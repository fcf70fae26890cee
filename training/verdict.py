"""Whether a challenger may become the champion, given how both answered the same questions.

What is compared is NDCG@10 of the answer, question by question; the interval is of the mean difference, challenger less
champion, and resamples shoppers (`recsys/metric/interval.py`).

| `margin` | the challenger is refused when |
|---|---|
| null | it is surely worse: the upper end of the 95 % interval is below zero |
| a number | it is surely worse, or it could be worse by more than the margin: the lower end is below -margin |

Without a margin, a challenger with a lower mean whose interval holds zero is promoted, and it is said: what cannot be
told from the champion on so many questions is not refused, because it knows newer days and items, and a shop that only
lets in what is proven better serves an ageing model. A shop that would rather wait sets a margin; that is the test of
non-inferiority as Schuirmann (1987) and Piaggio et al., "Reporting of noninferiority and equivalence randomized
trials" (JAMA 2012), describe it. With few questions the interval is wide: without a margin nearly all passes then.
"""

from dataclasses import dataclass

from recsys.errors import ConfigError
from recsys.metric.interval import Paired


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the challenger is good enough, and why, in words with the figures."""

    is_good_enough: bool
    words: str


def insist_margin(margin: float | None) -> None:
    """ConfigError where a margin is none."""
    if margin is not None and not 0 <= margin < 1:
        raise ConfigError(f"margin is {margin}; give the NDCG@10 that may be lost, 0 or more (such as 0.002), or null")


def judged(difference: Paired, *, margin: float | None) -> Verdict:
    """The verdict on the difference of NDCG@10, challenger less champion."""
    insist_margin(margin)
    figures = f"NDCG@10 {difference.difference:+.4f}, 95 % {difference.low:+.4f} to {difference.high:+.4f}"
    if difference.high < 0:
        return Verdict(is_good_enough=False, words=f"it is surely worse ({figures})")
    if margin is not None and difference.low < -margin:
        return Verdict(
            is_good_enough=False, words=f"it could be worse by more than the margin of {margin:g} ({figures})"
        )
    if difference.low > 0:
        return Verdict(is_good_enough=True, words=f"it is surely better ({figures})")
    if difference.difference < 0:
        return Verdict(
            is_good_enough=True,
            words=f"it is not surely worse: its mean is lower, but the interval holds 0 ({figures})",
        )
    return Verdict(is_good_enough=True, words=f"it is not worse ({figures})")
