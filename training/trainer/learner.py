"""What changes while an encoder learns, as one thing that can be stored and restored to the bit."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from recsys.errors import ConfigError
from recsys.protocols import Encoder
from training.checkpoint import Snapshot
from training.protocols import Optimizer, Schedule
from training.trainer.gradient import clip
from training.trainer.progress import Progress


@dataclass(slots=True, kw_only=True)
class Learner:
    """Weights, optimiser, schedule, random numbers and progress.

    `best` are the weights of the best validated epoch, on the CPU; none before the first.
    """

    module: nn.Module
    device: torch.device
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    generator: torch.Generator
    best: dict[str, Tensor] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)

    @classmethod
    def of(
        cls, encoder: Encoder, *, device: torch.device, optimizer: Optimizer, schedule: Schedule, steps: int, seed: int
    ) -> "Learner":
        """At the beginning of `steps` steps; ConfigError where the encoder is no torch module."""
        if not isinstance(encoder, nn.Module):
            raise ConfigError(f"the encoder {type(encoder).__name__} is no torch module and cannot be fitted")
        module = encoder.to(device).train()
        built = optimizer.build(module)
        return cls(
            module=module,
            device=device,
            optimizer=built,
            schedule=schedule.build(built, steps=steps),
            generator=torch.Generator(device).manual_seed(seed),
        )

    @property
    def rate(self) -> float:
        """The learning rate now."""
        return float(self.optimizer.param_groups[0]["lr"])

    def differentiate(self, value: Tensor, *, clip_norm: float | None) -> tuple[float, float]:
        """Find the gradient of the loss `value` and clip it; the loss, and how long the gradient was before."""
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        length = clip(self.module.parameters(), clip_norm)
        return float(value.detach()), float(length)

    def step(self) -> None:
        """One update by the gradient that was found; the schedule goes on."""
        self.optimizer.step()
        self.schedule.step()

    def settle(self) -> None:
        """Leave the module on the CPU, in eval mode, with the best weights."""
        self.module.to("cpu").eval()
        self.module.load_state_dict(self.best)

    def keep(self) -> None:
        """The weights as they are now are the best."""
        self.best = {name: tensor.detach().cpu().clone() for name, tensor in self.module.state_dict().items()}

    def snapshot(self) -> Snapshot:
        """Everything, for a checkpoint; tensors are not copied, and weights that are the best so far not told twice."""
        tensors, plain = _flat(self.optimizer.state_dict())
        best = {} if self._at_best else self.best
        random = {"torch": torch.get_rng_state(), "sampler": self.generator.get_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        return Snapshot(
            {"weights": self.module.state_dict(), "optimizer": tensors, "best": best, "random": random},
            {"optimizer": plain, "schedule": self.schedule.state_dict(), "progress": asdict(self.progress)},
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Be what the snapshot was taken of."""
        self.module.load_state_dict(snapshot.tensors["weights"])
        self.optimizer.load_state_dict(_nested(snapshot.tensors["optimizer"], snapshot.plain["optimizer"]))
        self.schedule.load_state_dict(dict(snapshot.plain["schedule"]))
        self.progress = Progress(**snapshot.plain["progress"])
        best = snapshot.tensors["weights" if self._at_best else "best"]
        self.best = {name: tensor.clone() for name, tensor in best.items()}
        random = snapshot.tensors["random"]
        self.generator.set_state(random["sampler"])
        torch.set_rng_state(random["torch"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(random["cuda"], self.device)

    @property
    def _at_best(self) -> bool:
        """Whether no step was taken since the best weights were kept."""
        return self.progress.taken == 0 and 0 < self.progress.kept == self.progress.epoch


def _flat(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser's state as tensors named `parameter.name` and as plain values."""
    tensors = {f"{number}.{name}": value for number, own in state["state"].items() for name, value in own.items()}
    return tensors, {"param_groups": state["param_groups"]}


def _nested(tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> dict[str, Any]:
    """What `_flat` took apart; tensors are copied into memory of their own."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value.clone()
    groups = [{**group, "betas": tuple(group["betas"])} if "betas" in group else group for group in _groups(plain)]
    return {"state": state, "param_groups": groups}


def _groups(plain: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(group) for group in plain["param_groups"]]
