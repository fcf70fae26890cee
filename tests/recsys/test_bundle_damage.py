"""Damaged bundles with every kind of index: refused with the reason or wholly usable, never anything between."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.bundle import read_bundle, write_bundle
from recsys.errors import BundleError
from recsys.protocols import Index
from recsys.recommender import Recommender
from recsys.registry import construct, described
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import auto
from recsys.retrieval.index.auto import AutoIndex
from recsys.retrieval.index.flat import FlatIndex
from recsys.retrieval.index.hnsw import HnswIndex
from recsys.retrieval.index.ivf import IvfIndex
from recsys.retrieval.index.norm_ranged import NormRangedIndex
from recsys.state import Context, History, ShopperState
from tests.recsys.damage import Damage, damages, resealed

MADE: dict[str, Callable[[], Index]] = {
    "flat": FlatIndex,
    "ivf, flat": lambda: IvfIndex(codes="flat"),
    "ivf, sq8": lambda: IvfIndex(codes="sq8"),
    "ivf, pq": lambda: IvfIndex(codes="pq"),
    "hnsw": HnswIndex,
    "norm-ranged": NormRangedIndex,
    "auto": AutoIndex,
}
FILES = (
    "arrays.safetensors",
    "catalogue.parquet",
    "index.faiss",
    "manifest.json",
    "metrics.json",
    "spec.json",
    "weights.safetensors",
)
SEALED = tuple(name for name in FILES if name != "manifest.json")
EVERY = pytest.mark.parametrize("kind", MADE)
A_FEW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def recommender(tiny_bundle: Path) -> Recommender:
    return read_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def bundles(recommender: Recommender, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle with each kind of index."""
    folder = tmp_path_factory.mktemp("bundles")
    vectors = recommender.encoder.item_vectors().detach().numpy()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(auto, "_SMALL", 100)
        for kind, make in MADE.items():
            index = make()
            index.build(vectors)
            write_bundle(replace(recommender, index=index), folder / kind, metrics={"rows": {}})
    return {kind: folder / kind for kind in MADE}


@pytest.fixture
def bundle(bundles: dict[str, Path], kind: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundles[kind], tmp_path / "bundle"))


def answers(recommender: Recommender) -> None:
    """Fail where what was loaded cannot be used."""
    state = ShopperState(History.empty(), Context(at=recommender.data_end))
    vectors = recommender.encoder.item_vectors().detach().numpy()
    searched(recommender.index, vectors)
    assert recommender.answer([state], counts=[5], rng=np.random.default_rng(0))


def searched(index: Index, vectors: np.ndarray) -> None:
    """Fail where an index does not give what it shall: as many as asked for, known ones, each once, all with scores."""
    every, third = np.arange(len(vectors)) > 0, np.arange(len(vectors)) % 3 == 1
    for allowed in (None, Allowed(every), Allowed(third)):
        scores, items = index.search(vectors[1:4], 20, allowed)
        assert scores.shape == items.shape == (3, 20)
        assert np.isfinite(scores[items > 0]).all()
        assert ((items >= 0) & (items < len(vectors))).all()
        assert all(len(set(row[row > 0].tolist())) == (row > 0).sum() for row in items)
        assert allowed is None or allowed.mask[items[items > 0]].all()


@EVERY
@A_FEW
@given(name=st.sampled_from(FILES), damage=damages())
def test_damage_to_any_file_of_a_bundle_is_refused(bundle: Path, kind: str, name: str, damage: Damage) -> None:
    path = bundle / name
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    try:
        if path.read_bytes() == sound:
            return
        with pytest.raises(BundleError, match="bundle/" if name == "manifest.json" else name):
            answers(read_bundle(bundle))
    except pytest.fail.Exception:
        assert name == "manifest.json", "of the manifest only white space and letter case may change"
    finally:
        path.write_bytes(sound)


