"""The data card on a terminal of 80 columns."""

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from recsys.card.card import DataCard
from recsys.card.findings.finding import Finding
from recsys.log.summary import LogSummary
from training.card import sections
from training.card.layout import WIDTH, heading


def print_card(card: DataCard, summary: LogSummary, findings: Sequence[Finding], console: Console) -> None:
    """Print all of it; nothing is wider than 80 columns."""
    parts = (
        sections.title(card, summary),
        sections.rows(summary),
        sections.size(card),
        sections.traffic(card),
        sections.sessions(card),
        sections.popularity(card),
        sections.cold(card),
        sections.filled(card),
        _warnings(findings),
    )
    for part in parts:
        for renderable in part:
            console.print(renderable, width=min(WIDTH, console.width), highlight=False)


def _warnings(findings: Sequence[Finding]) -> Iterator[RenderableType]:
    yield heading("warnings")
    if not findings:
        yield Text("none", "green")
    for finding in findings:
        style, sign = ("bold red", "!!") if finding.grave else ("bold yellow", "! ")
        yield Text.assemble((f"{sign} {finding.name}: ", style), finding.says)
        for line in finding.evidence:
            yield Padding(Text(line), (0, 0, 0, 5))
        yield Padding(Text(f"threshold: {finding.threshold}", "dim"), (0, 0, 0, 3))
        yield Padding(Text(f"→ {finding.remedy}"), (0, 0, 0, 3))
