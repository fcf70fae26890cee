"""Every YAML under conf/ composes, and what it names can be made and used."""

from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

import conf
from recsys.errors import ConfigError
from recsys.protocols import Encoder, Policy, Sampler
from recsys.retrieval.index.gpu import OnGpu, gpus
from recsys.sequence.question import question_batch
from recsys.shoppers import Shoppers
from tests.recsys.by_hand import candidates_of_one, spec, state
from training.protocols import Tracker

ROOT = Path(conf.__file__).parent
YAMLS = (path.relative_to(ROOT) for path in ROOT.rglob("*.yaml"))
FILES = sorted(path.with_suffix("").as_posix() for path in YAMLS if path.parts[0] != "deploy")
"""All but those for other programs, which tests/serving/test_deploy.py looks at."""
GROUPED = [name for name in FILES if "/" in name]
MAINS = [name for name in FILES if "/" not in name]
ROOMS = {
    "data": "recsys.data",
    "index": "recsys.retrieval.index",
    **dict.fromkeys(("trainer", "tracker", "engine", "pruner", "optimizer", "schedule"), "training.{group}"),
    **dict.fromkeys(("store", "security", "encoding"), "serving.{group}"),
}
"""Where a group's parts live if not in recsys/<group>/."""
ELSEWHERE = {"release/registry": "serving.release", "server/local": "serving.server"}
"""Parts of serving that are one file: kind and place of what is served, not one of several implementations."""


def composed(main: str, *overrides: str) -> DictConfig:
    with hydra.initialize_config_module("conf", version_base="1.3"):
        return hydra.compose(main, list(overrides))


def node(name: str) -> DictConfig:
    """The settings of one choice of one group, composed by the main configuration that has the group."""
    group, choice = name.split("/")
    mains = {"engine": "ingest", "search": "sweep", "pruner": "sweep"}
    main = {**mains, **dict.fromkeys(("release", "store", "server", "security", "encoding"), "serve")}.get(
        group, "train"
    )
    chosen = f"{group}='{choice}'"
    if group == "experiment":
        return composed(main, f"+{chosen}" if group not in composed(main) else chosen)
    config = composed(main, chosen)
    OmegaConf.resolve(config)
    found: DictConfig = config[group]
    return found


@pytest.mark.parametrize("name", MAINS)
def test_every_main_configuration_composes_and_resolves(name: str) -> None:
    config = composed(name)
    OmegaConf.resolve(config)
    assert config.outputs == "outputs"


@pytest.mark.parametrize("name", [name for name in GROUPED if name.startswith("experiment/")])
def test_every_experiment_holds_overrides_of_keys_that_exist(name: str) -> None:
    written = OmegaConf.load(ROOT / f"{name}.yaml")
    choices = [choice for choice in written.get("defaults", ()) if choice != "_self_"]
    plain = composed("train", *(f"{key.split('/')[1]}={value}" for choice in choices for key, value in choice.items()))
    OmegaConf.set_struct(plain, True)
    OmegaConf.merge(plain, composed("train", f"experiment={name.split('/')[1]}"))
    assert "_target_" not in written


@pytest.mark.parametrize("name", [name for name in GROUPED if "_target_" in OmegaConf.load(ROOT / f"{name}.yaml")])
def test_a_choice_is_named_like_the_file_of_its_class_or_of_that_file_and_a_set(name: str) -> None:
    group, choice = name.split("/")
    module = OmegaConf.load(ROOT / f"{name}.yaml")["_target_"].rpartition(".")[0]
    room = ROOMS.get(group, "recsys.{group}").format(group=group)
    named = ELSEWHERE.get(name, f"{room}.{choice}")
    assert named == module or named.startswith(f"{module}_")


@pytest.mark.parametrize("name", [name for name in GROUPED if not name.startswith("experiment/")])
def test_every_choice_can_be_made(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = node(name)
    if name == "data/table":
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "events-1.csv").write_text(
            "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
            "2019-11-01 00:00:00 UTC,view,1,2,a.b,x,1.5,7,s\n"
        )
        config.files = "data/events*.csv"
    made = instantiate(config, _convert_="all")
    USED.get(name.split("/")[0], lambda part, folder: None)(made, tmp_path)
    if "_target_" in config and not config.get("_partial_"):
        assert isinstance(made, get_class(config["_target_"]))


def model_is_usable(factory: Any, _: Path) -> None:
    encoder: Encoder = factory(items=5, features=spec())
    encoder.prime(torch.ones(5))
    vectors = encoder(question_batch([state((1, 1), at=2)], spec()))
    assert vectors.shape == (1, encoder.vector_size) == (1, encoder.item_vectors().shape[1])
    factory(items=5, features=spec()).load_state_dict(encoder.state_dict())  # type: ignore[attr-defined]


def sampler_is_usable(factory: Any, _: Path) -> None:
    sampler: Sampler = factory(popularity=torch.tensor([0.0, 3.0, 2.0, 1.0, 1.0]))
    drawn = sampler.draw(3, target=torch.tensor([1, 2]), generator=torch.Generator())
    assert drawn.item.shape == drawn.log_q.shape == (3,)


def policy_is_usable(factory: Any, _: Path) -> None:
    policy: Policy = factory(repurchase=None)
    found = candidates_of_one(np.array([1, 2]), {})
    [choice] = policy.choices(Shoppers([state(at=1)]), found, counts=[1], rng=[np.random.default_rng(0)])
    assert len(choice.place) == len(choice.score) == len(choice.propensity) == 1


def tracker_is_usable(factory: Any, folder: Path) -> None:
    tracker: Tracker = factory(outputs=folder / "outputs")
    with tracker.run("a run", {"seed": 1}, {"tag": "x"}):
        tracker.log({"loss": 0.5}, step=1)
    assert tracker.champion() is None


def index_is_usable(index: Any, _: Path) -> None:
    if isinstance(index, OnGpu) and not gpus():  # made anywhere, built where there is a GPU
        with pytest.raises(ConfigError, match="gpu-index"):
            index.build(np.eye(3, dtype=np.float32))
        return
    index.build(np.eye(3, dtype=np.float32))
    assert index.search(np.array([[0, 0, 1]], np.float32), 1)[1].tolist() == [[2]]


def features_are_usable(settings: Any, _: Path) -> None:
    assert spec(**settings).max_length == settings["max_length"]


def optimizer_is_usable(optimizer: Any, _: Path) -> None:
    layer = torch.nn.Linear(2, 1)
    before = layer.weight.detach().clone()
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.build(layer).step()
    assert (layer.weight < before).all()


def schedule_is_usable(schedule: Any, _: Path) -> None:
    optimizer = torch.optim.Adam(torch.nn.Linear(2, 1).parameters(), lr=1.0)
    running = schedule.build(optimizer, steps=5)
    rates = []
    for _ in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        running.step()
    assert 0 < max(rates) <= 1


USED = {
    "model": model_is_usable,
    "sampler": sampler_is_usable,
    "policy": policy_is_usable,
    "tracker": tracker_is_usable,
    "index": index_is_usable,
    "features": features_are_usable,
    "optimizer": optimizer_is_usable,
    "schedule": schedule_is_usable,
}
