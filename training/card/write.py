"""A data card as files: numbers for machines, pictures, and one page with everything for people."""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from io import StringIO
from pathlib import Path

from rich.console import Console

from recsys.card.card import DataCard
from recsys.card.findings.finding import Finding
from recsys.errors import ConfigError
from recsys.log.summary import LogSummary
from training.card.layout import WIDTH
from training.card.plots.gallery import PLOTS, pictures
from training.card.terminal import print_card

_DPI = 110
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font-family: sans-serif; color: #1f2933 }}
pre {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 13px; line-height: 1.25 }}
img {{ max-width: 100%; margin: 0.8rem 0 }}
</style>
<h1>{title}</h1>
{card}
{pictures}
</html>
"""


def write_card(card: DataCard, summary: LogSummary, findings: Sequence[Finding], folder: Path) -> None:
    """Write `card.json`, `card.html` and one PNG for each picture into `folder`; what lay there goes.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in (folder / f"{name}.png" for name in PLOTS):
            old.unlink(missing_ok=True)
        for name, picture in pictures(card):
            picture.savefig(folder / f"{name}.png", dpi=_DPI)
        numbers = {
            "log": asdict(summary),
            "card": card.to_json(),
            "warnings": [asdict(finding) for finding in findings],
        }
        (folder / "card.json").write_text(json.dumps(numbers, indent=2, ensure_ascii=False) + "\n")
        (folder / "card.html").write_text(_page(card, summary, findings, folder))
    except OSError as error:
        raise ConfigError(
            f"the data card cannot be written to {folder} ({error.strerror or error}); set outputs=... to a folder "
            "that can be written and has room"
        ) from error


def _page(card: DataCard, summary: LogSummary, findings: Sequence[Finding], folder: Path) -> str:
    """One page that needs no other file: what the terminal shows, and the pictures."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    print_card(card, summary, findings, console)
    shown = [name for name in PLOTS if (folder / f"{name}.png").exists()]
    return _PAGE.format(
        title=f"Data card: {escape(summary.source)}",
        card=console.export_html(inline_styles=True, code_format="<pre><code>{code}</code></pre>"),
        pictures="\n".join(_image(folder / f"{name}.png") for name in shown),
    )


def _image(path: Path) -> str:
    encoded = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{path.stem.replace("_", " ")}" src="data:image/png;base64,{encoded}">'


def key_figures(card: DataCard, summary: LogSummary, findings: Sequence[Finding]) -> dict[str, float]:
    """The numbers by which logs are compared."""
    figures: dict[str, float] = {
        "rows_in": summary.rows_in,
        "events": summary.events,
        "duplicates": summary.duplicates,
        "quarantined": summary.quarantined,
        "excluded": summary.excluded,
        "shoppers": card.shoppers.count,
        "known_shoppers": card.shoppers.known,
        "shoppers_with_two_moments": card.shoppers.two_moments,
        "items": card.popularity.items,
        "density": card.density,
        "gini": card.popularity.gini,
        "top_1_percent_share": card.popularity.top["1%"],
        "repeat_share": card.pairs.repeat_share,
        "warnings": len(findings),
        "grave_warnings": sum(finding.grave for finding in findings),
    }
    if card.rhythm is not None:
        figures["sessions"] = card.rhythm.sessions
        figures["session_acts_median"] = card.rhythm.events.median
        figures["session_minutes_median"] = card.rhythm.minutes.median
    if card.cold_items is not None and card.cold_shoppers is not None:
        figures["cold_items_share"] = card.cold_items.share
        figures["cold_items_interactions_share"] = card.cold_items.event_share
        figures["cold_shoppers_share"] = card.cold_shoppers.share
        figures["cold_shoppers_acts_share"] = card.cold_shoppers.event_share
    return figures
