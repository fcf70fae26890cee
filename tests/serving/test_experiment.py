"""Experiments: who is in which arm, and what an arm does to the answer."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from pydantic import ValidationError

from recsys.clock import ManualClock
from recsys.errors import ConfigError
from recsys.slate import Slate
from recsys.state import ShopperState
from serving.arguments import ServeArgs
from serving.experiment import Arm, Experiment, treatment
from serving.exposure import ExposureLog
from serving.pipeline import Answering, Question
from serving.store.memory import MemoryStore
from tests.serving.shop import NOW, CategoryCounter

ROOT = Path(__file__).resolve().parents[2]
HALVES = Experiment("ranker", [Arm(name="control", share=1), Arm(name="treatment", share=1, ranker=False)])


def test_the_arm_of_a_shopper_is_the_one_that_was_worked_out_by_hand() -> None:
    """Of two halves the first one has the digests that begin with 0 to 7."""
    for name in ("ann", "bob", "cid", "dee"):
        digest = hashlib.blake2b(f"6:ranker:user:{name}".encode(), digest_size=8).hexdigest()
        expected = "control" if int(digest[0], 16) < 8 else "treatment"
        assert treatment([HALVES], user_id=name, anonymous_id="whatever").arms == {"ranker": expected}


def test_the_shares_are_kept_and_experiments_divide_independently() -> None:
    three = Experiment("three", [Arm(name="a", share=0.2), Arm(name="b", share=0.0), Arm(name="c", share=0.6)])
    both = Counter(
        tuple(treatment([three, HALVES], user_id=None, anonymous_id=str(number)).arms.values())
        for number in range(20_000)
    )
    assert set(both) == {("a", "control"), ("a", "treatment"), ("c", "control"), ("c", "treatment")}
    for (arm, _), count in both.items():
        share = {"a": 0.25, "c": 0.75}[arm] / 2
        assert abs(count / 20_000 - share) < 4 * np.sqrt(share * (1 - share) / 20_000)


@given(st.text(), st.text(min_size=1), st.lists(st.floats(0, 1e6), min_size=1, max_size=5).filter(any))
def test_everybody_is_in_one_arm_always_the_same_and_never_in_one_without_a_share(
    name: str, shopper: str, shares: list[float]
) -> None:
    arms = [Arm(name=str(place), share=share) for place, share in enumerate(shares)]
    arm = Experiment(name, arms).arm_of(shopper)
    assert arm.share > 0
    assert arm == Experiment(name, list(arms)).arm_of(shopper)


def test_who_says_nothing_of_themselves_is_in_no_arm_and_a_user_is_the_same_on_every_device() -> None:
    assert treatment([HALVES], user_id=None, anonymous_id=None).arms == {}
    assert len({str(treatment([HALVES], user_id="u", anonymous_id=str(device)).arms) for device in range(50)}) == 1


def test_the_ranker_stays_off_where_any_arm_wants_it_off() -> None:
    off = Experiment("off", [Arm(name="only", share=1, ranker=False)])
    assert treatment([HALVES, off], user_id="u", anonymous_id=None).with_ranker is False


@pytest.mark.parametrize("arms", [[], [Arm(name="a", share=0.0)]])
def test_an_experiment_without_anybody_in_it_is_refused(arms: list[Arm]) -> None:
    with pytest.raises(ConfigError, match="experiment 'x' has no arm with a share of the shoppers"):
        Experiment("x", arms)


def test_experiments_are_settings_and_what_is_none_is_refused() -> None:
    plain: dict[str, Any] = {"bundle": "b", "store": {}}
    args = ServeArgs(
        **plain, experiments={"ranker": {"control": {"share": 1}, "treatment": {"share": 1, "ranker": False}}}
    )
    assert args.running_experiments() == [HALVES]
    assert ServeArgs.model_validate(args.model_dump(mode="json")).running_experiments() == [HALVES]
    with pytest.raises(ConfigError, match="give it arms"):
        ServeArgs(**plain, experiments={"x": {}}).running_experiments()
    with pytest.raises(ValidationError, match="rankr"):
        ServeArgs(**plain, experiments={"x": {"a": {"share": 1, "rankr": False}}})


class Ranked(CategoryCounter):
    """Remembers of each batch whether the ranker was allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed: list[tuple[int, bool]] = []

    def answer(
        self,
        states: Sequence[ShopperState],
        *,
        counts: Sequence[int],
        rng: np.random.Generator,
        with_encoder: bool = True,
        with_ranker: bool = True,
    ) -> list[Slate]:
        self.allowed.append((len(states), with_ranker))
        return super().answer(states, counts=counts, rng=rng, with_encoder=with_encoder, with_ranker=with_ranker)


async def test_an_arm_switches_the_ranker_off_and_answer_and_exposure_log_say_who_was_in_which() -> None:
    recommender, store = Ranked(), MemoryStore()
    await store.open()
    log = ExposureLog(store, gather_s=0.0)
    line = Answering(
        recommender, store, log, clock=ManualClock(NOW), rng=np.random.default_rng(0), experiments=[HALVES]
    )
    for name in map(str, range(20)):
        answer = await line.answer(Question(user_id=name))
        arm = answer.experiments["ranker"]
        assert recommender.allowed[-1] == (1, arm == "control")
        assert (answer.rung.name, answer.degraded) == ("FULL", None), "an arm is no trouble"
        await log.close()
        exposure = await store.exposure(answer.recommendation_id)
        assert exposure is not None
        assert (exposure.experiments, exposure.rung) == ((("ranker", arm),), "full")
    assert {allowed for _, allowed in recommender.allowed} == {True, False}
    assert (await line.answer(Question())).experiments == {}
    await line.close()
    await store.close()


def test_the_readme_says_how_an_experiment_is_started() -> None:
    """As `recsys-serve` reads it: the settings hold none, so it is added."""
    [said] = re.findall(r"`recsys-serve '(\+app\.experiments=.*?)'`", (ROOT / "README.md").read_text())
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("serve", [said])
    arms = ServeArgs.model_validate(
        {"bundle": ".", "store": {}, "experiments": OmegaConf.to_container(config.app.experiments)}
    ).running_experiments()
    assert [(one.name, [arm.name for arm in one.arms]) for one in arms] == [("ranker", ["control", "treatment"])]
