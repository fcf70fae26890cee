"""The bundle: what was saved answers the same, and what was touched is refused."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.bundle import read_bundle, read_metrics, verify, version_of, write_bundle
from recsys.clock import DAY, HOUR
from recsys.errors import BundleError
from recsys.event import Event, EventType
from recsys.recommender import Recommender
from recsys.state import Context, History, ShopperState

FILES = (
    "arrays.safetensors",
    "card.md",
    "catalogue.parquet",
    "index.faiss",
    "manifest.json",
    "metrics.json",
    "spec.json",
    "weights.safetensors",
)


@pytest.fixture(scope="module")
def recommender(tiny_bundle: Path) -> Recommender:
    return read_bundle(tiny_bundle)


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def shoppers(recommender: Recommender) -> list[ShopperState]:
    """Nobody, a visitor who looks around, and somebody with a year of purchases."""
    end = recommender.data_end
    views = recommender.coding.of_events(happened(end, EventType.VIEW, 3, HOUR // 12), before=end)
    bought = recommender.coding.of_events(happened(end, EventType.PURCHASE, 30, 7 * DAY), before=end)
    return [ShopperState(history, Context(at=end)) for history in (History.empty(), views, bought)]


def happened(end: int, kind: EventType, count: int, apart: int) -> list[Event]:
    return [
        Event(event_id=str(n), type=kind, occurred_at=end - (count - n) * apart, item_id=f"item-{n % 7:03d}")
        for n in range(count)
    ]


def answers(recommender: Recommender, states: Sequence[ShopperState]) -> list[list[tuple[str, float, str, str]]]:
    slates = recommender.answer(states, counts=[10] * len(states), rng=np.random.default_rng(0))
    return [[(item.item_id, item.score, item.source, item.reason) for item in slate.items] for slate in slates]


def test_a_bundle_written_again_and_read_gives_the_same_vectors_and_answers(
    recommender: Recommender, tmp_path: Path
) -> None:
    written = write_bundle(recommender, tmp_path / "again", metrics={"rows": {}})
    again = read_bundle(tmp_path / "again")
    states = shoppers(recommender)
    np.testing.assert_array_equal(recommender.encode(states), again.encode(states))
    assert answers(recommender, states) == answers(again, states)
    assert [len(slate) for slate in answers(again, states)] == [10, 10, 10]
    assert again.model_version == written.model_version == version_of(tmp_path / "again")
    assert (again.data_end, again.facts) == (recommender.data_end, dict(recommender.facts))
    assert again.features == recommender.features
    assert read_metrics(tmp_path / "again") == {"rows": {}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again"]


def test_a_bundle_without_a_card_is_read_and_a_card_that_is_listed_is_checked(
    recommender: Recommender, tmp_path: Path
) -> None:
    write_bundle(recommender, tmp_path / "bare", metrics={})
    assert not (tmp_path / "bare" / "card.md").exists()
    verify(tmp_path / "bare")
    write_bundle(recommender, tmp_path / "told", metrics={}, card="# Model card")
    assert (tmp_path / "told" / "card.md").read_text() == "# Model card"
    assert read_bundle(tmp_path / "told").model_version != version_of(tmp_path / "bare")


def test_what_features_learnt_comes_back_from_the_bundle(recommender: Recommender, tmp_path: Path) -> None:
    write_bundle(recommender, tmp_path / "again", metrics={})
    stored, again = recommender.features.statistics, read_bundle(tmp_path / "again").features.statistics
    assert stored is not None
    assert again is not None
    for name, array in stored.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array, err_msg=name)


def test_statistics_of_another_catalogue_are_refused(recommender: Recommender, tmp_path: Path) -> None:
    statistics = recommender.features.statistics
    assert statistics is not None
    fewer = replace(statistics, items=replace(statistics.items, born=statistics.items.born[:-1]))
    strange = replace(recommender, features=replace(recommender.features, statistics=fewer))
    write_bundle(strange, tmp_path / "strange", metrics={})
    with pytest.raises(BundleError, match="does not fit together"):
        read_bundle(tmp_path / "strange")


def test_the_same_content_has_the_same_version_and_other_content_another(
    recommender: Recommender, tmp_path: Path
) -> None:
    one, two, other = (
        write_bundle(recommender, tmp_path / name, metrics={"figure": figure}).model_version
        for name, figure in (("one", 1), ("two", 1), ("other", 2))
    )
    assert one == two != other


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_flipped_bit_in_any_file_is_refused(copy: Path, name: str, place: float, bit: int) -> None:
    path = copy / name
    sound = path.read_bytes()
    torn = bytearray(sound)
    torn[int(place * len(torn))] ^= 1 << bit
    path.write_bytes(torn)
    try:
        with pytest.raises(BundleError, match="bundle/" if name == "manifest.json" else name):
            read_bundle(copy)
    except pytest.fail.Exception:
        assert name == "manifest.json", "of the manifest only white space and letter case may change"
        assert json.loads(torn) == json.loads(sound)
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused_by_name(copy: Path, name: str, share: float) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(BundleError, match=name):
        read_bundle(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_by_name(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(copy)


def test_what_is_no_directory_is_refused_with_the_remedy(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", Path(__file__)):
        with pytest.raises(BundleError, match=r"not a bundle directory; train one with"):
            read_bundle(path)


def resealed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the spec and make the manifest fit, as somebody with ill intent would."""
    spec = json.loads((folder / "spec.json").read_text())
    change(spec)
    (folder / "spec.json").write_text(json.dumps(spec))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["spec.json"] = hashlib.sha256((folder / "spec.json").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    verify(folder)


@pytest.mark.parametrize(
    "path", ["os.system", "torch.load", "recsys.retrieval.blend.Blend", "recsys.model.sasrec.torch.load", 7, None]
)
@pytest.mark.parametrize("part", ["encoder", "index", "policy"])
def test_a_spec_that_names_another_class_is_refused_even_when_resealed(copy: Path, part: str, path: object) -> None:
    resealed(copy, lambda spec: spec[part].update({"class": path, "settings": {}}))
    with pytest.raises(BundleError):
        read_bundle(copy)


def test_a_command_in_the_spec_is_not_run(copy: Path, tmp_path: Path) -> None:
    command = {"class": "os.system", "settings": {"command": f"touch {tmp_path / 'owned'}"}}
    resealed(copy, lambda spec: spec["sources"].append(command))
    with pytest.raises(BundleError, match=r"asks for 'os\.system'"):
        read_bundle(copy)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda spec: spec["features"].update(version=99), "version 99"),
        (lambda spec: spec["features"].update(moon_phase=True), "moon_phase"),
        (lambda spec: spec["features"].update(max_length=0), "max_length is 0"),
        (lambda spec: spec["features"].update(query="riddle"), "riddle"),
        (lambda spec: spec["features"].update(token=["gap", "moon_phase"]), "moon_phase"),
        (lambda spec: spec["features"].update(token=["gap"]), "size mismatch"),
        (lambda spec: spec["features"].update(channels=["web", "web"]), "twice"),
        (lambda spec: spec["encoder"]["settings"].update(dim=17), "dim=17"),
        (lambda spec: spec["encoder"]["settings"].update(dim=32), "size mismatch"),
        (lambda spec: spec["encoder"]["settings"].update(dim=2**62), "spec.json promises"),
        (lambda spec: spec["weights"].update(known={"no_such_source": 1.0}), "no_such_source"),
        (lambda spec: spec["weights"].update(acquainted={}), "acquainted"),
        (lambda spec: spec.pop("data_end"), "data_end"),
        (lambda spec: spec.update(format=2), "format 2; this release reads 1: serve it with the release that wrote it"),
        (lambda spec: spec.update(sources="none"), "spec.json promises"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused_with_the_reason(
    copy: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    resealed(copy, change)
    with pytest.raises(BundleError, match=message):
        read_bundle(copy)


def test_a_manifest_of_another_format_is_refused(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(BundleError, match="format 2; this release reads 1"):
        read_bundle(copy)


def test_a_manifest_that_leaves_out_a_file_is_refused(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["files"]["index.faiss"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="does not list exactly"):
        read_bundle(copy)
