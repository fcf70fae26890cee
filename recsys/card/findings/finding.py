"""What a check has before it, and what it may say."""

from dataclasses import dataclass, field

from recsys.card.card import DataCard
from recsys.card.pace import Limits
from recsys.log.summary import LogSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From where on something is worth saying. Shares are of 1.

    Attributes:
        pace: what more than which no person does.
        night_share: the quietest four hours count as night if they hold at most this share of a day's activity.
        crowd: moments at one instant, at least; a hundred times the mean and a thousandth of all besides.
        users_of_a_visitor: users of one anonymous id (a shared device has a few).
        visitors_of_a_user: anonymous ids of one user (cookies are cleared now and then).
        shared_sessions: session ids with two users or two anonymous ids.
        long_sessions: session ids that are in use for over a day.
        renamed_items: items whose title changed to another without a common word.
        wild_prices: items, among those with ten prices or more, that scatter over more than a factor of two.
        duplicates: rows left out because of their event id, or acts that say the same again.
        quarantined: rows refused.
        undescribed: interacted items that the items' table lacks.
        two_moments: shoppers with two moments or more, at least.
        after_cutoff: acts at or after the cut-off, at least.
        before_cutoff: acts before it, at least.
        cold_items: interactions after the cut-off with items that are new there.
        odd_prices: prices of zero or less, or above the list price.
    """

    pace: Limits = field(default_factory=Limits)
    night_share: float = 0.08
    crowd: int = 50
    users_of_a_visitor: int = 10
    visitors_of_a_user: int = 100
    shared_sessions: float = 0.01
    long_sessions: float = 0.05
    renamed_items: float = 0.01
    wild_prices: float = 0.1
    duplicates: float = 0.02
    quarantined: float = 0.05
    undescribed: float = 0.05
    two_moments: float = 0.2
    after_cutoff: float = 0.005
    before_cutoff: float = 0.2
    cold_items: float = 0.3
    odd_prices: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What checks look at.

    Attributes:
        card: what was measured.
        summary: what became of the raw rows.
        now: the present instant; nothing in a log can be later.
        thresholds: from where on something is said.
    """

    card: DataCard
    summary: LogSummary
    now: int
    thresholds: Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to look at.

    Attributes:
        name: short and stable, such as "bots".
        grave: what is learnt or measured from the log is wrong until this is seen to; else it is worth knowing.
        says: one sentence with the counts.
        evidence: the worst examples, a line each; no ids but where they are asked for.
        threshold: what was crossed.
        remedy: what to do.
    """

    name: str
    grave: bool
    says: str
    evidence: tuple[str, ...] = ()
    threshold: str
    remedy: str


def share_text(part: float, whole: float) -> str:
    """A share for people, with two significant digits."""
    if not whole or not part:
        return "0%"
    percent = 100 * part / whole
    return f"{percent:.0f}%" if percent >= 10 else f"{percent:.2g}%" if percent >= 0.01 else "under 0.01%"
