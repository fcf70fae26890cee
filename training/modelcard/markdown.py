"""The card as a page of Markdown."""

from collections.abc import Iterator, Sequence

from training.card.words import duration, figure
from training.modelcard.card import ModelCard
from training.modelcard.limits import limits
from training.modelcard.tables import cuts, heads, pairs, plain, scores, searched

_COLUMNS = {
    "ndcg10": "NDCG@10",
    "hr10": "HR@10",
    "mrr10": "MRR@10",
    "recall10": "recall@10",
    "ndcg20": "NDCG@20",
    "hr20": "HR@20",
    "recall20": "recall@20",
    "mrr20": "MRR@20",
}
"""Of the table of all questions; a column that the metrics do not hold is left out."""
_APART = {
    "repeat_recall10": "recall@10, repeat",
    "repeat_ndcg10": "NDCG@10, repeat",
    "new_recall10": "recall@10, new",
    "new_ndcg10": "NDCG@10, new",
}
_BEYOND = {
    "coverage10": "coverage@10",
    "novelty10": "novelty@10",
    "diversity10": "diversity@10",
    "debiased_hr10": "debiased HR@10",
    "miscalibration10": "miscalibration@10",
    "cold_ndcg10": "NDCG@10, cold items",
}
_SECONDS = "_s"


def page(
    card: ModelCard, *, pictures: Sequence[str] = (), place: str = "path/to/this/folder", version: str | None = None
) -> str:
    """The whole page.

    Args:
        card: what to say.
        pictures: names of PNG files beside the page.
        place: the bundle's folder, as the page names it.
        version: the bundle's version, where it is known already.
    """
    parts = (
        _head(card, version),
        _loading(place),
        _data(card),
        _evaluation(card),
        _parts(card),
        _intent(card),
        _pictures(pictures),
        _index(card),
        _limits(card),
        _training(card),
        _environment(card),
    )
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def _head(card: ModelCard, version: str | None) -> Iterator[str]:
    yield f"# Model card: {plain(card.name)}"
    yield ""
    yield (
        "A recommender for the shop whose log it learnt from: given what a shopper did so far, it ranks the whole "
        "catalogue by what they will take next. A trained sequence encoder is blended with statistics of the crowd "
        "and of the shopper's own habits."
    )
    yield ""
    yield from pairs({**({"version": version} if version else {}), **card.model})


def _loading(place: str) -> Iterator[str]:
    yield "## Loading it"
    yield ""
    yield "```python"
    yield "from recsys.recommender import Recommender"
    yield ""
    yield f'recommender = Recommender.load("{place}")  # checks every file before it is used'
    yield "slate = recommender.recommend([recommender.catalogue.id_of(1)], count=10)"
    yield "print([(item.item_id, item.title) for item in slate.items])"
    yield "```"
    yield ""


def _data(card: ModelCard) -> Iterator[str]:
    log = card.log
    yield "## Data and licence"
    yield ""
    counts = {
        "source": log.source,
        "licence": log.licence,
        "events": f"{log.events:,} ({', '.join(f'{name} {count:,}' for name, count in log.types.items())})",
        "shoppers, items, moments": f"{log.shoppers:,}, {log.items:,}, {log.moments:,}",
        "from, to": "order only, no times" if log.order_only else f"{log.first}, {log.last}",
        "cut-off": "the split's own" if log.order_only else str(card.facts["cutoff"]),
        "refused, duplicate, excluded rows": f"{log.quarantined:,}, {log.duplicates:,}, {log.excluded:,}",
        "fingerprint": log.fingerprint,
    }
    yield from pairs(counts)


def _evaluation(card: ModelCard) -> Iterator[str]:
    rows = card.rows
    yield "## Evaluation"
    yield ""
    yield plain(str(card.metrics["protocol"])) + "."
    yield ""
    yield from scores(rows, _COLUMNS, intervals=True)
    lead = next((row["lead"] for row in rows.values() if row.get("lead")), None)
    if lead is not None:
        mean, low, high = lead
        yield (
            f"The answer against {card.best_baseline}, question by question: NDCG@10 {mean:+.4f}, 95 % interval "
            f"{low:+.4f} to {high:+.4f}."
        )
        yield ""
    if any(key in row for row in rows.values() for key in _APART):
        yield "What the shopper had taken before, and what was new to them:"
        yield ""
        yield from scores(rows, _APART)
    if any(row.get(key) is not None for row in rows.values() for key in _BEYOND):
        yield "Beyond accuracy (`recsys/metric/beyond.py` says what each figure is; miscalibration is better low):"
        yield ""
        yield from scores(rows, _BEYOND, bold=False)


def _parts(card: ModelCard) -> Iterator[str]:
    if lines := list(cuts(card)):
        yield "## Where it is good, and where not"
        yield ""
        yield from lines


def _intent(card: ModelCard) -> Iterator[str]:
    if figures := card.metrics.get("intent"):
        yield "## What the shopper is after"
        yield ""
        yield "Heads on the encoder's states, calibrated on the validation window, judged on the test:"
        yield ""
        yield from heads(figures)


def _pictures(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        yield f"![{name.replace('_', ' ')}]({name}.png)"
        yield ""


def _index(card: ModelCard) -> Iterator[str]:
    yield "## Index"
    yield ""
    yield from searched(card.index)


def _limits(card: ModelCard) -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield from (f"- {sentence}" for sentence in limits(card))
    yield ""


def _training(card: ModelCard) -> Iterator[str]:
    yield "## What the training cost"
    yield ""
    yield from pairs({_words(name): _cost(name, value) for name, value in card.metrics["training"].items()})


def _environment(card: ModelCard) -> Iterator[str]:
    yield "## Environment"
    yield ""
    origin = {name.replace("_", " "): value for name, value in card.facts["origin"].items()}
    machine = {name.replace("_", " "): value for name, value in card.facts.get("machine", {}).items()}
    yield from pairs({**origin, **machine, **card.facts["libraries"]})
    yield "Every setting of the run is in the bundle's `spec.json` under `facts.settings`."


def _words(name: str) -> str:
    return {"train_s": "time", "tokens_per_s": "tokens per second"}.get(name, name.replace("_", " "))


def _cost(name: str, value: float) -> str:
    return duration(value) if name.endswith(_SECONDS) and not name.endswith("per_s") else figure(value)
