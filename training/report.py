"""What the terminal says about a log, and about the index that was chosen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from recsys.log.summary import LogSummary
from recsys.protocols import Index

LITERATURE_MODE = "literature mode: order only, no times; time features are off"
INDEX_HEADINGS = ("index", "recall@100", "p50 ms", "p99 ms", "MiB", "built in s")


def print_log(summary: LogSummary, folder: Path, console: Console) -> None:
    """What the log holds, and that every raw row is accounted for."""
    console.print(f"[bold]{summary.source}[/] ({summary.licence})")
    if summary.order_only:
        console.print(LITERATURE_MODE, style="yellow", highlight=False)
    console.print(accounted(summary))
    for heading, counts in (
        ("events", summary.types),
        ("quarantined", summary.quarantine_reasons),
        ("excluded", summary.excluded_reasons),
    ):
        if counts:
            console.print(f"  {heading}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    console.print(
        f"{summary.shoppers:,} shoppers, {summary.items:,} items, {summary.moments:,} moments (baskets)"
        + (f" from {summary.first} to {summary.last}" if summary.events and not summary.order_only else "")
    )
    console.print(f"log: {folder}", highlight=False, soft_wrap=True)


def accounted(summary: LogSummary) -> str:
    """Where every raw row went, in one line; what is rare is named only where it happened."""
    came = f"{summary.rows_in:,} rows in" + (f" + {summary.unfolded:,} unfolded" if summary.unfolded else "")
    went = (
        f"{summary.events:,} events + {summary.duplicates:,} duplicates + {summary.quarantined:,} quarantined + "
        f"{summary.excluded:,} excluded"
    )
    return f"{came} = {went}" + (f" + {summary.erased:,} erased" if summary.erased else "")


def print_index(index: Index, console: Console) -> None:
    """What was measured of the kinds of index, where one was chosen by that."""
    measured = index.settings().get("measured")
    if not measured:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for place, heading in enumerate(INDEX_HEADINGS):
        table.add_column(heading, justify="right" if place else "left")
    for row in measured:
        table.add_row(*index_cells(row), style="bold" if row["chosen"] else None)
    console.print(table)


def index_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What was measured of one kind of index, below `INDEX_HEADINGS`."""
    took = f"{row['p50_ms']:.3f}", f"{row['p99_ms']:.3f}"
    return row["index"], f"{row['recall']:.4f}", *took, f"{row['mib']:,.0f}", f"{row['build_s']:.1f}"
