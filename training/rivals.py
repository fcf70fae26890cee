"""Two releases on the same questions, each in its own numbers.

A release numbers items, channels and devices in its own way, and one may know items that the other does not: one that
was trained later, from the other or from scratch. So the log is coded once for each release, exactly as that release
codes events online; the questions hold the targets that either of them knows; and ranks are brought together by item
ids. A target that a release does not know is a miss for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.catalogue import UNKNOWN, Catalogue
from recsys.clock import parse_instant, to_datetime
from recsys.errors import BundleError, DataError
from recsys.log.engine import Engine
from recsys.metric.evaluation import Case, Ranked
from recsys.metric.ranking import MISS
from recsys.metric.slices import Targets
from recsys.recommender import Recommender
from recsys.sequence.coding import Coding
from training.assembly import with_statistics
from training.comparison import own_rows
from training.dataset import Dataset
from training.recipe import Recipe
from training.start import LEARNT_UNTIL


def with_items_of(ours: Coding, theirs: Coding) -> Coding:
    """Our coding, with the items that only the other one knows after ours; our numbers stay."""
    known, others = ours.catalogue.items, theirs.catalogue.items
    more = others.filter(pc.invert(pc.is_in(others["item_id"], known["item_id"].combine_chunks())))
    return replace(ours, catalogue=Catalogue(pa.concat_tables([known, more]))) if more.num_rows else ours


def asked(
    release: Recommender, recipe: Recipe, engine: Engine, questions: Sequence[Case], catalogue: Catalogue
) -> dict[str, Ranked]:
    """How a release ranks the `questions`, whose items are numbered by `catalogue`: its encoder alone and its answer.

    Its crowd is counted up to the cut-off, and its own policy chooses.
    """
    dataset = Dataset.of(recipe, engine, coding=release.coding)
    counted = with_statistics(release, recipe, dataset, dataset.before_test())
    cases = dataset.test(recipe.evaluation_queries, recipe.seed)
    return renumbered(own_rows(cases, counted), cases, questions, numbers(release.catalogue, catalogue))


def numbers(theirs: Catalogue, ours: Catalogue) -> np.ndarray:
    """Our index of each of their items [V]; 0 for index 0 and where we do not know the item."""
    return np.append([UNKNOWN], ours.indices_of(theirs.items["item_id"]))


def renumbered(
    rows: Mapping[str, Ranked], cases: Sequence[Case], questions: Sequence[Case], number: np.ndarray
) -> dict[str, Ranked]:
    """Ranks of `cases` as ranks of the same `questions` in other numbers; `number` is the new index of each item [V].

    Raises:
        DataError: these are other questions.
    """
    if [_which(case) for case in cases] != [_which(case) for case in questions]:
        raise DataError("two releases were asked different questions of the same log; please report how")
    given, wanted = Targets.of(cases), Targets.of(questions)
    size = 1 + max(int(number.max()), int(wanted.item.max(initial=0)))
    key = given.owner.astype(np.int64) * size + number[given.item]
    order = np.argsort(key, kind="stable")
    place = np.searchsorted(key[order], sought := wanted.owner.astype(np.int64) * size + wanted.item)
    order, key = np.append(order, 0), np.append(key[order], -1)  # what comes after all is nowhere
    found = key[place] == sought
    return {
        name: Ranked(np.where(found, np.append(ranked.rank, MISS)[order[place]], MISS), number[ranked.top])
        for name, ranked in rows.items()
    }


def insist_unseen(release: Recommender, named: str, dataset: Dataset) -> None:
    """BundleError where a release was made with what its questions ask about: it has seen the answers."""
    if dataset.order_only or not len(dataset.cut.test_from):
        return
    seen, asked_from = made_until(release), int(dataset.cut.test_from.min())
    if seen > asked_from:
        until, first = (to_datetime(instant).isoformat() for instant in (seen, asked_from))
        raise BundleError(
            f"{named} was made with what came before {until}, and the questions begin at {first}: it has seen the "
            f"answers; ask it with data.cutoff={until} or later"
        )


def made_until(release: Recommender) -> int:
    """The instant up to which encoder, weights and ranker of a release were made; what comes after it, only the crowd's
    statistics know."""
    return max(int(release.facts.get(LEARNT_UNTIL) or 0), parse_instant(str(release.facts["cutoff"])))


def _which(case: Case) -> tuple[int, int]:
    return case.shopper, case.state.context.at
