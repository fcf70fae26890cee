"""The plain training loop."""

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from recsys.errors import ConfigError, TrainingError
from recsys.loss.sampled_softmax import SampledSoftmax
from recsys.model.sasrec import SASRec
from recsys.sampler.uniform import UniformSampler
from recsys.sequence.loader import Loader
from tests.recsys.by_hand import histories, spec
from training.trainer.single import SingleTrainer, device_of

ITEMS = 9
UNIFORM = UniformSampler(popularity=torch.ones(ITEMS))


@dataclass
class Notes:
    """A watch that writes down what it is told; it validates with the figures it was given, then with 0."""

    figures: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def validate(self) -> float:
        return self.figures.pop(0) if self.figures else 0.0

    def epoch_began(self, *, epoch: int, epochs: int, steps: int) -> None:
        self.heard.append(f"{epoch + 1}/{epochs} began with {steps} steps")

    def stepped(self, *, loss: float, tokens_per_s: float) -> None:
        assert tokens_per_s > 0

    def epoch_ended(self, *, epoch: int, loss: float, tokens_per_s: float, quality: float) -> None:
        self.losses.append(loss)

    def cut_short(self, *, epoch: int, epochs: int, minutes: float) -> None:
        self.heard.append(f"cut short after {epoch + 1}")


def loader() -> Loader:
    """Everybody takes 1, 2, 3, ... in turn."""
    log = histories(*([((number + at) % (ITEMS - 1) + 1, at) for at in range(1, 12)] for number in range(8)))
    return Loader.of(log, spec(), batch_tokens=60, context=10)


def fitted(watch: Notes, **settings: object) -> tuple[SASRec, dict[str, float]]:
    torch.manual_seed(0)
    encoder = SASRec(items=ITEMS, features=spec(), dim=8, blocks=1, dropout=0.0)
    trainer = SingleTrainer(**{"batch_tokens": 60, "device": "cpu", "learning_rate": 0.02, **settings})  # type: ignore[arg-type]
    measured = trainer.fit(
        encoder,
        loader(),
        loss=SampledSoftmax(32),
        sampler=UNIFORM,
        seed=0,
        watch=watch,
    )
    return encoder, dict(measured)


def test_the_loss_falls_and_the_encoder_is_left_ready_to_answer() -> None:
    watch = Notes()
    encoder, measured = fitted(watch, epochs=40)
    assert watch.losses[-1] < 0.5 * watch.losses[0]
    assert not encoder.training
    assert measured["epochs"] == 40
    assert watch.heard[0].startswith("1/40 began with")


def test_the_weights_of_the_best_validated_epoch_are_kept() -> None:
    _, measured = fitted(Notes([0.1, 0.3, 0.2]), epochs=3)
    assert measured["kept_epoch"] == 2


def test_where_nothing_can_be_validated_the_last_epoch_is_kept() -> None:
    _, measured = fitted(Notes([0.0, 0.0, 0.0]), epochs=3)
    assert measured["kept_epoch"] == 3


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_warm_up_of_a_single_step_breaks_nothing(epochs: int) -> None:
    steps = epochs * len(loader().batches(seed=0, epoch=0)) + 1
    _, measured = fitted(Notes(), epochs=epochs, warmup=1 / steps)
    assert measured["epochs"] == epochs


def test_a_run_out_of_time_ends_after_the_epoch_and_says_so() -> None:
    watch = Notes()
    _, measured = fitted(watch, epochs=3, minutes=0.0)
    assert measured["epochs"] == 1
    assert watch.heard[-1] == "cut short after 1"


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two = (fitted(Notes(), epochs=2)[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_loss_that_is_no_number_stops_the_training_with_the_remedy() -> None:
    class Broken(SampledSoftmax):
        def __call__(self, query: Tensor, *rest: object) -> Tensor:
            return query.sum() * float("nan")

    encoder = SASRec(items=ITEMS, features=spec(), dim=8, blocks=1)
    with pytest.raises(TrainingError, match=r"the loss became nan in epoch 1, batch 1; lower trainer\.learning_rate"):
        SingleTrainer(device="cpu").fit(
            encoder,
            loader(),
            loss=Broken(),
            sampler=UNIFORM,
            seed=0,
            watch=Notes(),
        )


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"device": "abacus"}, {"context_tokens": 0}])
def test_settings_that_cannot_work_are_refused_at_once(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"trainer.{next(iter(settings))}"):
        SingleTrainer(**settings)  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_and_auto_does_without() -> None:
    with pytest.raises(ConfigError, match=r"sees no GPU; use trainer\.device=cpu"):
        device_of("cuda")
    assert device_of("auto") == torch.device("cpu")
