"""All checks, in the order in which their findings are told."""

from collections.abc import Callable, Iterator

from recsys.card.findings import bots, clocks, identifiers, money, signal
from recsys.card.findings.finding import Checked, Finding

Check = Callable[[Checked], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    signal.empty,
    signal.cut_off,
    clocks.future,
    clocks.ancient,
    clocks.dates_only,
    clocks.time_zone,
    clocks.crowded_instants,
    bots.bots,
    bots.placeholders,
    identifiers.shared_visitors,
    identifiers.restless_users,
    identifiers.shared_sessions,
    identifiers.long_sessions,
    identifiers.renamed_items,
    identifiers.duplicates,
    signal.quarantined,
    signal.few_moments,
    signal.cold_items,
    signal.undescribed,
    signal.holes,
    money.units,
    money.odd_prices,
    money.constant_prices,
    identifiers.wild_prices,
)


def findings(checked: Checked) -> tuple[Finding, ...]:
    """What is to be said of a log, the grave first."""
    found = [finding for check in CHECKS for finding in check(checked)]
    return tuple(sorted(found, key=lambda finding: not finding.grave))
