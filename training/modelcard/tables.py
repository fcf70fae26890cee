"""Tables of Markdown, and text from outside that shall not become Markdown."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from training.modelcard.card import IndexFacts, ModelCard, Row
from training.modelcard.slices import CUTS, slices_of
from training.report import INDEX_HEADINGS, index_cells

_IN_WORDS = ("popularity", "history", "kind", "warmth", "event")
"""Cuts with a table on the page; hours are better seen than read."""


def plain(text: str) -> str:
    """One line that is neither markup nor the end of a cell."""
    for sign in "\\`*[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a table whose cells are Markdown already; all columns but the first hold numbers."""
    yield "|" + "|".join(header) + "|"
    yield "|---|" + "---:|" * (len(header) - 1)
    yield from ("|" + "|".join(row) + "|" for row in rows)
    yield ""


def pairs(found: Mapping[str, Any]) -> Iterator[str]:
    """Names and what they stand for."""
    yield "| | |"
    yield "|---|---|"
    yield from (f"|{plain(name)}|{plain(str(value))}|" for name, value in found.items())
    yield ""


def scores(
    rows: Mapping[str, Row], columns: Mapping[str, str], *, intervals: bool = False, bold: bool = True
) -> Iterator[str]:
    """Figures `columns` (key: heading) of the rows, the highest of each in `bold`; those that no row holds are left
    out."""
    values = {key: [float(row[key]) for row in rows.values() if row.get(key) is not None] for key in columns}
    held = [key for key in columns if values[key]]
    if not held:
        return
    best = {key: max(values[key]) for key in held if bold}
    cells = (
        [plain(name), *(_cell(row, key, best=best.get(key), interval=intervals) for key in held)]
        for name, row in rows.items()
    )
    yield from grid([" ", *(columns[key] for key in held)], cells)


def _cell(row: Row, key: str, *, best: float | None, interval: bool) -> str:
    if row.get(key) is None:
        return ""
    text = f"**{row[key]:.4f}**" if row[key] == best != 0 else f"{row[key]:.4f}"
    ends = row.get(f"{key}_interval") if interval else None
    return f"{text} ({ends[0]:.4f}–{ends[1]:.4f})" if ends else text


def cuts(card: ModelCard) -> Iterator[str]:
    """NDCG@10 of the rows that matter on the parts of the questions, a table for each cut of more than one part."""
    rows = card.shown_rows()
    found = slices_of(card.metrics)
    for cut in _IN_WORDS:
        parts = [part for part in found.get(cut, ()) if part.row in rows]
        values = {(part.row, part.label): f"{part.value:.4f}" for part in parts}
        counts = {part.label: part.count for part in parts}
        if len(counts) < 2:
            continue
        yield f"NDCG@10 {CUTS[cut]}:"
        yield ""
        yield from grid(
            [cut, "questions", *map(plain, rows)],
            ([plain(label), f"{n:,}", *(values.get((row, label), "") for row in rows)] for label, n in counts.items()),
        )


def heads(figures: Mapping[str, Mapping[str, float | None]]) -> Iterator[str]:
    """Figures of the intent heads; what could not be measured is blank."""
    names = list(dict.fromkeys(name for of in figures.values() for name in of))
    cells = (
        [head.replace("_", " "), *("" if of.get(name) is None else f"{of[name]:.4g}" for name in names)]
        for head, of in figures.items()
    )
    yield from grid(["head", *(name.replace("_", " ") for name in names)], cells)


def searched(index: IndexFacts) -> Iterator[str]:
    """What the index is, and what was measured of each kind that was tried, the chosen one in bold."""
    size = f"{index.size_bytes:,} bytes beside the vectors, {index.size_bytes / max(1, index.items):,.0f} for each item"
    yield from pairs({"index": index.kind, "items": f"{index.items:,}", "memory": size})
    if not index.measured:
        return
    yield "Of these, measured on the real vectors with one query at a time on one thread (MiB: the vectors included):"
    yield ""
    rows = (map(plain, index_cells(row)) for row in index.measured)
    cells = (
        [f"**{cell}**" if row["chosen"] else cell for cell in told]
        for row, told in zip(index.measured, rows, strict=True)
    )
    yield from grid(INDEX_HEADINGS, cells)
