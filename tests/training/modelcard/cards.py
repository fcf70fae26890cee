"""A model card by hand: three rows, two epochs, round numbers."""

from dataclasses import replace
from typing import Any

from recsys.log.summary import LogSummary
from training.comparison import ANSWER_ROW, ENCODER_ROW
from training.modelcard.card import IndexFacts, ModelCard

LOG = LogSummary(
    source="tea shop",
    licence="made up | for tests",
    fingerprint="0123456789abcdef",
    schema_version=1,
    rows_in=1_000,
    events=900,
    duplicates=10,
    quarantined=70,
    excluded=20,
    shoppers=50,
    items=30,
    moments=400,
    first="2024-01-01T00:00:00+00:00",
    last="2024-06-30T00:00:00+00:00",
    quarantine_reasons={"no item": 70},
    excluded_reasons={"fuel": 20},
    types={"purchase": 800, "view": 100},
)


def row(ndcg10: float, **more: Any) -> dict[str, Any]:
    """A row as the bundle's metrics.json holds it; recall is twice NDCG."""
    return {
        "queries": 2_000,
        "ndcg10": ndcg10,
        "ndcg10_interval": [ndcg10 - 0.01, ndcg10 + 0.01],
        "recall10": 2 * ndcg10,
        "recall10_interval": [2 * ndcg10 - 0.01, 2 * ndcg10 + 0.01],
        "hr10": 3 * ndcg10,
        "recall20": 2.5 * ndcg10,
        "mrr20": ndcg10 / 2,
        "repeat_recall10": 0.5,
        "repeat_ndcg10": 0.4,
        "new_recall10": 0.05,
        "new_ndcg10": 0.03,
        "lead": None,
        **more,
    }


def slices(scale: float) -> dict[str, float]:
    """Parts in the order in which sorted JSON gives them back."""
    parts = {
        "event/purchase": (0.2, 2_000),
        "history/0": (0.1, 400),
        "history/1-4": (0.2, 300),
        "history/10-19": (0.4, 200),
        "history/5-9": (0.3, 1_100),
        "hour/09": (0.2, 1_500),
        "hour/17": (0.1, 500),
        "popularity/1-9": (0.05, 900),
        "popularity/10-99": (0.3, 1_600),
    }
    found = {}
    for name, (value, count) in parts.items():
        found |= {f"{name}/ndcg10": scale * value, f"{name}/recall10": 0.5, f"{name}/queries": float(count)}
    return found


def metrics(**more: Any) -> dict[str, Any]:
    """The answer leads surely, the encoder alone does so, too."""
    rows = {
        "Popular-7d": row(0.05, slices=slices(0.1)),
        "buy-again, frequency": row(0.1, slices=slices(0.5)),
        ENCODER_ROW: row(0.15, slices=slices(0.75)),
        ANSWER_ROW: row(0.2, lead=[0.1, 0.08, 0.12], slices=slices(1.0)),
    }
    training = {"train_s": 90.0, "tokens_per_s": 12_345.0, "epochs": 2, "kept_epoch": 1}
    return {"protocol": "tea shop: 2,000 questions", "rows": rows, "training": training, **more}


def card(**more: Any) -> ModelCard:
    """A good model of the tea shop."""
    made = ModelCard(
        name="tea shop",
        model={"encoder": "SASRec", "parameters": "1,234", "items": "30"},
        log=LOG,
        metrics=metrics(),
        curves={
            "loss": [(1, 5.0), (2, 4.0)],
            "validation_NDCG_at_10": [(1, 0.12), (2, 0.11)],
            "tokens_per_s": [(1, 10.0), (2, 11.0)],
        },
        facts={
            "settings": {"seed": 7},
            "cutoff": "2024-06-01T00:00:00+00:00",
            "libraries": {"torch": "2.13.0", "ray": "not installed"},
            "machine": {"cores": "2", "torch_build": "2.13.0 (CPU, AVX2)"},
            "origin": {"git_revision": "abc", "data_fingerprint": LOG.fingerprint, "recipe": "r1"},
        },
        index=IndexFacts(kind="HnswIndex(links 32, breadth 80)", items=30, size_bytes=12_000),
    )
    return replace(made, **more)
