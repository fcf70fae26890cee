"""What the terminal says about a log."""

from pathlib import Path

from rich.console import Console

from recsys.log.summary import LogSummary


def print_log(summary: LogSummary, folder: Path, console: Console) -> None:
    """What the log holds, and that every raw row is accounted for."""
    console.print(f"[bold]{summary.source}[/] ({summary.licence})")
    console.print(
        f"{summary.rows_in:,} rows in = {summary.events:,} events + {summary.duplicates:,} duplicates + "
        f"{summary.quarantined:,} quarantined + {summary.excluded:,} excluded"
    )
    for heading, counts in (
        ("events", summary.types),
        ("quarantined", summary.quarantine_reasons),
        ("excluded", summary.excluded_reasons),
    ):
        if counts:
            console.print(f"  {heading}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    console.print(
        f"{summary.shoppers:,} shoppers, {summary.items:,} items, {summary.moments:,} moments (baskets) "
        f"from {summary.first} to {summary.last}"
    )
    console.print(f"log: {folder}", highlight=False)
