"""Where a run comes from: revision, versions, settings. Enough to make it again."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from recsys.clock import to_datetime
from recsys.protocols import Source
from training.machine import machine_facts

_LIBRARIES = ("attune-recsys", "torch", "numpy", "pyarrow", "faiss-cpu", "safetensors", "hydra-core", "mlflow", "ray")
_NOT_SHAPING = ("outputs", "exports", "engine", "reuse", "register", "promote", "tracker", "experiment")
_NOT_SHAPING_WITHIN = ("trainer.resume", "trainer.checkpoint_s")


def library_versions() -> dict[str, str]:
    """Versions of what computes the result."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_revision() -> str:
    """Revision of the working copy this code runs from, with "+changes" if it differs; "unknown" outside of one."""
    here = Path(__file__).resolve().parent
    try:
        revision = _git("rev-parse", "HEAD", at=here)
        return revision + ("+changes" if _git("status", "--porcelain", "--untracked-files=no", at=here) else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def code_digest() -> str:
    """Digest of the source files that shape a training run."""
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parent.parent
    for path in sorted(p for package in ("recsys", "training") for p in (root / package).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def recipe_digest(settings: Mapping[str, Any], fingerprint: str) -> str:
    """Digest of everything that decides the result: settings, data, code and the library versions."""
    chosen = flat({name: value for name, value in settings.items() if name not in _NOT_SHAPING})
    shaping = {name: value for name, value in chosen.items() if name not in _NOT_SHAPING_WITHIN}
    content = json.dumps([shaping, fingerprint, code_digest(), library_versions()], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def facts(source: Source, settings: Mapping[str, Any], fingerprint: str, digest: str) -> dict[str, Any]:
    """What a bundle tells about its making."""
    return {
        "data": source.name,
        "licence": source.licence,
        "order_only": source.order_only,
        "cutoff": to_datetime(source.cutoff).isoformat(),
        "settings": flat(settings),
        "libraries": library_versions(),
        "machine": machine_facts(),
        "origin": {
            "git_revision": git_revision(),
            "source": source.fingerprint(),
            "data_fingerprint": fingerprint,
            "recipe": digest,
        },
    }


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted names."""
    out: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            out.update(flat(value, f"{prefix}{name}."))
        else:
            out[f"{prefix}{name}"] = value
    return out


def _git(*arguments: str, at: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=at, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
