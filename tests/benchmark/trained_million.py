"""A million item vectors and the queries asked of them, out of a model that was really trained; kept in a folder.

    python -m tests.benchmark.trained_million [FOLDER]

What an index is worth depends on how vectors lie, and trained ones lie otherwise than random ones. So a SASRec (d=64,
sampled softmax with 512 mixed negatives, row-wise Adam) learns a made-up log of a million items: 20,000 shelves of 50
items each; a shopper goes along a shelf (chance .8), on to one of the four beside it (.15) or anywhere (.05), and takes
of a shelf by a Zipf law. Queries are the encoder's for shoppers of a later log. Takes some ten minutes on two cores
once; `tests.benchmark.retrieval` uses what lies in the folder.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from recsys.event import EventType
from recsys.feature.spec import FeatureSpec, QueryKind
from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.model.sasrec import SASRec
from recsys.sampler.mixed import MixedSampler
from recsys.sequence.histories import Histories
from recsys.sequence.loader import Loader
from recsys.similarity.dot import Dot
from recsys.state import History
from recsys.tower.id import Id
from tests.benchmark.catalogue_scale import Timed
from training.checkpoint import Checkpoints
from training.optimizer.rowwise_adam import RowwiseAdam
from training.schedule.one_cycle import OneCycle
from training.trainer.single import SingleTrainer

FOLDER = Path("outputs/benchmark/trained_million")
SHELVES, SHELF, DIM, LENGTH = 20_000, 50, 64, 50
ITEMS = SHELVES * SHELF
SHOPPERS, EVENTS, QUERIES, EPOCHS = 400_000, 20, 2_000, 4
FEATURES = FeatureSpec(
    max_length=LENGTH, query=QueryKind.LAST, known_types=(EventType.VIEW,), type_alias=EventType.VIEW
)


def sequences(shoppers: int, seed: int) -> Histories:
    """Histories of `EVENTS` events each; the n-th event of a shopper happens at second n."""
    rng = np.random.default_rng(seed)
    shelf = rng.integers(SHELVES, size=shoppers)
    popular = rng.zipf(1.2, size=shoppers)
    shelf = np.where(popular < SHELVES, popular, shelf)  # some shelves are much visited
    taken = np.empty((shoppers, EVENTS), np.int64)
    for place in range(EVENTS):
        chance = rng.random(shoppers)
        beside = (shelf + rng.choice([-2, -1, 1, 2], shoppers)) % SHELVES
        shelf = np.where(chance < 0.8, shelf, np.where(chance < 0.95, beside, rng.integers(SHELVES, size=shoppers)))
        rank = (SHELF ** rng.random(shoppers)).astype(np.int64) - 1  # share of rank r falls as 1 / r
        taken[:, place] = 1 + shelf * SHELF + rank
    events = History(
        item=taken.ravel(),
        type=np.full(taken.size, EventType.VIEW.code, np.int8),
        time=np.tile(np.arange(1, EVENTS + 1), shoppers) * 1_000_000,
    )
    return Histories(pa.array(np.arange(shoppers).astype(str)), np.arange(shoppers + 1) * EVENTS, events)


def trained() -> SASRec:
    """The model, from nothing."""
    torch.manual_seed(0)
    trainer = SingleTrainer(epochs=EPOCHS, batch_tokens=6_400, context_tokens=10, device="cpu")
    histories = sequences(SHOPPERS, 0)
    loader = Loader.of(histories, FEATURES, batch_tokens=trainer.batch_tokens, context=trainer.context_tokens)
    taken = torch.from_numpy(np.bincount(histories.events.item, minlength=ITEMS + 1)).float()
    encoder = SASRec(
        items=ITEMS + 1,
        features=FEATURES,
        dim=DIM,
        blocks=1,
        heads=2,
        dropout=0.1,
        tower=Id(std=0.02, sparse=True),
        similarity=Dot(popularity=False),
    )
    watch = Timed()
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit(
            encoder,
            loader,
            loss=SampledSoftmax(negatives=512),
            sampler=MixedSampler(popularity=taken),
            optimizer=RowwiseAdam(learning_rate=1e-2),
            schedule=OneCycle(),
            seed=0,
            watch=watch,
            checkpoints=Checkpoints(Path(folder) / "checkpoints", recipe="trained_million"),
        )
    print(f"losses: {', '.join(f'{loss:.3f}' for loss in watch.losses)}")
    return encoder


def vectors_and_queries(folder: Path = FOLDER) -> tuple[np.ndarray, np.ndarray]:
    """Item vectors [V, D], row 0 padding, and queries [Q, D], trained where the folder does not hold them yet."""
    files = [folder / name for name in ("items.npy", "queries.npy")]
    if not all(file.is_file() for file in files):
        encoder = trained().eval()
        asking = Loader.of(sequences(QUERIES, 1), FEATURES, batch_tokens=6_400, context=0)
        with torch.inference_mode():
            asked = [encoder(batch)[EVENTS - 2 :: EVENTS - 1] for batch in asking.epoch(seed=0, epoch=0)]
            found = encoder.item_vectors().numpy(), torch.cat(asked).numpy()
        folder.mkdir(parents=True, exist_ok=True)
        for file, values in zip(files, found, strict=True):
            np.save(file, values)
    items, queries = (np.load(file) for file in files)
    return items, queries


if __name__ == "__main__":
    shapes = [values.shape for values in vectors_and_queries(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)]
    print(f"items {shapes[0]}, queries {shapes[1]}")
