"""The training stream in files says what the stream in memory says."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.event import EventType
from recsys.sequence import stored
from recsys.sequence.loader import Loader
from recsys.sequence.stored import stored_stream
from recsys.sequence.stream import training_stream
from recsys.target.next_moment import NextMoment
from tests.recsys.by_hand import SECOND, Row, histories, spec

KINDS = st.sampled_from([EventType.PURCHASE, EventType.VIEW, EventType.SEARCH])
SHOPPERS = st.lists(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 9), KINDS), max_size=9).map(
        lambda rows: sorted(rows, key=lambda row: row[1])
    ),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=60)
@given(shoppers=SHOPPERS, until=st.integers(1, 10), piece=st.sampled_from([1, 4, 1_000]))
def test_the_stored_stream_is_that_of_what_may_be_learnt(
    shoppers: list[list[Row]], until: int, piece: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = histories(*shoppers)
    instants = np.full(len(log), until * SECOND)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "PIECE_EVENTS", piece)
        folder = tmp_path_factory.mktemp("cache") / "stream-1"
        found, asked_from = stored_stream(log, spec(), NextMoment(), until=instants, folder=folder)
    learnable = log.before(until * SECOND)
    wanted = training_stream(learnable, spec())
    for name in ("item", "type", "time", "moment", "is_query", "reach"):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist(), name
    shown = np.diff(wanted.start) > 0
    assert np.diff(found.start).tolist() == np.diff(wanted.start)[shown].tolist()
    assert {n: v.tolist() for n, v in found.features.items()} == {n: v.tolist() for n, v in wanted.features.items()}
    assert asked_from.tolist() == learnable.asked_from[shown].tolist()


def loader_of(folder: Path, *, device: str = "cpu") -> Loader:
    rows: list[list[Row]] = [[(1 + n % 5, at + 1) for at in range(1 + n % 9)] for n in range(60)]
    log = histories(*rows)
    stream, asked_from = stored_stream(log, spec(), NextMoment(), until=np.full(60, 99 * SECOND), folder=folder)
    return Loader.over(stream, spec(), batch_tokens=40, context=5, asked_from=asked_from, device=device)


def test_an_epoch_goes_on_exactly_where_it_was_left(tmp_path: Path) -> None:
    whole = list(loader_of(tmp_path / "s-1").epoch(seed=3, epoch=2))
    assert len(whole) > 5
    for taken in (0, 1, 4, len(whole)):
        rest = list(loader_of(tmp_path / "s-1").epoch(seed=3, epoch=2, taken=taken))
        assert len(rest) == len(whole) - taken
        for one, other in zip(rest, whole[taken:], strict=True):
            assert one.item.equal(other.item)
            assert one.time.equal(other.time)
            assert one.pair_query.equal(other.pair_query)
            assert one.pair_target.equal(other.pair_target)
            assert all(one.features[name].equal(other.features[name]) for name in other.features)


def test_batches_are_put_together_where_the_stream_lies(tmp_path: Path) -> None:
    loader = loader_of(tmp_path / "s-1", device="meta")
    assert {loader.tokens.item.device.type, loader.tokens.features["hour"].device.type} == {"meta"}
