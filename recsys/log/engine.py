"""Who runs the steps of writing a log: threads of this process, or whatever else can run a function on many tasks."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from recsys.errors import ConfigError
from recsys.log.intake import ArrivingPart

T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """Runs a step on tasks that do not depend on each other. A task, a step and a result can be sent to a process."""

    def run(self, step: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """The results, in the order of the tasks. The first error ends it."""
        ...

    def shares(self, parts: Sequence[ArrivingPart]) -> Sequence[tuple[ArrivingPart, ...]]:
        """The parts in groups that are read at the same time, each by one task."""
        ...


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Threads of this process; the parts are read one after the other.

    Args:
        threads: how many; each holds one task in memory.
    """

    threads: int = 2

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ConfigError(f"engine.threads is {self.threads}; give at least 1")

    def __enter__(self) -> "LocalEngine":
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def run(self, step: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """The results, in the order of the tasks."""
        waiting: deque[Future[R]] = deque()
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                for task in tasks:
                    waiting.append(pool.submit(step, task))
                    if len(waiting) > self.threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def shares(self, parts: Sequence[ArrivingPart]) -> Sequence[tuple[ArrivingPart, ...]]:
        """All in one."""
        return [tuple(parts)] if parts else []
