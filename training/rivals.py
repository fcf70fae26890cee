"""Two releases on the same questions, each in its own numbers.

A release numbers items, channels and devices in its own way, and one may know items that the other does not: one that
was trained later, from the other or from scratch. So the log is coded once for each release, exactly as that release
codes events online; the questions hold the targets that either of them knows; and ranks are brought together by item
ids. A target that a release does not know is a miss for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

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
    policy = partial(type(release.policy), **release.policy.settings())
    recipe = replace(recipe, policy=policy)
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


def insist_unseen(release: Recommender, named: str, cutoff: int) -> None:
    """BundleError where a release was made with what comes after the cut-off: it has seen the answers."""
    seen = made_until(release)
    if seen > cutoff:
        raise BundleError(
            f"{named} was made with events up to {to_datetime(seen).isoformat()}, and the questions begin at "
            f"{to_datetime(cutoff).isoformat()}: it has seen the answers; raise data.cutoff"
        )


def made_until(release: Recommender) -> int:
    """The cut-off that a release was made with; what comes after it, only the crowd's statistics know."""
    return parse_instant(str(release.facts["cutoff"]))


def _which(case: Case) -> tuple[int, int]:
    return case.shopper, case.state.context.at
