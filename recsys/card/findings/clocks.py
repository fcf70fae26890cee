"""Times that cannot be right: another zone, dates without times, the future, the dawn of computing, batch stamps."""

from collections.abc import Iterator, Sequence

import numpy as np

from recsys.card.card import DataCard
from recsys.card.findings.finding import Checked, Finding, share_text
from recsys.clock import DAY, HOUR, to_datetime
from recsys.feature.temporal import HOURS, local_time

_NIGHT_HOURS = 4
_NIGHT = 3.5
_EARLY, _LATE = 0.5, 7.0
_ENOUGH_HOURS = 1_000
_ENOUGH_DATES = 3
_ENOUGH_MOMENTS = 50
_YEAR_2000 = 10_957
_ALMOST = 0.95


def is_dates_only(card: DataCard) -> bool:
    """Whether the stamps are dates: nearly all moments lie at midnight."""
    traffic = card.traffic
    return (
        traffic is not None and traffic.moments >= _ENOUGH_MOMENTS and traffic.on_midnight > _ALMOST * traffic.moments
    )


def dates_only(checked: Checked) -> Iterator[Finding]:
    """Dates stored as instants."""
    traffic = checked.card.traffic
    if traffic is not None and is_dates_only(checked.card):
        yield Finding(
            name="dates without times",
            grave=True,
            says=f"{share_text(traffic.on_midnight, traffic.moments)} of the moments lie at midnight: the stamps are "
            "dates, and all that a shopper does on one day is one moment",
            threshold=f"{_ALMOST:.0%} at midnight, UTC or local",
            remedy="ingest a column with the time of day; if there is none, sessions, hours and gaps below a day mean "
            "nothing here",
        )


def quiet_centre(hours: Sequence[int], *, night_share: float) -> float | None:
    """Middle of the quietest four hours of the day, as an hour 0..24; None where no part of the day is quiet.

    Several stretches as quiet as each other (a shop is closed longer than four hours) are taken together.
    """
    activity = np.asarray(hours, float)
    if activity.sum() < _ENOUGH_HOURS:
        return None
    window = sum(np.roll(activity, -step) for step in range(_NIGHT_HOURS)) / activity.sum()
    if window.min() > night_share:
        return None
    quiet = np.flatnonzero(window <= window.min() + 0.005)
    angle = 2 * np.pi * (quiet + _NIGHT_HOURS / 2) / HOURS
    return float(np.angle(np.exp(1j * angle).mean()) / (2 * np.pi) * HOURS % HOURS)


def time_zone(checked: Checked) -> Iterator[Finding]:
    """Shoppers who sleep by day: of all, and of each channel, whose clocks may differ."""
    card, share = checked.card, checked.thresholds.night_share
    if card.traffic is None or len(card.traffic.days) < _ENOUGH_DATES or is_dates_only(card):
        return
    centre = quiet_centre(card.traffic.hours, night_share=share)
    if centre is not None and _is_day(centre):
        yield _zone_finding(card, centre, "shoppers are", "wrong time zone")
        return
    if len(card.traffic.channels) > 1:
        for channel, hours in card.traffic.channels.items():
            centre = quiet_centre(hours, night_share=share)
            if centre is not None and _is_day(centre):
                yield _zone_finding(card, centre, f"the channel {channel!r} is", f"clock of channel {channel}")


def _zone_finding(card: DataCard, centre: float, who: str, name: str) -> Finding:
    assert card.traffic is not None
    middle = (card.traffic.first + card.traffic.last) // 2
    now = (int(local_time(np.array([middle]), card.view.time_zone)[0]) - middle) / HOUR
    shift = (_NIGHT - centre + HOURS / 2) % HOURS - HOURS / 2
    return Finding(
        name=name,
        grave=True,
        says=f"{who} quietest around {_clock(centre)} in {card.view.time_zone}: the stamps seem to be "
        f"{abs(round(shift))} hours {'early' if shift > 0 else 'late'}",
        evidence=(f"an offset of about {_offset(now + shift)} would put the quiet hours at night; now {_offset(now)}",),
        threshold=f"the middle of the quietest four hours is expected between {_clock(_EARLY)} and {_clock(_LATE)}",
        remedy="correct data.time_zone (where shoppers are), or the zone in which the stamps were written "
        "(data=table: stamp_zone), and ingest again: hours and weekdays are features",
    )


def _is_day(centre: float) -> bool:
    return not _EARLY <= centre <= _LATE


def future(checked: Checked) -> Iterator[Finding]:
    """Events that have not happened yet."""
    traffic = checked.card.traffic
    if traffic is None or traffic.last <= checked.now:
        return
    today = checked.now // DAY
    later = sum(sum(types.values()) for day, types in traffic.days.items() if day > today)
    yield Finding(
        name="events in the future",
        grave=True,
        says=f"the last event is stamped {_date(traffic.last)}, after now ({_date(checked.now)}); "
        f"{later:,} events lie on later dates than today",
        threshold="nothing can happen later than now",
        remedy="look for clocks that are wrong, a wrong unit (data=table: time_format) or planned events, and "
        "quarantine them in the source: every cut in time counts on the clock",
    )


def ancient(checked: Checked) -> Iterator[Finding]:
    """Stamps from before there were web shops: a zero, or seconds read as milliseconds."""
    traffic = checked.card.traffic
    if traffic is None:
        return
    early = sum(sum(types.values()) for day, types in traffic.days.items() if day < _YEAR_2000)
    if early:
        yield Finding(
            name="events before 2000",
            grave=True,
            says=f"{early:,} events are stamped before the year 2000, the first {_date(traffic.first)}",
            threshold="2000-01-01",
            remedy="look for zeros and for a wrong unit of the stamps (data=table: time_format: epoch_s, epoch_ms or "
            "epoch_us)",
        )


def crowded_instants(checked: Checked) -> Iterator[Finding]:
    """Instants at which far too many shoppers act at once: an import, or a default."""
    traffic, least = checked.card.traffic, checked.thresholds.crowd
    if traffic is None or not traffic.instants or is_dates_only(checked.card):
        return
    usual = traffic.moments / traffic.instants
    found = [
        (instant, count)
        for instant, count in traffic.crowded
        if count >= max(least, 100 * usual, traffic.moments / 1_000)
    ]
    if found:
        yield Finding(
            name="crowded instants",
            grave=sum(count for _, count in found) > 0.01 * traffic.moments,
            says=f"{sum(count for _, count in found):,} moments of different shoppers share {len(found)} instants",
            evidence=tuple(f"{_date(instant)}: {count:,} shoppers at once" for instant, count in found),
            threshold=f"{least} shoppers at one instant, over 100 times the usual {usual:.1f} and 0.1% of all",
            remedy="these are stamps of an import, a default or a queue that was flushed: ingest the time at which "
            "things happened, not at which they were written",
        )


def _clock(hour: float) -> str:
    return f"{int(hour) % HOURS:02d}:{int(hour % 1 * 60):02d}"


def _offset(hours: float) -> str:
    whole = round((hours + 12) % 24 - 12) if abs(hours) > 14 else round(hours)
    return f"UTC{whole:+03d}:00"


def _date(instant: int) -> str:
    return to_datetime(instant).strftime("%Y-%m-%d %H:%M:%S UTC")