@EVERY
@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_and_a_folder_in_its_place_are_refused_by_name(bundle: Path, kind: str, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(bundle)
    (bundle / name).mkdir()
    with pytest.raises(BundleError, match=name):
        read_bundle(bundle)


@EVERY
def test_a_file_that_nobody_listed_is_not_opened(bundle: Path, kind: str) -> None:
    (bundle / "index.faiss.bak").write_bytes(b"\x80\x04 not for anybody")
    (bundle / "more").mkdir()
    answers(read_bundle(bundle))


@EVERY
@A_FEW
@given(damage=damages())
def test_a_damaged_index_is_refused_or_works_even_where_the_manifest_was_made_to_fit(
    bundle: Path, kind: str, damage: Damage
) -> None:
    path, manifest = bundle / "index.faiss", (bundle / "manifest.json").read_bytes()
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    resealed(bundle, "index.faiss")
    try:
        if usable(lambda: read_bundle(bundle)):
            answers(read_bundle(bundle))
    finally:
        path.write_bytes(sound)
        (bundle / "manifest.json").write_bytes(manifest)


@EVERY
@MANY
@given(damage=damages())
def test_a_damaged_index_file_is_refused_by_name_or_searched_as_ever(
    bundles: dict[str, Path], kind: str, damage: Damage, recommender: Recommender, tmp_path: Path
) -> None:
    path = tmp_path / "index.faiss"
    path.write_bytes(damage((bundles[kind] / "index.faiss").read_bytes()))
    vectors = recommender.encoder.item_vectors().detach().numpy()
    plain = described(read_index(bundles, kind))
    index = construct(plain["class"], plain["settings"])
    if usable(lambda: index.load(path, vectors)):
        searched(index, vectors)


def usable(load: Callable[[], object]) -> bool:
    """Whether it loads; a refusal has to name the file, and any other error is a failure."""
    try:
        load()
    except BundleError as refusal:
        if "index.faiss" not in str(refusal):
            raise
        return False
    return True


_READ: dict[Path, Index] = {}


def read_index(bundles: dict[str, Path], kind: str) -> Index:
    if bundles[kind] not in _READ:
        _READ[bundles[kind]] = read_bundle(bundles[kind]).index
    return _READ[bundles[kind]]


@pytest.mark.parametrize("kind", [kind for kind in MADE if kind != "auto"])
def test_an_index_of_another_kind_is_refused_by_what_it_is(bundles: dict[str, Path], bundle: Path, kind: str) -> None:
    for other in MADE.keys() - {kind, "auto"}:
        shutil.copy(bundles[other] / "index.faiss", bundle / "index.faiss")
        resealed(bundle, "index.faiss")
        with pytest.raises(
            BundleError, match=r"index\.faiss (holds (a|inverted) .*was expected|is not a (FAISS|norm-ranged) index)"
        ):
            read_bundle(bundle)


@pytest.mark.parametrize("kind", [kind for kind in MADE if kind != "norm-ranged"])  # zip has a sum over each part
@pytest.mark.parametrize("length", [2**34, 2**40, 2**63 - 1])
def test_a_length_that_the_file_has_not_got_is_refused_before_any_memory_is_asked_for(
    bundle: Path, kind: str, length: int
) -> None:
    path = bundle / "index.faiss"
    sound, refused = path.read_bytes(), 0
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for at in small_numbers(sound):
        path.write_bytes(sound[:at] + length.to_bytes(8, "little") + sound[at + 8 :])
        resealed(bundle, "index.faiss")
        refused += not usable(lambda: answers(read_bundle(bundle)))
    assert refused
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 64 * 1024, "kibibytes"


def small_numbers(content: bytes) -> Iterator[int]:
    """Where, behind the header, eight bytes stand that could be one of how much follows: some, and no more than all."""
    for at in range(37, 200):
        if 0 < int.from_bytes(content[at : at + 8], "little") <= len(content):
            yield at


@pytest.mark.slow
@EVERY
def test_thousands_of_damaged_index_files_neither_crash_hang_nor_ask_for_much_memory(
    bundles: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    """In a process of its own, which may take two GiB of addresses more than it has: that it ends well is the test."""
    command = [sys.executable, "-m", "tests.recsys.damage_many", str(bundles[kind]), str(tmp_path), "4000"]
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=root)
    assert ended.returncode == 0, ended.stderr[-2000:]
    refused, used = map(int, ended.stdout.split()[-2:])
    assert refused + used == 4000
    assert refused > 400
