"""What the encoder's deployment does: question streams in, query vectors out, many calls in one batch."""

import logging
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
from recsys.errors import ConfigError, EncoderError
from recsys.sequence.batch import TokenTensors, collate
from recsys.sequence.stream import TokenStream

_log = logging.getLogger("attune.encoder")
_KEPT = 3
"""Releases in memory: the one that answers, the one before it, and one that is tried out."""


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
    """The encoders of the latest releases on a device, such as `cuda`; others are encoded while one is loaded."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._releases: OrderedDict[str, _Release] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def prepare(self, folder: str) -> str:
        """Load a release; its version. Raises BundleError if it cannot be read."""
        with self._loading:
            release = self._known(folder) or self._loaded(folder)
            with self._lock:
                self._releases[folder] = release
                while len(self._releases) > _KEPT:
                    self._releases.popitem(last=False)
        return release.version

    def encode(self, asks: Sequence[Ask]) -> list[np.ndarray | Exception]:
        """Query vectors [B, D] float32 of each ask; what failed says why, and the others have theirs."""
        by_folder: dict[str, list[int]] = {}
        for place, ask in enumerate(asks):
            by_folder.setdefault(ask.folder, []).append(place)
        found: dict[int, np.ndarray | Exception] = {}
        for folder, places in by_folder.items():
            found |= zip(places, self._of(folder, [asks[place].stream for place in places]), strict=True)
        return [found[place] for place in range(len(asks))]

    def _known(self, folder: str) -> _Release | None:
        with self._lock:
            if folder in self._releases:
                self._releases.move_to_end(folder)
            return self._releases.get(folder)

    def _loaded(self, folder: str) -> _Release:
        recommender = read_bundle(Path(folder))
        if not isinstance(recommender.encoder, nn.Module):
            raise ConfigError(f"the encoder of {folder} is no torch module; serve it with encoding=inside")
        return _Release(recommender.model_version, recommender.encoder.to(self._device).eval())

    def _load_meanwhile(self, folder: str) -> None:
        """Whoever asks of a release that is not at hand, after a restart say, does not keep the others waiting."""
        if not self._loading.locked():
            threading.Thread(target=self._try_to_prepare, args=(folder,), name="loading", daemon=True).start()

    def _try_to_prepare(self, folder: str) -> None:
        try:
            self.prepare(folder)
        except Exception:  # noqa: BLE001 - whoever asked has been told that there is nothing yet
            _log.exception("%s cannot be loaded", folder)

    def _of(self, folder: str, streams: Sequence[TokenStream]) -> Sequence[np.ndarray | Exception]:
        try:
            release = self._known(folder)
            if release is None:
                self._load_meanwhile(folder)
                raise EncoderError(f"the encoder of {folder} is being loaded; ask again in a moment")
            vectors = self._vectors(release.encoder, joined(streams))
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
