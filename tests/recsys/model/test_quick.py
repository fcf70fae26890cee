"""Cheap counterparts give what torch gives, for few rows and for many, and leave the original as it is."""

import numpy as np
import pytest
import torch
from torch import nn

from recsys.event import EventType
from recsys.model.dropout import Dropout
from recsys.model.hstu import HSTU
from recsys.model.ligr import LiGR
from recsys.model.quick import gelu, layer_norm, quick
from recsys.model.sasrec import SASRec
from recsys.protocols import ItemTower
from recsys.sequence.question import question_batch
from recsys.state import ShopperState
from recsys.tower.content import Content
from recsys.tower.id import Id
from recsys.tower.id_and_content import IdAndContent
from tests.recsys.sequence.random_logs import ITEMS, Happening, context_of, everything_on, history_of

MODULES = {
    "linear": nn.Linear(8, 24),
    "linear without bias": nn.Linear(8, 24, bias=False),
    "norm": nn.LayerNorm(8),
    "norm without weights": nn.LayerNorm(8, elementwise_affine=False),
    "norm over two": nn.LayerNorm((3, 8)),
    "gelu": nn.GELU(),
    "rough gelu": nn.GELU(approximate="tanh"),
    "dropout": Dropout(0.5),
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("rows", [1, 4, 5_000])
def test_a_counterpart_gives_what_the_module_gives(name: str, rows: int) -> None:
    module = nn.Sequential(MODULES[name]).eval()
    torch.manual_seed(0)
    for weight in module.parameters():
        nn.init.normal_(weight)
    given = torch.randn(rows, 3, 8) * 2 + 1
    with torch.inference_mode():
        torch.testing.assert_close(quick(module)(given), module(given), rtol=1e-5, atol=2e-5)


def test_compiled_norm_and_gelu_are_the_plain_ones() -> None:
    generator = np.random.default_rng(0)
    rows, weight, bias = (generator.standard_normal(shape).astype(np.float32) for shape in ((6, 9), 9, 9))
    one, other = np.empty((2, 6, 9), np.float32)
    layer_norm(rows, weight, bias, 1e-5, one)
    getattr(layer_norm, "py_func", layer_norm)(rows, weight, bias, 1e-5, other)
    np.testing.assert_allclose(one, other, atol=1e-5)
    one, other = rows.ravel().copy(), rows.ravel().copy()
    gelu(one)
    getattr(gelu, "py_func", gelu)(other)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_by_hand_a_norm_and_a_gelu() -> None:
    """1 and 3 lie one standard deviation from their mean; a standard normal is below 1 with 84.134 %."""
    found = np.empty((1, 2), np.float32)
    layer_norm(np.array([[1.0, 3.0]], np.float32), np.ones(2, np.float32), np.zeros(2, np.float32), 0.0, found)
    assert found.tolist() == [[-1.0, 1.0]]
    numbers = np.array([0.0, 1.0, -1.0], np.float32)
    gelu(numbers)
    np.testing.assert_allclose(numbers, [0.0, 0.84134, -0.15866], atol=1e-5)


@pytest.mark.parametrize("kind", [SASRec, LiGR, HSTU], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("tower", [Id(), Content(), IdAndContent()], ids=lambda tower: type(tower).__name__)
def test_an_encoder_with_every_feature_reads_the_same(kind: type[SASRec], tower: ItemTower) -> None:
    spec = everything_on(max_length=6, memory=9)
    torch.manual_seed(0)
    encoder = kind(items=ITEMS, features=spec, dim=8, blocks=2, heads=2, tower=tower)
    events = [Happening(at, 1 + at % 5, EventType.PURCHASE, 1.0, 2.0, 3.0, 1, 2, at, (3, 4)) for at in (1, 2, 2, 4)]
    batch = question_batch([ShopperState(history_of(events), context_of(spec, [], 7))], spec)
    copied = quick(encoder)
    assert encoder.training
    encoder.eval()
    with torch.inference_mode():
        hidden = copied.embedder(batch)
        torch.testing.assert_close(hidden, encoder.embedder(batch), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(copied(batch), encoder(batch), rtol=1e-5, atol=2e-5)
    assert isinstance(encoder.embedder.query, nn.Parameter)
    shared = {weight.data_ptr() for weight in encoder.embedder.tower.parameters()}
    assert {weight.data_ptr() for weight in copied.embedder.tower.parameters()} <= shared


def test_the_original_goes_on_training() -> None:
    module = nn.Sequential(nn.Linear(2, 2), Dropout(0.5))
    quick(module)
    assert module.training
    assert [type(part) for part in module] == [nn.Linear, Dropout]
