"""Which classes a bundle may have built."""

import sys

import pytest

from recsys.errors import BundleError
from recsys.model.sasrec import SASRec
from recsys.policy.top_k import TopK
from recsys.registry import construct, described, path_of
from recsys.similarity.cosine import Cosine
from recsys.tower.id import Id
from tests.recsys.by_hand import spec


def test_a_registered_class_is_built_from_its_path() -> None:
    assert isinstance(construct(path_of(TopK), {}), TopK)


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "builtins.eval",
        "torch.load",
        "mlflow.pyfunc.load_model",
        "recsys.bundle.read_bundle",
        "recsys.log.writer.write_log",
        "",
        "recsys.model",
    ],
)
def test_a_path_outside_the_rooms_is_refused(path: str) -> None:
    with pytest.raises(BundleError, match="only classes under"):
        construct(path, {})


def test_a_path_outside_the_rooms_is_not_even_imported() -> None:
    sys.modules.pop("this", None)
    with pytest.raises(BundleError):
        construct("this.s", {})
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    "path",
    [
        "recsys.retrieval.index.flat.pin_threads",
        "recsys.retrieval.index.flat.faiss.read_index",
        "recsys.retrieval.blend.Blend",
        "recsys.model.sasrec.Block",
        "recsys.model.sasrec.torch.load",
        "recsys.model.",
        "recsys.model.no_such_file.Thing",
        "recsys.policy.top_k.TopK.choose",
    ],
)
def test_what_is_not_registered_is_refused_within_the_rooms_too(path: str) -> None:
    with pytest.raises(BundleError, match=r"not a registered class|does not have"):
        construct(path, {})


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BundleError, match=r"do not fit recsys\.policy\.top_k\.TopK.*surprise"):
        construct(path_of(TopK), {"surprise": 1})


def test_parts_within_a_part_are_described_and_built_with_it() -> None:
    encoder = SASRec(items=5, features=spec(), dim=8, tower=Id(std=0.3), similarity=Cosine(temperature=0.2))
    stored = described(encoder)
    assert stored["settings"]["similarity"]["settings"] == {"temperature": 0.2, "learned": False}
    other = construct(stored["class"], {**stored["settings"], "items": 5, "features": spec()})
    assert other.settings() == encoder.settings()


def test_a_part_within_a_part_must_be_registered_too() -> None:
    with pytest.raises(BundleError, match="only classes under"):
        construct(path_of(TopK), {"repurchase": {"class": "os.system", "settings": {}}})
