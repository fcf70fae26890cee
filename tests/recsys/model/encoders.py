"""Every encoder, small and untrained, for the tests that all of them must pass."""

from typing import Any

import torch

from recsys.feature.spec import FeatureSpec
from recsys.model.encoder import SequenceEncoder
from recsys.model.gru4rec import GRU4Rec
from recsys.model.hstu import HSTU
from recsys.model.ligr import LiGR
from recsys.model.sasrec import SASRec

ENCODERS: dict[str, type[SequenceEncoder]] = {"sasrec": SASRec, "ligr": LiGR, "hstu": HSTU, "gru4rec": GRU4Rec}
BLOCKS = {"blocks": 2, "heads": 2}
DEEP: dict[str, dict[str, int]] = {"sasrec": BLOCKS, "ligr": BLOCKS, "hstu": BLOCKS, "gru4rec": {"layers": 2}}
"""Settings that make each of them two layers deep."""


def untrained(name: str, *, items: int, features: FeatureSpec, **settings: Any) -> SequenceEncoder:
    """The same weights each time, in evaluation mode."""
    torch.manual_seed(0)
    return ENCODERS[name](items=items, features=features, **{**DEEP[name], **settings}).eval()
