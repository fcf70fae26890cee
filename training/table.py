"""The evaluation table on the terminal, within 80 columns."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from recsys.metric.evaluation import Score
from recsys.metric.interval import Paired
from recsys.metric.slices import nested

ENCODER_ROW = "encoder alone"
ANSWER_ROW = "the answer"
OWN_ROWS = (ENCODER_ROW, ANSWER_ROW)
"""The rows that are ours."""
AGAINST = "2nd: "
"""How the rows of a second bundle begin; all other rows are baselines."""

_FURTHER = {
    "HR@10": "hr10",
    "M@10": "mrr10",
    "R@20": "recall20",
    "N@20": "ndcg20",
    "HR@20": "hr20",
    "M@20": "mrr20",
    "cold R": "cold_recall10",
    "cold N": "cold_ndcg10",
}
_BEYOND = {
    "debi.": "debiased_hr10",
    "cover": "coverage10",
    "novel": "novelty10",
    "diver": "diversity10",
    "calib": "miscalibration10",
}
_MEASURES = {"ndcg10": "NDCG@10", "recall10": "recall@10"}
_LOWER_IS_BETTER = {"miscalibration10"}
_FURTHER_LEGEND = "R recall, N NDCG, HR hit rate, M MRR; cold: of the items that the encoder never learnt of, at 10"
_BEYOND_LEGEND = (
    "of the first ten: debi. hit rate of targets weighed by rarity, cover share of the "
    "catalogue shown, novel bits, diver distance of categories, calib divergence from the shopper's past (0 is best)"
)


def print_table(rows: Mapping[str, Score], console: Console, *, title: str) -> None:
    """One line per row, within 80 columns; the best of each column in bold."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), header_style="dim")
    for heading in ("", "recall@10", "NDCG@10", "95 %", "repeat r/N", "new r/N"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    columns = ("recall10", "ndcg10", "repeat_recall10", "repeat_ndcg10", "new_recall10", "new_ndcg10")
    best = {column: max(getattr(row, column) for row in rows.values()) for column in columns}
    for name, row in rows.items():
        cell = {c: _figure(getattr(row, c), best=best[c]) for c in columns}
        low, high = row.ndcg10_interval
        table.add_row(
            name,
            cell["recall10"],
            cell["ndcg10"],
            f"{_short(low)}-{_short(high)}",
            f"{cell['repeat_recall10']} {cell['repeat_ndcg10']}",
            f"{cell['new_recall10']} {cell['new_ndcg10']}",
        )
    console.print(table)
    print_more(rows, console, _FURTHER, legend=_FURTHER_LEGEND)
    if any(row.coverage10 is not None for row in rows.values()):
        print_more(rows, console, _BEYOND, legend=_BEYOND_LEGEND)
    answer, rival = rows.get(ANSWER_ROW), best_baseline(rows)
    if answer is not None and answer.lead is not None and rival is not None:
        lead, low, high = answer.lead
        verdict = "" if lead >= 0 else "; [yellow]the blend loses here: too little data to fit it, or to train on[/]"
        console.print(f"{ANSWER_ROW} against {rival}, paired: NDCG@10 {lead:+.4f} ({low:+.4f} to {high:+.4f}){verdict}")


def print_more(rows: Mapping[str, Score], console: Console, columns: Mapping[str, str], *, legend: str) -> None:
    """Other measures, one line per row; `columns` names the attribute of a score under each heading."""
    table = _table("", *columns)
    best = {key: _best([getattr(row, key) for row in rows.values()], key) for key in columns.values()}
    for name, row in rows.items():
        table.add_row(name, *(_figure(getattr(row, key), best=best[key]) for key in columns.values()))
    console.print(table)
    console.print(legend, style="dim", highlight=False)


def print_paired(paired: Mapping[str, Mapping[str, Paired]], console: Console) -> None:
    """How far our rows are above those of the second bundle."""
    for name, measures in paired.items():
        told = ", ".join(
            f"{_MEASURES[measure]} {one.difference:+.4f} ({one.low:+.4f} to {one.high:+.4f}, p {one.p_value:.4f})"
            for measure, one in measures.items()
        )
        console.print(f"{name} above {AGAINST}{name}, paired: {told}", highlight=False)


def print_slices(rows: Mapping[str, Score], console: Console) -> None:
    """Our own rows and the best baseline by the parts of the questions: NDCG@10 of each."""
    rival = best_baseline(rows)
    shown = [name for name in (ANSWER_ROW, ENCODER_ROW, rival) if name in rows]
    cuts = {name: nested(rows[name].slices) for name in shown if name is not None}
    table = _table("NDCG@10", "", "questions", *cuts)
    for cut, parts in next(iter(cuts.values())).items():
        for label, figures in parts.items():
            values = [cuts[name][cut][label]["ndcg10"] for name in cuts]
            cells = [_figure(value, best=max(values)) for value in values]
            table.add_row(cut if label == next(iter(parts)) else "", label, f"{figures['queries']:,.0f}", *cells)
    console.print(table)


def best_baseline(rows: Mapping[str, Score]) -> str | None:
    """The row with the highest NDCG@10 among those that are not ours."""
    return max(
        (name for name in rows if name not in OWN_ROWS and not name.startswith(AGAINST)),
        key=lambda name: rows[name].ndcg10,
        default=None,
    )


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    return table


def _best(values: Sequence[float | None], key: str) -> float | None:
    known = [value for value in values if value is not None]
    return (min if key in _LOWER_IS_BETTER else max)(known, default=None)


def _short(value: float) -> str:
    return f"{value:.4f}".lstrip("0")


def _figure(value: float | None, *, best: float | None) -> str:
    if value is None:
        return "-"
    shown = _short(value) if value < 1 else f"{value:.{2 if value >= 10 else 3}f}"  # five wide
    return f"[bold]{shown}[/]" if value == best else shown
