"""Limits are said where they apply, and only there."""

from dataclasses import replace
from typing import Any

import pytest

from tests.training.modelcard.cards import LOG, card, metrics, row
from training.comparison import ANSWER_ROW, ENCODER_ROW
from training.modelcard import limits
from training.modelcard.card import ModelCard


def changed(name: str, **more: Any) -> ModelCard:
    """The card with one row altered."""
    found = metrics()
    found["rows"][name] = {**found["rows"][name], **more}
    return card(metrics=found)


def test_a_good_model_has_only_the_limits_that_hold_for_every_model() -> None:
    said = limits.limits(card())
    assert said == [limits.one_seed(card()), limits.cold_items(card()), limits.statistics_move_on(card()), said[-1]]
    assert said[-1] == limits.not_measured(card())
    assert "seed 7" in said[0]


@pytest.mark.parametrize(
    ("lead", "says"),
    [
        ([0.1, 0.08, 0.12], None),
        ([0.01, -0.01, 0.03], "cannot be told apart from"),
        ([0.01, 0.0, 0.03], "cannot be told apart from"),
        ([-0.1, -0.12, -0.08], "is behind"),
    ],
)
def test_a_lead_whose_interval_holds_zero_is_called_no_lead(lead: list[float], says: str | None) -> None:
    sentence = limits.lead_is_noise(changed(ANSWER_ROW, lead=lead))
    assert sentence is None if says is None else sentence is not None and says in sentence
    if sentence is not None:
        assert "buy-again, frequency" in sentence


def test_an_encoder_behind_the_best_baseline_is_said_so() -> None:
    assert limits.encoder_is_behind(card()) is None
    sentence = limits.encoder_is_behind(changed(ENCODER_ROW, ndcg10=0.09))
    assert sentence is not None
    assert "0.0900 to 0.1000" in sentence


def test_few_questions_are_counted() -> None:
    assert limits.few_questions(card()) is None
    assert limits.few_questions(card(metrics=metrics(rows={ANSWER_ROW: row(0.1, queries=999)}))) is not None


def test_a_last_epoch_that_was_the_best_asks_for_more() -> None:
    assert limits.may_train_on(card()) is None
    assert limits.may_train_on(card(metrics=metrics(training={"epochs": 2, "kept_epoch": 2}))) is not None


def test_changed_code_is_admitted() -> None:
    origin = {**card().facts["origin"], "git_revision": "abc+changes"}
    assert limits.changed_code(card()) is None
    assert limits.changed_code(card(facts={**card().facts, "origin": origin})) is not None


def test_literature_mode_comes_first_and_speaks_of_no_cut_off() -> None:
    said = limits.limits(card(log=replace(LOG, order_only=True)))
    assert said[0].startswith("**Literature mode.**")
    assert limits.statistics_move_on(card()) not in said
    assert limits.cold_items(card()) not in said
