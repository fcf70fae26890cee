"""Building blocks of the terminal card: labelled lines and distributions, within 80 columns."""

from collections.abc import Callable, Sequence

from rich.console import RenderableType
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from recsys.card.sketch import Spread
from training.card.bars import sparkline

WIDTH = 80
LABEL = 12
INK = "cyan"


class Lines:
    """Lines with a label on the left."""

    def __init__(self) -> None:
        self.table = Table.grid(padding=(0, 1, 0, 0))
        self.table.add_column(style="dim", width=LABEL, no_wrap=True)
        self.table.add_column(width=WIDTH - LABEL - 2, overflow="fold")

    def add(self, label: str, text: str | Text) -> None:
        """A line; markup in plain text is not read."""
        self.table.add_row(label, Text(text) if isinstance(text, str) else text)


class Distributions:
    """One line for each distribution: quantiles, and a small histogram."""

    def __init__(self) -> None:
        self.table = Table.grid(padding=(0, 1, 0, 0))
        self.table.add_column(style="dim", width=21, no_wrap=True)
        for _ in range(4):
            self.table.add_column(justify="right", width=9, no_wrap=True)
        self.table.add_column(width=14, no_wrap=True, style=INK)
        self.table.add_row("", *(Text(heading, "dim") for heading in ("median", "90%", "99%", "most")), "")

    def add(self, label: str, spread: Spread, say: Callable[[float], str]) -> None:
        """A line; nothing for a distribution without values."""
        if spread.count:
            figures = (spread.median, spread.p90, spread.p99, spread.most)
            self.table.add_row(escape(label), *(say(value) for value in figures), _shape(spread.bars.count))


def _shape(count: Sequence[int]) -> str:
    """The histogram from its first to its last filled bar."""
    filled = [place for place, value in enumerate(count) if value]
    return sparkline(count[filled[0] : filled[-1] + 1], width=14)


def heading(text: str) -> RenderableType:
    """Opens a section."""
    return Rule(Text(text.upper(), "bold"), align="left", style="dim", characters="─")
