"""Chooses how steps are computed by timing a few on real batches, before the first one counts."""

import time
from collections.abc import Callable

import torch
from torch import nn

from recsys.protocols import Encoder, Loss, Sampler
from recsys.sequence.loader import Loader
from training.protocols import Watch
from training.trainer.way import Switches, Way, fastest

LEAST_STEPS = 200
"""A training of fewer steps is over before measuring has paid."""
_SECONDS, _MOST = 0.5, 8


def chosen_way(
    switches: Switches,
    encoder: Encoder,
    loader: Loader,
    *,
    loss: Loss,
    sampler: Sampler,
    device: torch.device,
    seed: int,
    steps: int,
    watch: Watch,
) -> Way:
    """The fastest way that the switches leave for a training of `steps` steps; `watch` is told what was measured.

    Neither weights nor random numbers of the training are touched. What a way takes to begin (compiling) counts.
    """
    options = switches.options(device)
    if steps < LEAST_STEPS or all(len(values) == 1 for values in options.values()):
        return switches.plain(device)
    windows = loader.batches(seed=seed, epoch=0)[0]

    def cost(way: Way) -> float | None:
        generator = torch.Generator(device).manual_seed(seed)
        placed, forward = way.placed(loader, device), way.forward(encoder)

        def step() -> None:
            batch = placed.load(windows).to(device)
            negatives = sampler.draw(loss.negatives, target=batch.pair_target, generator=generator)
            with way.autocast(device):
                value = loss(forward(batch), batch, encoder.item_vectors, negatives)
            torch.autograd.backward(value)
            float(value.detach())  # waits for the device

        try:
            return _seconds(step) + steps * min(_repeated(step))
        except RuntimeError as error:  # too little memory, no compiler, a device without the type
            watch.said(f"{way.words()}: does not work here ({str(error).splitlines()[0]})")
            return None

    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        best, tried = fastest(options, cost)
    if isinstance(encoder, nn.Module):
        encoder.zero_grad(set_to_none=True)
    seen = "; ".join(f"{way.words()} {1000 * total / steps:.1f} ms" for way, total in tried if total is not None)
    watch.said(f"steps are computed in {best.words()} (measured here, a step: {seen})")
    return best


def _seconds(step: Callable[[], None]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def _repeated(step: Callable[[], None]) -> list[float]:
    """Times of some further steps, for about half a second."""
    times = [_seconds(step)]
    while sum(times) < _SECONDS and len(times) < _MOST:
        times.append(_seconds(step))
    return times
