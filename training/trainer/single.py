"""One process, one device: the plain loop."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from recsys.errors import ConfigError, TrainingError
from recsys.protocols import Encoder, Loss, Sampler
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.loader import Loader
from training.protocols import Watch


def device_of(name: str) -> torch.device:
    """The device called `name`; "auto" takes a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"trainer.device={name}, but torch {torch.__version__} sees no GPU; use trainer.device=cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"trainer.device={name!r} is not a device; use auto, cpu or cuda") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleTrainer:
    """Adam with a one-cycle schedule.

    Args:
        epochs: passes over the training windows.
        batch_tokens: tokens of a batch, padding counted.
        context_tokens: how much of what came before each further window of a long history repeats.
        learning_rate: its peak.
        warmup: share of all steps until the peak.
        clip_norm: longest gradient.
        device: auto, cpu or cuda.
        resident: whether the token stream lies on the device, so that batches are cut there and nothing is copied for
            each of them; else batches are put together on the CPU and sent.
        minutes: where one more epoch like the last would take longer than this in all, training ends; the result says
            so.
    """

    epochs: int = 4
    batch_tokens: int = 3_200
    context_tokens: int = 50
    learning_rate: float = 2e-3
    warmup: float = 0.1
    clip_norm: float = 1.0
    device: str = "auto"
    resident: bool = True
    minutes: float = 30.0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ConfigError(f"trainer.epochs is {self.epochs}; train for at least 1")
        if self.context_tokens < 1:
            raise ConfigError(f"trainer.context_tokens is {self.context_tokens}; repeat at least 1")
        device_of(self.device)

    @property
    def batches_on(self) -> torch.device:
        """The device itself, or the CPU where the stream shall not lie on it."""
        return device_of(self.device) if self.resident else torch.device("cpu")

    def fit(
        self, encoder: Encoder, loader: Loader, *, loss: Loss, sampler: Sampler, seed: int, watch: Watch
    ) -> Mapping[str, float]:
        """Train `encoder` in place, keep the weights of the best validated epoch, leave it on the CPU in eval mode."""
        if not isinstance(encoder, nn.Module):
            raise ConfigError(
                f"the encoder {type(encoder).__name__} is not a torch module; SingleTrainer cannot fit it"
            )
        device = device_of(self.device)
        module: nn.Module = encoder
        module.to(device)
        generator = torch.Generator(device).manual_seed(seed)
        optimizer = torch.optim.Adam(module.parameters(), lr=self.learning_rate, fused=True)
        steps = [len(loader.batches(seed=seed, epoch=epoch)) for epoch in range(self.epochs)]
        total = sum(steps) + 1
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.learning_rate, total_steps=total, pct_start=max(self.warmup, 2 / total)
        )
        began, tokens, best, quality, kept = time.monotonic(), 0, {}, -1.0, 0
        for epoch in range(self.epochs):
            watch.epoch_began(epoch=epoch, epochs=self.epochs, steps=steps[epoch])
            losses, epoch_tokens, epoch_began = 0.0, 0, time.monotonic()
            for step, batch in enumerate(_on(device, loader.epoch(seed=seed, epoch=epoch))):
                value = _step(encoder, batch, loss, sampler, optimizer, generator, self.clip_norm)
                schedule.step()
                if not value < float("inf"):
                    raise TrainingError(
                        f"the loss became {value} in epoch {epoch + 1}, batch {step + 1}; "
                        f"lower trainer.learning_rate={self.learning_rate}"
                    )
                losses += value
                epoch_tokens += batch.tokens
                watch.stepped(loss=value, tokens_per_s=epoch_tokens / (time.monotonic() - epoch_began))
            rate = epoch_tokens / (time.monotonic() - epoch_began)
            tokens += epoch_tokens
            module.to("cpu").eval()
            reached = watch.validate()
            watch.epoch_ended(epoch=epoch, loss=losses / steps[epoch], tokens_per_s=rate, quality=reached)
            if reached >= quality:
                quality, kept = reached, epoch + 1
                best = {name: tensor.clone() for name, tensor in module.state_dict().items()}
            now = time.monotonic()
            if epoch + 1 < self.epochs and now - began + (now - epoch_began) > 60 * self.minutes:
                watch.cut_short(epoch=epoch, epochs=self.epochs, minutes=self.minutes)
                break
            module.to(device).train()
        module.to("cpu").eval()
        module.load_state_dict(best)
        seconds = time.monotonic() - began
        return {"train_s": seconds, "tokens_per_s": tokens / seconds, "epochs": epoch + 1, "kept_epoch": kept}


def _on(device: torch.device, batches: Iterator[SequenceBatch]) -> Iterator[SequenceBatch]:
    return (batch if batch.item.device == device else batch.to(device) for batch in batches)


def _step(
    encoder: Encoder,
    batch: SequenceBatch,
    loss: Loss,
    sampler: Sampler,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    clip_norm: float,
) -> float:
    """One update; the loss before it."""
    negatives = sampler.draw(loss.negatives, target=batch.pair_target, generator=generator)
    value = loss(encoder(batch), batch, encoder.item_vectors, negatives)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(value)
    nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], clip_norm)
    optimizer.step()
    return float(value.detach())
