"""Shoppers that are no people: inhuman rates, and ids that stand for nobody."""

from collections.abc import Iterator

from recsys.card.findings.clocks import is_dates_only
from recsys.card.findings.finding import Checked, Finding, share_text
from recsys.card.pace import Pace

_GRAVE_SHARE = 0.01
_LIMITS = {
    "per_minute": "moments in a minute",
    "per_hour": "moments in an hour",
    "per_day": "moments in a day",
    "hours_a_day": "hours of one day with activity",
    "items_a_day": "distinct items in a day",
}


def bots(checked: Checked) -> Iterator[Finding]:
    """Shoppers who act faster, longer or wider than people do."""
    haste, card = checked.card.haste, checked.card
    if haste is None or not haste.shoppers or is_dates_only(card):
        return
    limits = haste.limits
    yield Finding(
        name="bots",
        grave=haste.acts > _GRAVE_SHARE * card.shoppers.acts,
        says=f"{haste.shoppers:,} of {card.shoppers.count:,} shoppers do more than people can; they make "
        f"{share_text(haste.acts, card.shoppers.acts)} of all acts",
        evidence=tuple(_example(rank, pace) for rank, pace in enumerate(haste.worst, start=1)),
        threshold="; ".join(
            f"over {getattr(limits, name):,} {words}: {haste.beyond[name]:,}"
            for name, words in _LIMITS.items()
            if haste.beyond[name]
        ),
        remedy="name them with show_ids=true and leave them out (data=table: rules; or python -m training.erase): a "
        "model learns their paths as if thousands had walked them",
    )


def placeholders(checked: Checked) -> Iterator[Finding]:
    """Ids a tracker writes when it does not know."""
    for what, found, total in (
        ("shopper", checked.card.shoppers.placeholders, checked.card.shoppers.acts),
        ("item", checked.card.popularity.placeholders, checked.card.popularity.interactions),
    ):
        if found:
            yield Finding(
                name=f"placeholder {what} ids",
                grave=True,
                says=f"{share_text(sum(found.values()), total)} of the events carry {what} ids that stand for nothing",
                evidence=tuple(f"{text!r}: {count:,} events" for text, count in found.items()),
                threshold="a usual word for nothing, with over 20 times the events of the average id",
                remedy=f"leave these {what} ids empty in the source (data=table: missing), so that strangers are "
                "not taken for one",
            )


def _example(rank: int, pace: Pace) -> str:
    named = f"#{rank}" if pace.shopper is None else f"#{rank} {pace.shopper}"
    return (
        f"{named}: {pace.acts:,} acts; at most {pace.per_minute:,} moments a minute, {pace.per_hour:,} an hour, "
        f"{pace.per_day:,} a day; in one day active in {pace.hours_a_day} of 24 hours, with {pace.items_a_day:,} items"
    )
