"""Challenger and champion on the same held-out window: the table, and the difference in pairs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from recsys.clock import to_datetime
from recsys.errors import ReleaseError
from recsys.log.writer import write_log
from recsys.metric.evaluation import Score, score_rows
from recsys.metric.interval import Paired
from recsys.recommender import Recommender
from training.comparison import circumstances, paired_rows, protocol_of
from training.dataset import Dataset
from training.recipe import Recipe
from training.rivals import asked, made_until, with_items_of
from training.table import AGAINST, ANSWER_ROW, print_paired, print_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """What came out.

    Attributes:
        rows: scores of the challenger's rows and, named with `AGAINST`, the champion's.
        paired: of each row and measure how far the challenger is above the champion.
        questions: how many were asked.
        since: the instant from which on was asked.
    """

    rows: Mapping[str, Score]
    paired: Mapping[str, Mapping[str, Paired]]
    questions: int
    since: int

    @property
    def difference(self) -> Paired:
        """Of NDCG@10 of the answer, which decides."""
        return self.paired[ANSWER_ROW]["ndcg10"]

    @property
    def evidence(self) -> str:
        """The figures that decide, in one line."""
        ours, theirs, by = self.rows[ANSWER_ROW], self.rows[AGAINST + ANSWER_ROW], self.difference
        return (
            f"NDCG@10 of the answer {ours.ndcg10:.4f} against {theirs.ndcg10:.4f}, difference {by.difference:+.4f}, "
            f"95 % {by.low:+.4f} to {by.high:+.4f}, p {by.p_value:.4f}, {self.questions:,} questions from "
            f"{to_datetime(self.since).date().isoformat()} on"
        )

    def figures(self) -> dict[str, float]:
        """For the tracker."""
        ours, theirs, by = self.rows[ANSWER_ROW], self.rows[AGAINST + ANSWER_ROW], self.difference
        told = {"challenger/ndcg10": ours.ndcg10, "champion/ndcg10": theirs.ndcg10, "difference": by.difference}
        return told | {"difference_low": by.low, "difference_high": by.high, "p_value": by.p_value}


def fought(challenger: Recommender, champion: Recommender, recipe: Recipe, console: Console) -> Duel:
    """Ask both the same questions of the recipe's log, as it is now, and print what came out.

    The window begins at `data.cutoff`, or later: where both were made without having seen it. Both have their crowds
    counted anew up to there, so that models are compared and not the days on which they were released.

    Raises:
        ReleaseError: they learnt from different shops.
        TrainingError: nothing was wanted after the cut-off.
    """
    _insist_one_shop(challenger, champion, recipe)
    recipe = _unseen(recipe, challenger, champion, console)
    coding = with_items_of(challenger.coding, champion.coding)
    with recipe.engine as engine:
        write_log(recipe.data, recipe.log_folder, engine=engine, tell=console.print)
        with console.status("asking challenger and champion the same questions ..."):
            dataset = Dataset.of(recipe, engine, coding=coding)
            cases = dataset.test(recipe.evaluation_queries, recipe.seed)
            ours = asked(challenger, recipe, engine, cases, dataset.catalogue)
            theirs = asked(champion, recipe, engine, cases, dataset.catalogue)
            around = circumstances(cases, dataset, refit=recipe.refit)
            ranked = ours | {AGAINST + name: found for name, found in theirs.items()}
            rows = score_rows(cases, ranked, around=around, seed=recipe.seed)
            paired = paired_rows(cases, ranked, seed=recipe.seed)
    print_table(rows, console, title=protocol_of(recipe, cases))
    console.print(f"{AGAINST}the champion; {_catalogues(challenger, champion, coding.catalogue.size - 1)}", style="dim")
    print_paired(paired, console)
    return Duel(rows=rows, paired=paired, questions=len(cases), since=dataset.cutoff)


def later(recipe: Recipe, cutoff: int) -> Recipe:
    """The same recipe with its test beginning at another instant."""
    source: Any = recipe.data  # every source is a frozen dataclass
    return replace(recipe, data=replace(source, cutoff=cutoff))


def _insist_one_shop(challenger: Recommender, champion: Recommender, recipe: Recipe) -> None:
    names = [str(one.facts["data"]) for one in (challenger, champion)]
    if set(names) != {recipe.data.name}:
        raise ReleaseError(
            f"the challenger was trained on {names[0]!r}, the champion on {names[1]!r}, and the questions are those of "
            f"{recipe.data.name!r}: different shops cannot be compared; give the data=... settings that both were "
            'trained with, or promote without a comparison: reason="..."'
        )


def _unseen(recipe: Recipe, challenger: Recommender, champion: Recommender, console: Console) -> Recipe:
    """The recipe with a window that neither of the two was made with."""
    since = max(recipe.data.cutoff, made_until(challenger), made_until(champion))
    if not recipe.split.needs_times or since == recipe.data.cutoff:
        return recipe
    console.print(
        f"the questions begin at {to_datetime(since).isoformat()}: one of the two was made with what came before"
    )
    return later(recipe, since)


def _catalogues(challenger: Recommender, champion: Recommender, both: int) -> str:
    """How much each knows of what either knows, and from which state of the log."""
    ours, theirs = (one.catalogue.size - 1 for one in (challenger, champion))
    prints = {str(one.facts["origin"]["data_fingerprint"]) for one in (challenger, champion)}
    of_log = (
        "both learnt from the same state of the log" if len(prints) == 1 else "they learnt from different states of it"
    )
    return f"of {both:,} items the challenger knows {ours:,}, that one {theirs:,} (the others are misses); {of_log}"
