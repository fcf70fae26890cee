"""What a reader must know before believing the table: each limit is one sentence, said where it applies."""

from collections.abc import Callable, Sequence

from training.comparison import ANSWER_ROW, ENCODER_ROW
from training.modelcard.card import ModelCard

Limit = Callable[[ModelCard], str | None]

_FEW_QUESTIONS = 1_000


def literature_mode(card: ModelCard) -> str | None:
    """Order without times."""
    if not card.log.order_only:
        return None
    return (
        "**Literature mode.** The data holds an order but no times, and is split as papers split it: the model may "
        "have learnt from what others did later, and everything that needs a clock is off. The figures compare with "
        "papers of the same preparation and protocol, not with what a shop would see."
    )


def statistics_move_on(card: ModelCard) -> str | None:
    """The table is from before the release's last step."""
    if card.log.order_only:
        return None
    return (
        "The table was made with popularity, co-visits and intervals counted up to the cut-off. The released bundle "
        "counts them up to the log's end; its encoder is the same."
    )


def cold_items(card: ModelCard) -> str | None:
    """What the catalogue does not hold; papers' sets are prepared so that there is nothing of the kind."""
    if card.log.order_only:
        return None
    return (
        "Items that were not seen before the cut-off are not in the catalogue: they cannot be recommended, and count "
        "as misses where a shopper took one."
    )


def lead_is_noise(card: ModelCard) -> str | None:
    """The answer is not surely better than the best baseline."""
    lead = card.rows.get(ANSWER_ROW, {}).get("lead")
    if lead is None:
        return None
    mean, low, high = lead
    if low > 0:
        return None
    verdict = "is behind" if high < 0 else "cannot be told apart from"
    return (
        f"On these questions the answer **{verdict} the best baseline**, {card.best_baseline}: NDCG@10 {mean:+.4f}, "
        f"95 % interval {low:+.4f} to {high:+.4f}."
    )


def encoder_is_behind(card: ModelCard) -> str | None:
    """The trained part alone is worse than counting."""
    rival = card.best_baseline
    if rival is None or ENCODER_ROW not in card.rows:
        return None
    ours, theirs = (float(card.rows[name]["ndcg10"]) for name in (ENCODER_ROW, rival))
    if ours >= theirs:
        return None
    return (
        f"The encoder alone is behind {rival} (NDCG@10 {ours:.4f} to {theirs:.4f}): the answer leans on the crowd and "
        "on habits."
    )


def few_questions(card: ModelCard) -> str | None:
    """Small tests."""
    asked = min((int(row["queries"]) for row in card.rows.values()), default=0)
    return f"Only {asked:,} questions were asked; mind the intervals." if asked < _FEW_QUESTIONS else None


def may_train_on(card: ModelCard) -> str | None:
    """The best epoch was the last."""
    training = card.metrics["training"]
    if training.get("kept_epoch", 0) < training.get("epochs", 0):
        return None
    return "The last epoch was the best on the validation window: more epochs may do better."


def one_seed(card: ModelCard) -> str | None:
    """Luck."""
    return (
        f"One run with seed {card.setting('seed')}. The intervals are over shoppers; how much another seed would "
        "change is not in them."
    )


def changed_code(card: ModelCard) -> str | None:
    """A revision that nobody else has."""
    revision = str(card.facts["origin"]["git_revision"])
    if not revision.endswith("+changes"):
        return None
    return "The code had changes that are not in the revision named below."


def not_measured(card: ModelCard) -> str | None:
    """What no offline table says."""
    return (
        "Not measured: what shoppers would have taken had they been shown something else, revenue, long-term effects, "
        "how groups of people differ, and speed of serving. The log shows what was taken under the shop of that time."
    )


LIMITS: tuple[Limit, ...] = (
    *(literature_mode, lead_is_noise, encoder_is_behind, few_questions, one_seed, may_train_on),
    *(cold_items, statistics_move_on, changed_code, not_measured),
)


def limits(card: ModelCard) -> Sequence[str]:
    """Those that apply, the gravest first."""
    return [sentence for limit in LIMITS if (sentence := limit(card)) is not None]
