"""The encoder's own deployment: Ray around `serving/encoding/encoders.py`."""

import asyncio

import numpy as np
import torch
from ray import serve

from recsys.sequence.stream import TokenStream
from serving import internal_port
from serving.batching import Batching
from serving.encoding.encoders import Ask, Encoders


@serve.deployment(name="encoder", max_ongoing_requests=256, health_check_period_s=2, health_check_timeout_s=10)
class Encoder:
    """Encodes everything that queued while it was busy in one go."""

    def __init__(self, bundle: str, *, device: str, threads: int, largest_batch: int, loopback: bool) -> None:
        if loopback:
            internal_port.keep_private()
        torch.set_num_threads(threads)
        self._encoders = Encoders(device)
        self._encoders.prepare(bundle)
        self._batch = Batching(self._encoders.encode, name="encoder", largest=largest_batch, waiting=256)

    async def prepare(self, folder: str) -> str:
        """Have a release at hand; its version."""
        return await asyncio.to_thread(self._encoders.prepare, folder)

    async def encode(self, folder: str, stream: TokenStream) -> np.ndarray:
        """Query vectors [B, D] of the B sequences of a stream."""
        return await self._batch(Ask(folder, stream))
