"""Waits, stretch by stretch: worked by hand, and learnt back from waits that were drawn."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys.event import EventType
from recsys.intent.head import Truth
from recsys.intent.wait import WaitHead
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.question import question_batch
from tests.recsys.by_hand import spec, state


def head(*edges: float) -> WaitHead:
    return WaitHead(dim=4, edges_days=edges, goal=EventType.PURCHASE)


def batch(wait: list[float], seen: list[int]) -> SequenceBatch:
    """A batch of which only the labels matter."""
    some = question_batch([state((1, 1), at=2)], spec())
    return replace(some, labels={"wait_days": torch.tensor(wait), "wait_seen": torch.tensor(seen, dtype=torch.int8)})


def said(*hazards: float) -> list[float]:
    """What the head gives for these chances of a purchase within each stretch that is reached."""
    return [math.log(-math.log(1 - h)) for h in hazards]


def test_a_purchase_at_the_end_of_the_second_stretch_outlived_all_before() -> None:
    loss = head(1, 3, 5).loss(torch.tensor([said(0.2, 0.5, 0.9)]), batch([3.0], [1]))
    rate = math.log(2)  # purchases per stretch that leave half without one
    assert loss.item() == pytest.approx(-math.log(0.8 * 0.5 * rate), rel=1e-5)


def test_a_purchase_within_a_stretch_counts_the_part_that_passed() -> None:
    loss = head(1, 3, 5).loss(torch.tensor([said(0.2, 0.75, 0.9)]), batch([2.0], [1]))
    assert loss.item() == pytest.approx(-math.log(0.8 * 0.5 * math.log(4)), rel=1e-5)


def test_a_censored_wait_teaches_of_the_time_that_passed() -> None:
    given = torch.tensor([said(0.2, 0.75, 0.9)])
    assert head(1, 3, 5).loss(given, batch([3.0], [0])).item() == pytest.approx(-math.log(0.8 * 0.25), rel=1e-5)
    assert head(1, 3, 5).loss(given, batch([2.0], [0])).item() == pytest.approx(-math.log(0.8 * 0.5), rel=1e-5)


def test_a_wait_of_which_nothing_is_known_teaches_nothing() -> None:
    given = torch.tensor([said(0.2, 0.5, 0.9)] * 2)
    together = head(1, 2, 5).loss(given, batch([2.0, 0.0], [0, 0]))
    assert together.item() == pytest.approx(-math.log(0.8 * 0.5), rel=1e-5)
    assert head(1, 2, 5).loss(given[:1], batch([0.0], [0])).item() == 0


def test_a_purchase_after_all_stretches_outlived_them() -> None:
    assert head(1, 2).loss(torch.tensor([said(0.2, 0.5)]), batch([9.0], [1])).item() == pytest.approx(
        -math.log(0.8 * 0.5), rel=1e-5
    )


def test_the_median_lies_where_half_has_come() -> None:
    # Half is left after the first stretch; within one of hazard .75, half is left at half its length.
    assert days(head(1, 2), said(0.5, 0.1), 0.0) == pytest.approx(1.0)
    assert days(head(1, 2), said(0.75, 0.1), 0.0) == pytest.approx(0.5)


def test_what_has_passed_without_a_purchase_no_longer_counts() -> None:
    # After day 1 the second stretch is what is left: half of it for a hazard of .75.
    assert days(head(1, 2), said(0.9, 0.75), 1.0) == pytest.approx(0.5)
    # From the middle of a stretch of constant hazard on, the median is as far away as from its beginning.
    assert days(head(2, 4), said(0.75, 0.75), 0.0) == pytest.approx(days(head(2, 4), said(0.75, 0.75), 1.0))


def test_beyond_the_last_stretch_its_hazard_goes_on() -> None:
    assert days(head(1, 2), said(0.1, 0.75), 5.0) == pytest.approx(0.5)
    assert days(head(1, 2), said(0.01, 0.01), 0.0) == 2.0, "no longer wait is told than all stretches together"


def days(given: WaitHead, logits: list[float], elapsed: float) -> float:
    return float(given.median_days(np.array([logits]), np.array([elapsed]))[0])


def test_hazards_are_learnt_back_from_censored_waits() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    wait, censored = rng.exponential(3.0, 8_000), rng.uniform(0, 10, 8_000)
    seen = (wait <= censored).astype(int)
    labels = batch(np.minimum(wait, censored).astype(np.float32).tolist(), seen.tolist())
    given = head(0.5, 1, 2, 3, 5, 8)
    logits = torch.zeros(1, 6, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=60)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = given.loss(logits.expand(8_000, 6), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(step)  # type: ignore[no-untyped-call]
    assert days(given, logits.detach()[0].tolist(), 0.0) == pytest.approx(3.0 * math.log(2), rel=0.07)
    assert days(given, logits.detach()[0].tolist(), 4.0) == pytest.approx(3.0 * math.log(2), rel=0.15)


def test_a_horizon_is_judged_only_where_it_is_known_to_its_end() -> None:
    given = head(1, 2, 4)
    truth = Truth(
        labels={
            "wait_days": np.array([2.0, 2.0, 4.0, 1.0], np.float32),
            "wait_seen": np.array([1, 1, 0, 0], np.int8),
        },
        known_days=np.array([3.0, 2.0, 4.0, 1.0]),
        pair_query=np.empty(0, np.int64),
        pair_target=np.empty(0, np.int64),
    )
    figures = given.judge(np.array([said(0.5, 0.5, 0.5)] * 4), truth)
    assert figures["horizon_days"] == 2
    assert figures["questions"] == 3, "of the last one only a day is known"
    assert figures["rate"] == pytest.approx(2 / 3)
    assert figures["ece_before"] == pytest.approx(0.75 - 2 / 3)


def test_calibration_mends_hazards_that_are_too_high() -> None:
    rng = np.random.default_rng(1)
    wait = rng.exponential(3.0, 5_000).astype(np.float32)
    truth = Truth(
        labels={"wait_days": wait, "wait_seen": np.ones(5_000, np.int8)},
        known_days=np.full(5_000, 99.0),
        pair_query=np.empty(0, np.int64),
        pair_target=np.empty(0, np.int64),
    )
    given = head(1, 2, 3, 4)
    told = np.full((5_000, 4), said(0.7)[0])
    given.calibrate(told, truth)
    figures = given.judge(told, truth)
    assert figures["ece_before"] > 0.2
    assert figures["ece_after"] < 0.03
