"""Adds up what became of every row, and refuses what does not add up."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from recsys.clock import to_datetime
from recsys.errors import DataError
from recsys.event import SCHEMA_VERSION
from recsys.log.arrivals import Arrivals
from recsys.log.manifest import DataFile, PartRecord
from recsys.log.plan import Plan
from recsys.log.summary import LogSummary


def part_records(plan: Plan, arrivals: Arrivals) -> tuple[PartRecord, ...]:
    """One record for each part of the source, in its order."""
    known = {part.name: part for part in plan.base.parts} if plan.base else {}
    records = []
    for rank, part in enumerate(plan.parts):
        if part.name in known:
            old, displaced = known[part.name], int(arrivals.displaced[rank])
            records.append(replace(old, events=old.events - displaced, duplicates=old.duplicates + displaced))
            continue
        count, duplicates = arrivals.counts[rank], int(arrivals.duplicates[rank])
        records.append(
            PartRecord(
                number=plan.numbers[rank],
                name=part.name,
                digest=part.digest,
                rows_in=count.rows_in,
                unfolded=count.unfolded,
                events=count.events - duplicates,
                duplicates=duplicates,
                quarantined=count.quarantined.total(),
                excluded=count.excluded.total(),
                erased=count.erased,
            )
        )
    return tuple(records)


def reasons(plan: Plan, arrivals: Arrivals) -> tuple[dict[str, int], dict[str, int]]:
    """How many rows were quarantined and excluded for each reason."""
    quarantined: Counter[str] = Counter(plan.base.summary.quarantine_reasons if plan.base else {})
    excluded: Counter[str] = Counter(plan.base.summary.excluded_reasons if plan.base else {})
    for _, count in sorted(arrivals.counts.items()):
        quarantined.update(count.quarantined)
        excluded.update(count.excluded)
    return dict(quarantined), dict(excluded)


def added_up(
    summary: LogSummary,
    parts: Sequence[PartRecord],
    files: Iterable[DataFile],
    *,
    names: tuple[int, int],
    reasons: tuple[Mapping[str, int], Mapping[str, int]],
) -> LogSummary:
    """`summary` with the counts of these parts and files.

    Args:
        summary: what is kept of it: source, licence, fingerprint, version, mode.
        parts, files: all of the log.
        names: how many different shoppers and items there are.
        reasons: how many rows were quarantined and excluded, by reason.

    Raises:
        DataError: rows are unaccounted for.
    """
    files = list(files)
    types: Counter[str] = Counter()
    for file in files:
        types.update(file.types)
    total = replace(
        summary,
        rows_in=sum(part.rows_in for part in parts),
        unfolded=sum(part.unfolded for part in parts),
        events=sum(file.rows for file in files),
        duplicates=sum(part.duplicates for part in parts),
        quarantined=sum(part.quarantined for part in parts),
        excluded=sum(part.excluded for part in parts),
        erased=sum(part.erased for part in parts),
        shoppers=names[0],
        items=names[1],
        moments=sum(file.moments for file in files),
        first=to_datetime(min(file.first for file in files)).isoformat() if files else "",
        last=to_datetime(max(file.last for file in files)).isoformat() if files else "",
        quarantine_reasons=dict(reasons[0]),
        excluded_reasons=dict(reasons[1]),
        types=dict(sorted(types.items())),
    )
    check(total)
    return total


def check(summary: LogSummary) -> None:
    """Raises DataError unless every row is accounted for."""
    came = summary.rows_in + summary.unfolded
    went = summary.events + summary.duplicates + summary.quarantined + summary.excluded + summary.erased
    if came != went:
        raise DataError(
            f"the log of {summary.source!r} took in {came} rows and accounts for {went}: {summary.events} events + "
            f"{summary.duplicates} duplicates + {summary.quarantined} quarantined + {summary.excluded} excluded + "
            f"{summary.erased} erased; the files in it were changed by somebody else, or this is a defect: remove the "
            "folder and ingest again"
        )


def blank_summary(*, source: str, licence: str, fingerprint: str, order_only: bool) -> LogSummary:
    """A summary in which nothing is counted yet."""
    return LogSummary(
        source=source,
        licence=licence,
        fingerprint=fingerprint,
        schema_version=SCHEMA_VERSION,
        order_only=order_only,
        rows_in=0,
        events=0,
        duplicates=0,
        quarantined=0,
        excluded=0,
        shoppers=0,
        items=0,
        moments=0,
        first="",
        last="",
        quarantine_reasons={},
        excluded_reasons={},
        types={},
    )
