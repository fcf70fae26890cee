"""What is checked before a server starts, and what whoever starts it is told."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig

from recsys.clock import DAY, ManualClock
from recsys.errors import ConfigError
from serving.launch import assemble
from serving.security.admission import welcome
from serving.security.keyring import change, read
from serving.security.keys import Keys
from serving.security.scope import Scope
from serving.store.sqlite import SqliteStore
from tests.serving.locked import Locked, a_key, bearer, locked
from tests.serving.shop import NOW


def settings(folder: Path, *overrides: str) -> DictConfig:
    with initialize_config_module("conf", version_base="1.3"):
        return compose("serve", [f"store.path={folder}/events.db", *overrides])


def key_in(lines: list[str]) -> str:
    [text, _] = re.findall(r"sk_\w+", "\n".join(lines))
    return str(text)


@pytest.mark.parametrize("security", ["loopback", "keys"])
async def test_the_first_start_on_loopback_tells_a_development_key_and_no_later_one_does(
    tmp_path: Path, security: str
) -> None:
    clock = ManualClock(NOW)
    config = settings(tmp_path, f"security={security}")
    text = key_in(await welcome(config, clock=clock))
    async with locked(tmp_path, Keys()) as shop:
        assert await _answered(shop, text) == 200
    later = "\n".join(await welcome(config, clock=clock))
    assert "still counts" in later
    assert "sk_" not in later
    clock.advance(7 * DAY)
    assert "every key has ended" in "\n".join(await welcome(config, clock=clock))


async def _answered(shop: Locked, text: str) -> int:
    return (await shop.http.post("/v1/recommendations", json={}, headers=bearer(text))).status_code


async def test_where_there_is_a_key_or_where_others_can_come_no_development_key_is_made(tmp_path: Path) -> None:
    store, clock = SqliteStore(tmp_path / "events.db"), ManualClock(NOW)
    key, _ = a_key(Scope.EVENTS_WRITE)
    await store.open()
    outside = settings(tmp_path, "security=keys", "server.host=0.0.0.0")
    assert "sk_" not in "\n".join(await welcome(outside, clock=clock))
    assert (await read(store)).keys == ()
    await change(store, clock, lambda keys: keys.with_key(key), settles_s=0)
    assert "sk_" not in "\n".join(await welcome(settings(tmp_path), clock=clock))
    assert (await read(store)).keys == (key,)
    await store.close()


def test_a_server_that_others_could_reach_is_refused_before_anything_starts(tmp_path: Path, tiny_bundle: Path) -> None:
    bundle = f"release.bundle={tiny_bundle}"
    with pytest.raises(ConfigError, match="lets anybody in without a key"):
        assemble(settings(tmp_path, bundle, "server.host=0.0.0.0"))
    with pytest.raises(ConfigError, match="make one first: recsys-keys create=NAME"):
        assemble(settings(tmp_path, bundle, "server.host=0.0.0.0", "security=keys"))


def test_replicas_are_told_whether_development_keys_count(tmp_path: Path, tiny_bundle: Path) -> None:
    _, args = assemble(settings(tmp_path, f"release.bundle={tiny_bundle}", "security.origins=[https://shop.example]"))
    assert args.private
    assert args.security["_target_"] == "serving.security.loopback.Loopback"
    assert args.security["origins"] == ["https://shop.example"]
    assert not type(args)(bundle=tiny_bundle, store={}).private
    assert type(args)(bundle=tiny_bundle, store={}).security == {"_target_": "serving.security.keys.Keys"}
