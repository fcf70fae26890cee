"""Any loss with any sampler teaches what is asked for."""

from functools import partial

import pytest
import torch

from recsys.loss.bpr_max import BPRMax
from recsys.loss.full_softmax import FullSoftmax
from recsys.loss.gbce import GBCE
from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.protocols import Loss
from recsys.sampler.in_batch import InBatchSampler
from recsys.sampler.mixed import MixedSampler
from recsys.sampler.popularity import PopularitySampler
from recsys.sampler.uniform import UniformSampler
from tests.recsys.loss.cases import ITEMS, batch_of, reading

LOSSES = {
    "full": FullSoftmax(),
    "sampled": SampledSoftmax(6),
    "uncorrected": SampledSoftmax(6, correction=0.0),
    "gbce": GBCE(6),
    "bpr_max": BPRMax(6, regularisation=0.1),
}
SAMPLERS = {
    "uniform": UniformSampler,
    "popularity": partial(PopularitySampler, alpha=0.5),
    "in_batch": InBatchSampler,
    "mixed": partial(MixedSampler, in_batch=0.5),
}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_query_ranks_what_it_asked_for_above_everything_else(loss: str, sampler: str) -> None:
    torch.manual_seed(0)
    chosen: Loss = LOSSES[loss]
    baskets = [[1, 2], [3], [4, 5, 6], [7], [8]]
    batch, generator = batch_of(baskets), torch.Generator().manual_seed(0)
    negatives_of = SAMPLERS[sampler](popularity=torch.bincount(batch.pair_target, minlength=ITEMS).float())
    query = (torch.randn(len(baskets), 8) * 0.1).requires_grad_()
    table = (torch.randn(ITEMS, 8) * 0.1).requires_grad_()
    optimizer = torch.optim.Adam([query, table], lr=0.05)
    for _ in range(150):
        negatives = negatives_of.draw(chosen.negatives, target=batch.pair_target, generator=generator)
        optimizer.zero_grad()
        chosen(query, batch, reading(table), negatives).backward()
        optimizer.step()
    best = (query @ table[1:].T).argsort(descending=True).tolist()
    for basket, order in zip(baskets, best, strict=True):
        assert sorted(place + 1 for place in order[: len(basket)]) == basket
