"""Which parameters decay."""

import pytest
import torch
from torch import nn

from recsys.errors import ConfigError
from recsys.model.sasrec import SASRec
from recsys.protocols import Encoder
from recsys.tower.id import Id
from tests.recsys.by_hand import spec
from training.optimizer.adagrad import Adagrad
from training.optimizer.adam import Adam
from training.optimizer.adamw import AdamW
from training.optimizer.groups import groups, tables
from training.optimizer.rowwise_adam import RowwiseAdam


def sasrec(sparse: bool = False) -> SASRec:
    return SASRec(items=9, features=spec(), dim=8, blocks=1, tower=Id(sparse=sparse))


def test_matrices_decay_and_norms_biases_and_embeddings_do_not() -> None:
    encoder: Encoder = sasrec()
    assert isinstance(encoder, nn.Module)
    decayed, spared = groups(encoder, 0.1)
    names = {id(weight): name for name, weight in encoder.named_parameters()}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    found = {names[id(weight)] for weight in decayed["params"]}
    assert all(name.startswith("trunk.") and name.endswith(".weight") for name in found)
    assert not any("norm" in name for name in found)
    assert sorted(names) == sorted(id(weight) for group in (decayed, spared) for weight in group["params"])
    assert "embedder.features.small" in {names[id(weight)] for weight in spared["params"]}


def test_without_decay_there_is_one_group_in_the_order_of_the_module() -> None:
    module = sasrec()
    (group,) = groups(module, 0.0)
    assert [id(weight) for weight in group["params"]] == [id(weight) for weight in module.parameters()]


def test_tables_are_what_is_looked_up() -> None:
    module = sasrec()
    assert module.embedder.tower.get_parameter("table.weight") in tables(module)
    assert all(table.shape[1] == 8 for table in tables(module))


@pytest.mark.parametrize("optimizer", [Adam(weight_decay=0.1), AdamW(weight_decay=0.1), Adagrad(weight_decay=0.1)])
def test_decay_pulls_a_matrix_without_gradient_towards_zero_and_leaves_a_table(
    optimizer: Adam | AdamW | Adagrad,
) -> None:
    module = nn.ModuleDict({"table": nn.Embedding(3, 2), "matrix": nn.Linear(2, 2)})
    nn.init.ones_(module["matrix"].get_parameter("weight"))
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    for weight in module.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.build(module).step()
    after = dict(module.named_parameters())
    assert (after["matrix.weight"].abs() < before["matrix.weight"].abs()).all()
    assert torch.equal(after["table.weight"], before["table.weight"])
    assert torch.equal(after["matrix.bias"], before["matrix.bias"])


@pytest.mark.parametrize("optimizer", [Adam(), AdamW()])
def test_sparse_gradients_are_refused_where_they_cannot_be_taken(optimizer: Adam | AdamW) -> None:
    with pytest.raises(ConfigError, match=r"tower\.sparse=true .* use optimizer=rowwise_adam or optimizer=adagrad"):
        optimizer.build(sasrec(sparse=True))


@pytest.mark.parametrize("made", [Adam, AdamW, Adagrad, RowwiseAdam])
@pytest.mark.parametrize("setting", ["learning_rate", "weight_decay"])
def test_rates_below_zero_are_refused(made: type[Adam | AdamW | Adagrad | RowwiseAdam], setting: str) -> None:
    with pytest.raises(ConfigError, match=rf"optimizer\.{setting} is -1"):
        made(**{setting: -1.0})


@pytest.mark.parametrize("made", [Adam, AdamW, RowwiseAdam])
@pytest.mark.parametrize("setting", ["beta1", "beta2"])
def test_a_memory_that_never_fades_is_refused(made: type[Adam | AdamW | RowwiseAdam], setting: str) -> None:
    with pytest.raises(ConfigError, match=rf"optimizer\.{setting} is 1\.0; give a memory from 0"):
        made(**{setting: 1.0})
