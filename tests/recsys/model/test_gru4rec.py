"""GRU4Rec: its steps against torch's own cell, its starts, and what a moment and a question are to it."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recsys.event import EventType
from recsys.feature.spec import FeatureSpec
from recsys.model.dropout import Dropout
from recsys.model.gru4rec import GRU4Rec, Recurrence
from recsys.sequence.batch import SequenceBatch
from recsys.sequence.loader import Loader
from recsys.sequence.question import question_batch
from tests.recsys.by_hand import Row, histories, spec, state

ORDER = spec(query="last", token=(), order_only=True, known_types=("view",), type_alias=EventType.VIEW)
TIMED = spec()


def encoder_of(features: FeatureSpec, **settings: float) -> GRU4Rec:
    torch.manual_seed(0)
    return GRU4Rec(items=9, features=features, **{"dim": 6, **settings}).eval()  # type: ignore[arg-type]


def cell_of(encoder: GRU4Rec, layer: int = 0) -> nn.GRUCell:
    """Torch's own cell with the weights of a layer."""
    cell = nn.GRUCell(6, 6)
    cell.load_state_dict(encoder.trunk.layers[layer].cell.state_dict())  # type: ignore[union-attr, index]
    return cell


def item_steps(encoder: GRU4Rec, items: Sequence[int]) -> Tensor:
    """The state after taking `items` one after the other, cell by cell."""
    cell, state_ = cell_of(encoder), torch.zeros(1, 6)
    for item in items:
        state_ = cell(encoder.embedder.tower(torch.tensor([item])), state_)
    return state_


def training_batch(features: FeatureSpec, rows: Sequence[Row]) -> SequenceBatch:
    loader = Loader.of(histories(rows), features, batch_tokens=1_000, context=5)
    return loader.load(np.arange(len(loader.windows)))


def test_on_data_of_order_alone_each_event_is_a_step_of_the_cell_with_its_item_vector() -> None:
    encoder = encoder_of(ORDER)
    batch = training_batch(ORDER, [(3, 1), (5, 2), (3, 3), (7, 4)])
    expected = torch.cat([item_steps(encoder, items) for items in ([3], [3, 5], [3, 5, 3])])
    torch.testing.assert_close(encoder.states(batch), expected)


def test_a_step_worked_out_by_hand() -> None:
    layer = Recurrence(dim=1, dropout=0.0, through_time=False).eval()
    with torch.no_grad():
        for name, values in (("weight_ih", (0.5, -1.0, 2.0)), ("weight_hh", (1.0, 0.5, -1.0))):
            getattr(layer.cell, name).copy_(torch.tensor(values)[:, None])
        states, _ = layer(torch.tensor([[[1.0], [2.0]]]), torch.empty(0), None)
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    update = sigmoid(-1.0)
    first = (1 - update) * math.tanh(2.0)
    reset, update = sigmoid(0.5 * 2 + first), sigmoid(-2 + 0.5 * first)
    second = (1 - update) * math.tanh(4 - reset * first) + update * first
    torch.testing.assert_close(states, torch.tensor([[[first], [second]]]))


def test_the_score_of_an_item_is_the_product_of_state_and_item_vector_and_its_bias_which_starts_at_zero() -> None:
    encoder = encoder_of(ORDER)
    encoder.prime(torch.arange(9.0))
    query = encoder(question_batch([state((3, 1), (5, 2), at=3)], ORDER))
    expected = item_steps(encoder, [3, 5]) @ encoder.embedder.tower().T
    torch.testing.assert_close(query @ encoder.item_vectors().T, expected)


def test_weights_start_uniformly_within_the_authors_bounds() -> None:
    torch.manual_seed(0)
    encoder = GRU4Rec(items=1_001, features=ORDER, dim=50)
    weights = encoder.state_dict()
    own = weights["embedder.tower.table.weight"]
    assert not own[0].any()
    recurrent = weights["trunk.layers.0.cell.weight_hh"]
    for weight, bound in ((own[1:], math.sqrt(6 / 1_050)), (recurrent, math.sqrt(6 / 100))):
        assert 0.98 * bound < float(weight.abs().max()) <= bound
        assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.03)
    for name, bias in encoder.trunk.named_parameters():
        assert "bias" not in name or not bias.any()


def test_the_items_of_a_basket_are_one_step_on_their_sum() -> None:
    encoder = encoder_of(TIMED)
    batch = question_batch([state((3, 1), (5, 1), (7, 2), at=9)], TIMED)
    embedded = encoder.embedder(batch)
    cell = cell_of(encoder)
    after_basket = cell(embedded[:, 0] + embedded[:, 1], torch.zeros(1, 6))
    after_all = cell(embedded[:, 2], after_basket)
    torch.testing.assert_close(encoder.states(batch), cell(embedded[:, 3], after_all))


def test_a_question_is_a_step_on_which_nobody_goes_on() -> None:
    encoder = encoder_of(TIMED, layers=2)
    rows: list[Row] = [(3, 1), (5, 1), (7, 2), (2, 4), (4, 4)]
    trained = encoder.states(training_batch(TIMED, rows))
    asked = [encoder.states(question_batch([state(*rows, at=at)], TIMED)) for at in (1, 2, 4)]
    torch.testing.assert_close(trained, torch.cat(asked))


@pytest.mark.parametrize("through_time", [False, True])
def test_gradients_go_through_one_step_of_time_unless_told_otherwise(through_time: bool) -> None:
    encoder = encoder_of(ORDER, through_time=through_time).train()
    batch = training_batch(ORDER, [(3, 1), (5, 2), (7, 3), (1, 4)])
    encoder.states(batch)[-1].sum().backward()
    reached = encoder.embedder.tower.table.weight.grad.any(1).nonzero().flatten()  # type: ignore[union-attr]
    assert reached.tolist() == ([3, 5, 7] if through_time else [7])


def test_one_step_of_time_has_the_gradient_of_the_authors_training() -> None:
    encoder = encoder_of(ORDER)
    batch = training_batch(ORDER, [(3, 1), (5, 2), (7, 3), (1, 4)])
    encoder.states(batch).square().sum().backward()
    other = encoder_of(ORDER)
    cell, before, total = cell_of(other), torch.zeros(1, 6), torch.zeros(())
    for item in (3, 5, 7):
        after = cell(other.embedder.tower(torch.tensor([item])), before.detach())
        total, before = total + after.square().sum(), after
    total.backward()
    ours = dict(encoder.trunk.layers[0].cell.named_parameters())  # type: ignore[union-attr, index]
    for name, weight in cell.named_parameters():
        torch.testing.assert_close(ours[name].grad, weight.grad)


def test_states_go_on_as_dropout_left_them() -> None:
    layer = Recurrence(dim=4, dropout=0.5, through_time=True).train()
    given = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(3)
    states, _ = layer(given, given, None)
    torch.manual_seed(3)
    keep = Dropout(0.5)(torch.ones_like(given))
    cell, before = nn.GRUCell(4, 4), torch.zeros(3, 4)
    cell.load_state_dict(layer.cell.state_dict())
    for number in range(5):
        before = cell(given[:, number], before) * keep[:, number]
        torch.testing.assert_close(states[:, number], before)
    torch.manual_seed(3)
    layer.through_time = False
    torch.testing.assert_close(layer(given, given, None)[0], states)
