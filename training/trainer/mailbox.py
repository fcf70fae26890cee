"""How workers on other machines talk to the process that shows, tracks and validates."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from training.protocols import Watch
from training.trainer.team import Team

Message = tuple[str, Mapping[str, Any]]
"""What happened, named like a method of `Watch` or "weights" or "done" or "refused", and with which arguments."""
_STEPS = 20
"""Steps told at once, so that telling takes no time."""


class Remote(Protocol):
    """Sends a message, and waits for the answer if asked to."""

    def tell(self, message: Message) -> None: ...

    def ask(self, message: Message) -> float: ...


class Mailbox:
    """Lives in a process of its own (a Ray actor); workers put messages in, the driver takes them out in order."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[tuple[int | None, Message]] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[float]] = {}

    async def tell(self, message: Message) -> None:
        """Leave a message."""
        await self._messages.put((None, message))

    async def ask(self, message: Message) -> float:
        """Leave a message and wait for the answer."""
        number = len(self._answers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._messages.put((number, message))
        return await self._answers[number]

    async def take(self, timeout_s: float) -> tuple[int | None, Message] | None:
        """The next message, and the number under which it wants an answer; None if none comes in time."""
        try:
            return await asyncio.wait_for(self._messages.get(), timeout_s)
        except TimeoutError:
            return None

    async def answer(self, number: int, value: float) -> None:
        """Answer a question; nobody may be listening any more."""
        self._answers[number].set_result(value)


class WorkersWatch:
    """A `Watch` in a worker: number 0 passes on what happens, and all learn what the validation said."""

    def __init__(self, team: Team, module: nn.Module, remote: Remote) -> None:
        self._team = team
        self._module = module
        self._remote = remote
        self._steps: list[Mapping[str, float]] = []

    def validate(self) -> float:
        """The driver's verdict on the weights as they are now."""
        quality = 0.0
        if self._team.rank == 0:
            quality = self._remote.ask(("validate", {"weights": weights_of(self._module)}))
        return self._team.told(quality)

    def said(self, line: str) -> None:
        """Passed on."""
        self._tell("said", line=line)

    def epoch_began(self, *, epoch: int, epochs: int, steps: int, taken: int) -> None:
        """Passed on."""
        self._tell("epoch_began", epoch=epoch, epochs=epochs, steps=steps, taken=taken)

    def stepped(self, *, loss: float, tokens_per_s: float, waiting: float) -> None:
        """Passed on, several at once."""
        self._steps.append({"loss": loss, "tokens_per_s": tokens_per_s, "waiting": waiting})
        if len(self._steps) == _STEPS:
            self._flush()

    def epoch_ended(self, *, epoch: int, loss: float, tokens_per_s: float, waiting: float, quality: float) -> None:
        """Passed on."""
        figures = {"loss": loss, "tokens_per_s": tokens_per_s, "waiting": waiting, "quality": quality}
        self._tell("epoch_ended", epoch=epoch, **figures)

    def cut_short(self, *, epoch: int, epochs: int, minutes: float) -> None:
        """Passed on."""
        self._tell("cut_short", epoch=epoch, epochs=epochs, minutes=minutes)

    def _tell(self, what: str, **arguments: Any) -> None:
        self._flush()
        if self._team.rank == 0:
            self._remote.tell((what, arguments))

    def _flush(self) -> None:
        if self._team.rank == 0 and self._steps:
            self._remote.tell(("stepped", {"steps": self._steps}))
        self._steps = []


class DriversEar:
    """Hands what workers tell to the watch, once: a worker that goes on tells again what was before.

    Attributes:
        measured: what the training measured; None before it is over.
        refused: why it could not go on; None if it could.
    """

    def __init__(self, module: nn.Module, watch: Watch) -> None:
        self._module = module
        self._watch = watch
        self._epochs = 0
        self.measured: Mapping[str, float] | None = None
        self.refused: str | None = None
        self._heard: dict[str, Callable[..., float | None]] = {
            "validate": self._validate,
            "said": lambda line: watch.said(line),
            "epoch_began": watch.epoch_began,
            "stepped": self._stepped,
            "epoch_ended": self._epoch_ended,
            "cut_short": watch.cut_short,
            "done": self._done,
            "refused": self._refused,
        }

    def hear(self, message: Message) -> float:
        """Do what is asked; the answer, 0 where there is none."""
        what, arguments = message
        return self._heard[what](**arguments) or 0.0

    def _validate(self, weights: Mapping[str, Tensor]) -> float:
        self._module.load_state_dict(weights)
        return self._watch.validate()

    def _stepped(self, steps: list[Mapping[str, float]]) -> None:
        for step in steps:
            self._watch.stepped(loss=step["loss"], tokens_per_s=step["tokens_per_s"], waiting=step["waiting"])

    def _epoch_ended(self, *, epoch: int, **figures: float) -> None:
        if epoch >= self._epochs:
            self._epochs = epoch + 1
            self._watch.epoch_ended(epoch=epoch, **figures)

    def _done(self, weights: Mapping[str, Tensor], measured: Mapping[str, float]) -> None:
        self._module.load_state_dict(weights)
        self.measured = measured

    def _refused(self, reason: str) -> None:
        self.refused = reason


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all weights, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
