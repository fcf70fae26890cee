"""What the encoder's deployment does: question streams in, query vectors out, many calls in one batch."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from recsys.bundle import read_bundle
from recsys.errors import ConfigError
from recsys.sequence.batch import TokenTensors, collate
from recsys.sequence.stream import TokenStream

_KEPT = 2
"""Releases in memory: the one that answers and the one before or after it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Whose release, by its folder, and the question streams of B shoppers, each with its query at the end."""

    folder: str
    stream: TokenStream


@dataclass(frozen=True, slots=True)
class _Release:
    version: str
    encoder: nn.Module


class Encoders:
    """The encoders of the latest releases on a device, such as `cuda`; a release never seen is loaded when asked of."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._releases: OrderedDict[str, _Release] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(self, folder: str) -> str:
        """Load a release; its version. Raises BundleError if it cannot be read."""
        with self._lock:
            if folder not in self._releases:
                recommender = read_bundle(Path(folder))
                if not isinstance(recommender.encoder, nn.Module):
                    raise ConfigError(f"the encoder of {folder} is no torch module; serve it with encoding=inside")
                encoder = recommender.encoder.to(self._device).eval()
                self._releases[folder] = _Release(recommender.model_version, encoder)
            self._releases.move_to_end(folder)
            while len(self._releases) > _KEPT:
                self._releases.popitem(last=False)
            return self._releases[folder].version

    def encode(self, asks: Sequence[Ask]) -> list[np.ndarray | Exception]:
        """Query vectors [B, D] float32 of each ask; what failed says why, and the others have theirs."""
        by_folder: dict[str, list[int]] = {}
        for place, ask in enumerate(asks):
            by_folder.setdefault(ask.folder, []).append(place)
        found: dict[int, np.ndarray | Exception] = {}
        for folder, places in by_folder.items():
            found |= zip(places, self._of(folder, [asks[place].stream for place in places]), strict=True)
        return [found[place] for place in range(len(asks))]

    def _of(self, folder: str, streams: Sequence[TokenStream]) -> Sequence[np.ndarray | Exception]:
        try:
            self.prepare(folder)
            vectors = self._vectors(self._releases[folder].encoder, joined(streams))
        except Exception as failure:  # noqa: BLE001 - it is raised again, to whoever asked
            if len(streams) == 1:
                return [failure]
            return [found for stream in streams for found in self._of(folder, [stream])]
        counts = [len(stream.start) - 1 for stream in streams]
        return np.split(vectors, np.cumsum(counts)[:-1])

    def _vectors(self, encoder: nn.Module, stream: TokenStream) -> np.ndarray:
        with torch.inference_mode():
            tokens = TokenTensors.of(stream, self._device)
            batch = collate(tokens, stream.start[:-1], stream.start[1:], target_from=None, ordered=False)
            vectors: np.ndarray = encoder(batch).float().cpu().numpy()
        return vectors


def joined(streams: Sequence[TokenStream]) -> TokenStream:
    """Several streams as one, their sequences one after another."""
    if len(streams) == 1:
        return streams[0]
    shift = np.cumsum([0, *(len(stream.item) for stream in streams)])
    names = ("item", "type", "time", "moment", "is_query", "reach")
    columns: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in streams]) for name in names}
    return TokenStream(
        **columns,
        features={name: np.concatenate([one.features[name] for one in streams]) for name in streams[0].features},
        start=np.concatenate([[0], *(one.start[1:] + by for one, by in zip(streams, shift, strict=False))]),
    )
