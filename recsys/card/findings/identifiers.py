"""Ids that are used for more than one thing."""

from collections.abc import Iterator

from recsys.card.findings.finding import Checked, Finding, share_text

_LEAST = 3


def shared_visitors(checked: Checked) -> Iterator[Finding]:
    """An anonymous id under which many users sign in."""
    identity, most = checked.card.identity, checked.thresholds.users_of_a_visitor
    if identity.most_users > most:
        yield Finding(
            name="anonymous id of many users",
            grave=True,
            says=f"one anonymous id belongs to {identity.most_users:,} users; "
            f"{share_text(identity.shared_anonymous, identity.linked_anonymous)} of the linked ones have more than one",
            threshold=f"{most} users of one anonymous id",
            remedy="it is a kiosk, a proxy or a default and joins strangers: leave such anonymous ids empty, or write "
            "unlink events at sign-out",
        )


def restless_users(checked: Checked) -> Iterator[Finding]:
    """A user with a new anonymous id all the time."""
    identity, most = checked.card.identity, checked.thresholds.visitors_of_a_user
    if identity.most_anonymous > most:
        yield Finding(
            name="user with many anonymous ids",
            grave=False,
            says=f"one user has {identity.most_anonymous:,} anonymous ids; {identity.linked_users:,} users have "
            f"{identity.links:,} in all",
            threshold=f"{most} anonymous ids of one user",
            remedy="look whether the anonymous id is made anew at every visit (a blocked cookie, a robot that signs "
            "in): visitors then have no history before they sign in",
        )


def shared_sessions(checked: Checked) -> Iterator[Finding]:
    """Session ids that several shoppers use; signing in within a session is no such case."""
    identity, least = checked.card.identity, checked.thresholds.shared_sessions
    looked_at = identity.session_ids * identity.sampled
    if identity.shared_sessions >= _LEAST and identity.shared_sessions > least * looked_at:
        yield Finding(
            name="session ids of several shoppers",
            grave=False,
            says=f"{share_text(identity.shared_sessions, looked_at)} of {identity.session_ids:,} session ids are used "
            "by two users or two anonymous ids",
            threshold=f"{least:.0%} of the session ids",
            remedy="do not tell sessions by this id; a gap of inactivity tells them here",
        )


def long_sessions(checked: Checked) -> Iterator[Finding]:
    """Session ids that live for days."""
    identity, least = checked.card.identity, checked.thresholds.long_sessions
    looked_at = identity.session_ids * identity.sampled
    if identity.long_sessions >= _LEAST and identity.long_sessions > least * looked_at:
        yield Finding(
            name="session ids in use for days",
            grave=False,
            says=f"{share_text(identity.long_sessions, looked_at)} of {identity.session_ids:,} session ids are in use "
            "for over a day",
            threshold=f"{least:.0%} of the session ids",
            remedy="the id is rather that of a device or a cart, or is dealt out again; a gap of inactivity tells "
            "sessions here",
        )


def renamed_items(checked: Checked) -> Iterator[Finding]:
    """Item ids that are given to another thing."""
    described, least = checked.card.catalogue, checked.thresholds.renamed_items
    if described.renamed >= _LEAST and described.renamed > least * described.items:
        yield Finding(
            name="item ids given anew",
            grave=True,
            says=f"{described.renamed:,} of {described.items:,} items change to a title without a common word",
            threshold=f"{least:.0%} of the items",
            remedy="what was learnt of the old thing is applied to the new one: make ids unique over time in the "
            "source, for instance by appending the date of the change",
        )


def wild_prices(checked: Checked) -> Iterator[Finding]:
    """Items whose prices scatter as if they were several things."""
    prices, least = checked.card.prices, checked.thresholds.wild_prices
    if prices.wild >= _LEAST and prices.wild > least * prices.steady:
        yield Finding(
            name="items with wild prices",
            grave=False,
            says=f"{prices.wild:,} of {prices.steady:,} items with ten prices or more scatter by over a factor of two",
            threshold=f"{least:.0%} of these items with a standard deviation of the log price over log 2",
            remedy="look for ids that are used anew, for variants under one id, for several currencies, and for totals "
            "in place of unit prices",
        )


def duplicates(checked: Checked) -> Iterator[Finding]:
    """Rows whose event id came before, and rows that say the same again under another."""
    summary, card, least = checked.summary, checked.card, checked.thresholds.duplicates
    records = summary.rows_in + summary.unfolded
    if summary.duplicates > least * records:
        yield Finding(
            name="duplicated event ids",
            grave=False,
            says=f"{summary.duplicates:,} rows ({share_text(summary.duplicates, records)}) repeat an event id "
            "and were left out",
            threshold=f"{least:.0%} of the rows",
            remedy="if they are not the same events sent twice, the id does not tell events apart: name more "
            "columns in it (data=table: columns.event_id)",
        )
    repeats = card.traffic.repeats if card.traffic else 0
    if repeats > least * card.popularity.interactions:
        yield Finding(
            name="acts said twice",
            grave=False,
            says=f"{repeats:,} acts ({share_text(repeats, card.popularity.interactions)}) repeat type, item and "
            "instant of another act of the same shopper",
            threshold=f"{least:.0%} of the interactions",
            remedy="look whether the tracker sends twice; an event id made of these columns (data=table: "
            "columns.event_id) leaves the second out",
        )
