"""The bundle: one directory that holds a trained recommender, verified before anything in it is used.

    spec.json              format, classes and their settings, features, weights of the blend, facts of the making
    weights.safetensors    the encoder and, under "intent.", the intent heads with their calibration
    arrays.safetensors     what the features, the candidate sources and the repurchase model learnt
    catalogue.parquet      the items, in index order
    index.faiss            the item vectors, searchable
    metrics.json           the evaluation table
    card.md                optional: the model card, for people
    manifest.json          SHA-256 of every file above

`BUNDLE.md` beside this file describes all of it for whoever reads one by other means.
Nothing is unpickled, and only registered `recsys` classes are constructed (`recsys/registry.py`).
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save_file as save_tensors
from torch import Tensor, nn

from recsys.catalogue import Catalogue
from recsys.errors import BundleError, RecsysError
from recsys.feature.spec import FeatureSpec
from recsys.feature.statistics import Statistics
from recsys.recommender import Recommender
from recsys.registry import construct, described
from recsys.retrieval.blend import Blend
from recsys.retrieval.index.flat import pin_threads
from recsys.retrieval.repurchase import Repurchase
from recsys.state import Knowledge

FORMAT = 1
MANIFEST = "manifest.json"
_FILES = (
    "spec.json",
    "weights.safetensors",
    "arrays.safetensors",
    "catalogue.parquet",
    "index.faiss",
    "metrics.json",
)
_CARD = "card.md"
_INTENT = "intent."
_OTHER_FORMAT = "serve it with the release that wrote it, or train again"
_UNUSABLE = (
    *(KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OSError, OverflowError, MemoryError),
    *(RecsysError, SafetensorError, pa.ArrowException),
)

T = TypeVar("T")


def write_bundle(
    recommender: Recommender, folder: Path, *, metrics: Mapping[str, Any], card: str | None = None
) -> Recommender:
    """Write a bundle; the directory appears whole or not at all. Returns the recommender with its version.

    `card` is a page of Markdown for whoever finds the folder.
    """
    partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        encoder = recommender.encoder
        if not isinstance(encoder, nn.Module):
            raise BundleError(
                f"the encoder {type(encoder).__name__} is not a torch module; its weights cannot be stored"
            )
        _write_json(partial / "spec.json", _spec(recommender))
        weights = {**encoder.state_dict(), **_heads_weights(recommender)}
        save_tensors({n: t.contiguous().cpu() for n, t in weights.items()}, partial / "weights.safetensors")
        save_arrays(_arrays(recommender), partial / "arrays.safetensors")
        pq.write_table(recommender.catalogue.items, partial / "catalogue.parquet", compression="zstd")
        recommender.index.save(partial / "index.faiss")
        _write_json(partial / "metrics.json", metrics)
        files = _FILES if card is None else (*_FILES, _CARD)
        if card is not None:
            (partial / _CARD).write_text(card, encoding="utf-8")
        digests = {name: _digest(partial / name) for name in files}
        _write_json(partial / MANIFEST, {"format": FORMAT, "files": digests})
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return replace(recommender, model_version=version_of(folder))


def version_of(folder: Path) -> str:
    """The bundle's version: the first 12 digits of its manifest's SHA-256."""
    return _digest(folder / MANIFEST)[:12]


def verify(folder: Path) -> None:
    """Compare every file with the manifest. A missing or altered one raises BundleError naming it, and so does a list
    of other files than there have to be; what lies beside them unlisted is never opened."""
    manifest = _read_json(folder, MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else manifest
        raise BundleError(f"{folder / MANIFEST} has format {found!r}; this release reads {FORMAT}: {_OTHER_FORMAT}")
    listed = manifest.get("files")
    if not isinstance(listed, dict) or set(listed) - {_CARD} != set(_FILES):
        raise BundleError(f"{folder / MANIFEST} does not list exactly {', '.join(_FILES)}; fetch the bundle again")
    for name in listed:
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{path} is missing; fetch the bundle again")
        if _digest(path) != listed[name]:
            raise BundleError(
                f"{path} does not match its SHA-256 in the manifest: it was altered; fetch the bundle again"
            )


def read_bundle(folder: Path, *, threads: int | None = None) -> Recommender:
    """Verify a bundle and build its recommender; whatever is wrong raises BundleError naming the file."""
    if not folder.is_dir():
        raise BundleError(f"{folder} is not a bundle directory; train one with: python -m training.train")
    verify(folder)
    if threads is not None:
        pin_threads(threads)
    spec = _read_json(folder, "spec.json")
    try:
        return _build(folder, spec)
    except BundleError:
        raise
    except _UNUSABLE as error:
        raise BundleError(f"{folder} does not hold what its spec.json promises: {error}") from error


def read_metrics(folder: Path) -> dict[str, Any]:
    """The evaluation table stored with the bundle."""
    metrics: dict[str, Any] = _read_json(folder, "metrics.json")
    return metrics


def _spec(recommender: Recommender) -> dict[str, Any]:
    encoder, index, policy, blend = recommender.encoder, recommender.index, recommender.policy, recommender.blend
    return {
        "format": FORMAT,
        "encoder": described(encoder),
        "features": recommender.features.to_json(),
        "index": described(index),
        "policy": {**described(policy), "repurchase": policy.repurchase is not None},
        "sources": [described(source) for source in blend.sources],
        "weights": {str(knowledge): dict(weights) for knowledge, weights in blend.weights.items()},
        "depth": blend.depth,
        "items": recommender.catalogue.size - 1,
        "data_end": recommender.data_end,
        "facts": dict(recommender.facts),
        **({"intent": described(recommender.heads.made_by)} if recommender.heads is not None else {}),
        **({"ranker": described(recommender.ranker)} if recommender.ranker is not None else {}),
    }


def _arrays(recommender: Recommender) -> dict[str, np.ndarray]:
    arrays = {
        f"source.{number}.{name}": np.ascontiguousarray(values)
        for number, source in enumerate(recommender.blend.sources)
        for name, values in source.arrays().items()
    }
    if (statistics := recommender.features.statistics) is not None:
        arrays.update({f"features.{name}": np.ascontiguousarray(v) for name, v in statistics.arrays().items()})
    if recommender.ranker is not None:
        arrays.update({f"ranker.{name}": np.ascontiguousarray(v) for name, v in recommender.ranker.arrays().items()})
    repurchase = recommender.policy.repurchase
    if repurchase is not None:
        arrays.update({f"repurchase.{name}": np.ascontiguousarray(v) for name, v in repurchase.arrays().items()})
    return arrays


def _build(folder: Path, spec: dict[str, Any]) -> Recommender:
    if spec["format"] != FORMAT:
        raise BundleError(
            f"{folder / 'spec.json'} has format {spec['format']!r}; this release reads {FORMAT}: {_OTHER_FORMAT}"
        )
    catalogue = Catalogue(pq.read_table(folder / "catalogue.parquet"))
    arrays = load_arrays(folder / "arrays.safetensors")
    learnt = _under(arrays, "features.")
    features = FeatureSpec.of_json(spec["features"], Statistics.of_arrays(learnt) if learnt else None)
    if features.statistics is not None and len(features.statistics.items.born) != catalogue.size:
        raise BundleError(
            f"{folder} does not fit together: arrays.safetensors has {len(features.statistics.items.born) - 1} items, "
            f"catalogue.parquet {catalogue.size - 1}; fetch the bundle again"
        )
    encoder = _made(spec["encoder"], items=catalogue.size, features=features)
    tensors = load_tensors(folder / "weights.safetensors")
    encoder.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith(_INTENT)})
    encoder.eval()
    heads = None
    if spec.get("intent"):
        heads = _made(spec["intent"]).build(dim=encoder.settings()["dim"], features=features, catalogue=catalogue)
        heads.load_state_dict(_under(tensors, _INTENT))
        heads.eval()
    index = _made(spec["index"])
    index.load(folder / "index.faiss", encoder.item_vectors().detach().numpy())
    if not len(index) == catalogue.size - 1 == spec["items"]:
        raise BundleError(
            f"{folder} does not fit together: index.faiss holds {len(index)} items, catalogue.parquet "
            f"{catalogue.size - 1}, spec.json says {spec['items']}; fetch the bundle again"
        )
    sources = [_made(part, **_under(arrays, f"source.{number}.")) for number, part in enumerate(spec["sources"])]
    repurchase = Repurchase(**_under(arrays, "repurchase.")) if spec["policy"]["repurchase"] else None
    weights = {Knowledge(knowledge): values for knowledge, values in spec["weights"].items()}
    return Recommender(
        catalogue=catalogue,
        features=features,
        encoder=encoder,
        index=index,
        blend=Blend(sources, weights, spec["depth"]),
        policy=_made(spec["policy"], **({"repurchase": repurchase} if repurchase else {})),
        data_end=spec["data_end"],
        model_version=version_of(folder),
        facts=spec["facts"],
        ranker=_made(spec["ranker"], **_under(arrays, "ranker.")) if spec.get("ranker") else None,
        heads=heads,
    )


def _made(part: Mapping[str, Any], **more: Any) -> Any:
    return construct(part["class"], {**part["settings"], **more})


def _heads_weights(recommender: Recommender) -> dict[str, Tensor]:
    if recommender.heads is None:
        return {}
    return {f"{_INTENT}{name}": tensor for name, tensor in recommender.heads.state_dict().items()}


def _under(arrays: Mapping[str, T], prefix: str) -> dict[str, T]:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); fetch the bundle again") from error


def _read_json(folder: Path, name: str) -> Any:
    try:
        return json.loads((folder / name).read_text())
    except OSError as error:
        raise BundleError(f"{folder / name} cannot be read ({error.strerror}); fetch the bundle again") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{folder / name} is not JSON ({error}); fetch the bundle again") from error


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True, default=str))
