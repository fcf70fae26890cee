"""RecTools' figures for the table of `recommendations.py`, which `tests/recsys/metric/test_rectools.py` keeps.

    make peers
    .venv-peers/bin/python tests/benchmark/peers/rectools_metrics.py

Where the definitions differ: RecTools divides NDCG by the best of k hits unless told to divide by what can be reached
(as here and in ours); its intra-list diversity counts the features that differ (ours takes the share of the levels);
its debiasing leaves out some of the events of popular items at random, where ours weighs every target by its rarity, so
that the two cannot agree and are not compared.
"""

import json

import pandas as pd
from recommendations import ITEMS, lists, paths, taken, wanted
from rectools import Columns
from rectools.metrics import MRR, NDCG, CatalogCoverage, HitRate, IntraListDiversity, MeanInvUserFreq, Recall
from rectools.metrics import PairwiseHammingDistanceCalculator as Hamming


def main() -> None:
    """Print the figures as one object."""
    shown = pd.DataFrame(
        [(user, item, rank + 1) for user, row in enumerate(lists().tolist()) for rank, item in enumerate(row)],
        columns=[Columns.User, Columns.Item, Columns.Rank],
    )
    truth = pd.DataFrame(
        [(user, item) for user, row in enumerate(wanted()) for item in row.tolist()],
        columns=[Columns.User, Columns.Item],
    )
    earlier = pd.DataFrame(taken(), columns=[Columns.User, Columns.Item])
    apart = Hamming(pd.DataFrame(paths(), index=range(1, ITEMS + 1)))
    found = {}
    for k in (10, 20):
        found[f"hr{k}"] = HitRate(k=k).calc(shown, truth)
        found[f"recall{k}"] = Recall(k=k).calc(shown, truth)
        found[f"ndcg{k}"] = NDCG(k=k, divide_by_achievable=True).calc(shown, truth)
        found[f"mrr{k}"] = MRR(k=k).calc(shown, truth)
    found["coverage3"] = CatalogCoverage(k=3, normalize=True).calc(shown, range(1, ITEMS + 1))
    found["novelty10"] = MeanInvUserFreq(k=10).calc(shown, earlier)
    found["levels_apart10"] = IntraListDiversity(k=10, distance_calculator=apart).calc(shown)
    print(json.dumps({name: float(value) for name, value in found.items()}, indent=4))


if __name__ == "__main__":
    main()
