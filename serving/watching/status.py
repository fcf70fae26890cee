"""The service on one page for people: what runs, how fast, how fresh, and what went wrong lately."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from serving.watching.meter import Stage
from serving.watching.replicas import Report

_PERCENTILES = (50, 95, 99)
_NONE = "–"


@dataclass(frozen=True, slots=True)
class Section:
    """A table with a title; `rows` are as long as `head`."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Figures:
    """The values of one replica's metrics by name and labels."""

    def __init__(self, report: Report) -> None:
        self._samples = [sample for *_, samples in report["metrics"] for sample in samples]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all series of that name with those labels."""
        return float(
            sum(
                value
                for one, known, value in self._samples
                if one == name and all(known.get(label) == wanted for label, wanted in labels.items())
            )
        )

    def by(self, name: str, label: str) -> dict[str, float]:
        """The values by one label."""
        return {known[label]: value for one, known, value in self._samples if one == name}


def percentiles(values: Sequence[float]) -> list[float] | None:
    """The 50th, 95th and 99th of a sample; None for an empty one."""
    return [float(value) for value in np.percentile(values, _PERCENTILES)] if values else None


def sections(about: Mapping[str, object], reports: Sequence[Report]) -> list[Section]:
    """Everything there is to say, given what holds for all replicas and what each one tells."""
    told = [(str(report["replica"]), report, Figures(report)) for report in reports]
    troubles = [(number, line) for number, report, _ in told for line in report["troubles"]]
    return [
        Section("Service", ("what", "now"), tuple((name, _said(value)) for name, value in about.items())),
        _table("Replicas", _RELEASE, told),
        _table("Answers since the replica started", _ANSWERS, told),
        _table("How long the latest 1,000 answers took: p50 / p95 / p99 in ms", _LATENCY, told),
        _table("Events and records since the replica started", _EVENTS, told),
        Section("Recent troubles", ("replica", "what"), tuple(troubles[-20:])),
    ]


def plain(found: Iterable[Section]) -> str:
    """For a terminal."""
    lines: list[str] = []
    for section in found:
        rows = [section.head, *section.rows]
        widths = [max(len(row[place]) for row in rows) for place in range(len(section.head))]
        lines += [section.title, *("  " + _padded(row, widths) for row in rows[:1] if section.rows)]
        lines += ["  " + _padded(row, widths) for row in section.rows] or ["  none"]
        lines.append("")
    return "\n".join(lines)


def html(found: Iterable[Section]) -> str:
    """For a browser: one file, nothing fetched, everything that was said escaped; it looks again every ten seconds."""
    return _PAGE.format(body="".join(_html_of(section) for section in found))


def _html_of(section: Section) -> str:
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in section.rows)
    head = "".join(f"<th>{escape(name)}</th>" for name in section.head)
    table = f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>' if section.rows else "<p>none</p>"
    return f"<h2>{escape(section.title)}</h2>{table}"


def _table(title: str, columns: Mapping[str, Any], told: Sequence[tuple[str, Report, Figures]]) -> Section:
    rows = tuple((number, *(cell(report, known) for cell in columns.values())) for number, report, known in told)
    return Section(title, ("replica", *columns), rows)


def _padded(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _said(value: object) -> str:
    return _NONE if value is None else str(value)


def _milliseconds(values_s: Sequence[float] | None) -> str:
    return " / ".join(f"{value * 1_000:.1f}" for value in values_s) if values_s else _NONE


def _ages(values_s: Sequence[float] | None) -> str:
    return f"{values_s[0]:,.1f} s" if values_s else _NONE


def _drift(value: float) -> str:
    return _NONE if math.isnan(value) else f"{value:.3f}"


def _rungs(figures: Figures) -> str:
    counts = figures.by("attune_answers_total", "rung")
    return ", ".join(f"{rung} {count:,.0f}" for rung, count in counts.items())


def _column(name: str, **labels: str) -> Any:
    return lambda _, figures: f"{figures.total(name, **labels):,.0f}"


def _stage(stage: Stage) -> Any:
    return lambda report, _: _milliseconds(report["lately"][stage.value])


_RELEASE: Mapping[str, Any] = {
    "id": lambda report, _: report["about"]["name"],
    "release": lambda report, _: report["about"]["model_version"],
    "before it": lambda report, _: _said(report["about"]["previous_version"]),
    "refused": lambda report, _: _said(report["about"]["release_trouble"]),
    "items": _column("attune_release_items"),
    "items revision": _column("attune_items_revision"),
    "answers since": lambda report, _: report["about"]["since"],
    "MiB": lambda _, figures: f"{figures.total('process_resident_memory_bytes') / 2**20:,.0f}",
    "in flight": _column("attune_requests_in_flight"),
    "shed": _column("attune_requests_shed_total"),
}
_ANSWERS: Mapping[str, Any] = {
    "rungs": lambda _, figures: _rungs(figures),
    "newest event (median)": lambda report, _: _ages(report["newest"]),
    "failed rungs": _column("attune_rung_failures_total"),
    "items in the latest 1,000 slates": _column("attune_slate_items_distinct"),
    "score drift": lambda _, figures: _drift(figures.total("attune_score_drift")),
}
_LATENCY: Mapping[str, Any] = {stage.value: _stage(stage) for stage in Stage}
_EVENTS: Mapping[str, Any] = {
    **{status: _column("attune_events_total", status=status) for status in ("accepted", "duplicate", "rejected")},
    "store errors": _column("attune_store_errors_total"),
    "exposures written": _column("attune_exposures_total", outcome="written"),
    "exposures lost": _column("attune_exposures_total", outcome="lost"),
}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="10"><title>Attune</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root {{ color-scheme: light dark }}
body {{ font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 76rem; padding: 0 1rem }}
h1 {{ font-size: 1.3rem }} h2 {{ font-size: 1rem; margin: 1.4rem 0 .4rem }}
.wide {{ overflow-x: auto }} table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #8884; vertical-align: top }}
th {{ font-weight: 600; opacity: .7 }}
td, th {{ white-space: nowrap }} td:last-child {{ white-space: normal }} p {{ opacity: .7; margin: 0 }}
</style></head><body><h1>Attune</h1>{body}</body></html>
"""
