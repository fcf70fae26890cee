"""How a benchmark speaks: a table for people, and one JSON object as the last line for machines."""

import json
import platform
from collections.abc import Mapping, Sequence

import torch
from rich.console import Console
from rich.table import Table


def machine() -> str:
    """What it ran on, in one line."""
    return f"{torch.get_num_threads()} threads, {platform.machine()}, torch {torch.__version__}"


def report(title: str, rows: Sequence[Mapping[str, object]], result: Mapping[str, object]) -> None:
    """Print `rows` as a table and `result` as the last line."""
    console = Console()
    table = Table(title=f"{title} ({machine()})", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in rows[0]:
        table.add_column(name, justify="left" if isinstance(rows[0][name], str) else "right")
    for row in rows:
        table.add_row(*(f"{v:,.2f}" if isinstance(v, float) else str(v) for v in row.values()))
    console.print(table)
    print(json.dumps(result))
