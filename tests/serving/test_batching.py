"""Work in batches: what waits while the thread is busy is done together."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from recsys.errors import OverloadError
from serving.batching import Batching


class Doubler:
    """Doubles numbers; `gate` holds it back, `sizes` remembers how many it was given at a time."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.sizes: list[int] = []

    def __call__(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.sizes.append(len(numbers))
        self.entered.set()
        self.gate.wait(10)
        return [ValueError(f"{number} is negative") if number < 0 else 2 * number for number in numbers]


async def _asked(batching: Batching[int, int], numbers: Sequence[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batching(number)) for number in numbers]
    await asyncio.sleep(0)
    return tasks


async def test_what_arrives_while_the_thread_is_busy_is_answered_together() -> None:
    work = Doubler()
    work.gate.clear()
    batching = Batching(work, name="doubler", largest=8)
    first = await _asked(batching, [1])
    await asyncio.to_thread(work.entered.wait)
    rest = await _asked(batching, [2, 3, 4])
    work.gate.set()
    assert await asyncio.gather(*first, *rest) == [2, 4, 6, 8]
    assert work.sizes == [1, 3]
    await batching.close()


async def test_a_batch_is_never_larger_than_allowed() -> None:
    work = Doubler()
    work.gate.clear()
    batching = Batching(work, name="doubler", largest=2)
    first = await _asked(batching, [1])
    await asyncio.to_thread(work.entered.wait)
    rest = await _asked(batching, [2, 3, 4])
    work.gate.set()
    await asyncio.gather(*first, *rest)
    assert work.sizes == [1, 2, 1]
    await batching.close()


async def test_a_failure_reaches_only_the_question_it_belongs_to() -> None:
    batching = Batching(Doubler(), name="doubler", largest=8)
    good, bad = await asyncio.gather(batching(1), batching(-1), return_exceptions=True)
    assert good == 2
    assert isinstance(bad, ValueError)
    await batching.close()


async def test_too_many_waiting_questions_are_refused_at_once() -> None:
    work = Doubler()
    work.gate.clear()
    batching = Batching(work, name="doubler", largest=1, waiting=2)
    running = await _asked(batching, [1])
    await asyncio.to_thread(work.entered.wait)
    waiting = await _asked(batching, [2, 3])
    with pytest.raises(OverloadError, match="2 requests waiting"):
        await batching(4)
    work.gate.set()
    assert await asyncio.gather(*running, *waiting) == [2, 4, 6]
    await batching.close()


async def test_closing_answers_what_is_queued_and_refuses_what_comes_later() -> None:
    work = Doubler()
    work.gate.clear()
    batching = Batching(work, name="doubler", largest=1)
    tasks = await _asked(batching, [1, 2, 3])
    closing = asyncio.create_task(batching.close())
    work.gate.set()
    await closing
    assert await asyncio.gather(*tasks) == [2, 4, 6]
    with pytest.raises(OverloadError, match="shutting down"):
        await batching(4)


async def test_a_caller_who_gave_up_does_not_disturb_the_others() -> None:
    work = Doubler()
    work.gate.clear()
    batching = Batching(work, name="doubler", largest=8)
    impatient, patient = await _asked(batching, [1, 2])
    impatient.cancel()
    work.gate.set()
    assert await patient == 4
    await batching.close()


async def test_who_waits_no_longer_is_told_and_not_worked_for() -> None:
    work = Doubler()
    work.gate.clear()
    batching = Batching(work, name="doubler", largest=8)
    first = await _asked(batching, [1])
    await asyncio.to_thread(work.entered.wait)
    with pytest.raises(TimeoutError):
        await batching(2, within_s=0.01)
    with pytest.raises(TimeoutError):
        await batching(3, within_s=-1)
    work.gate.set()
    assert await asyncio.gather(*first) == [2]
    assert await batching(4, within_s=10) == 8
    assert work.sizes == [1, 1]
    await batching.close()
