"""Work that goes better in batches, done off the event loop: what queued while the thread was busy is the next batch.

Nothing ever waits for a batch to fill up. A quiet service answers one question at a time, a busy one answers many at
once, and the moment of switching between the two needs no setting.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from recsys.errors import OverloadError

Question = TypeVar("Question")
Answer = TypeVar("Answer")


def _unobserved(waits_s: Sequence[float], took_s: float) -> None:
    """Nobody looks."""


class Batching(Generic[Question, Answer]):
    """One thread that runs `work` on everything that is waiting, up to `largest` questions at a time.

    `work` returns one answer per question, in order; an exception in place of an answer is raised to that caller
    alone; a question that its caller has given up is not worked on. More than `waiting` queued questions are refused
    with OverloadError, so the queue never grows without bound. `observe` is told of every batch how many seconds each
    question had waited and how many the batch took.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Question]], Sequence[Answer | Exception]],
        *,
        name: str,
        largest: int,
        waiting: int = 4096,
        observe: Callable[[Sequence[float], float], None] = _unobserved,
    ) -> None:
        self._work = work
        self._observe = observe
        self._name = name
        self._largest = largest
        self._limit = waiting
        self._queue: SimpleQueue[tuple[Question, asyncio.Future[Answer], float] | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many questions nobody works on yet."""
        return self._queue.qsize()

    async def __call__(self, question: Question, *, within_s: float | None = None) -> Answer:
        """The answer to one question; raises what `work` gave for it, OverloadError, or TimeoutError where it is not
        there within so many seconds."""
        if self._closed:
            raise OverloadError(f"{self._name} is shutting down")
        if self._queue.qsize() >= self._limit:
            raise OverloadError(f"{self._name} already has {self._limit} requests waiting; try again in a moment")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._queue.put((question, future, time.perf_counter()))
        if within_s is None:
            return await future
        too_late = loop.call_later(max(0.0, within_s), _give_up, future)
        try:
            return await future
        finally:
            too_late.cancel()

    async def close(self) -> None:
        """Answer what is queued, then end the thread."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while len(batch) < self._largest:
                try:
                    more = self._queue.get_nowait()
                except Empty:
                    break
                if more is None:
                    self._queue.put(None)
                    break
                batch.append(more)
            wanted = [(question, future, asked) for question, future, asked in batch if not future.done()]
            if not wanted:
                continue
            started = time.perf_counter()
            answers = self._answers([question for question, _, _ in wanted])
            took_s = time.perf_counter() - started
            _hand_over([future for _, future, _ in wanted], answers)
            self._observe([started - asked for _, _, asked in wanted], took_s)

    def _answers(self, questions: Sequence[Question]) -> Sequence[Answer | Exception]:
        try:
            answers = self._work(questions)
        except Exception as failure:  # noqa: BLE001 - it is raised again, to whoever asked
            return [failure] * len(questions)
        if len(answers) != len(questions):
            mismatch = RuntimeError(f"{self._name} gave {len(answers)} answers to {len(questions)} questions")
            return [mismatch] * len(questions)
        return answers


def _give_up(future: "asyncio.Future[Answer]") -> None:
    """A timer of its own, because `asyncio.timeout` has the whole task cancelled and takes several times as long."""
    if not future.done():
        future.set_exception(TimeoutError())


def _hand_over(futures: Sequence[asyncio.Future[Answer]], answers: Sequence[Answer | Exception]) -> None:
    """Wake the callers with one call per event loop, which is far cheaper than one per caller."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Answer], Answer | Exception]]] = {}
    for future, answer in zip(futures, answers, strict=True):
        by_loop.setdefault(future.get_loop(), []).append((future, answer))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, pairs)
        except RuntimeError:  # the loop is closed: nobody waits there any more
            continue


def _resolve(pairs: Sequence[tuple[asyncio.Future[Answer], Answer | Exception]]) -> None:
    for future, answer in pairs:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
